"""Does a commit learn worse? Stored runs of both sides, judged by the rule of `harness.statistics.sequential`.

What needs no look comes first: tasks that break altogether, and sides that are the same bit for bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from math import isfinite, nan, sqrt

import numpy as np

from harness.analysis.pairing import UNKNOWN, Difference, Task, blocks, difference
from harness.analysis.results import Results
from harness.analysis.summaries import mean
from harness.analysis.tasks import matched
from harness.contract.errors import UsageError
from harness.statistics import intervals
from harness.statistics.decision import Verdict, detectable_drop, runs_needed
from harness.statistics.intervals import Estimate
from harness.statistics.runs import Floats, matrix
from harness.statistics.sequential import Decision, Rule, decide, enough_to_pass, looks, smallest_p, usual_rule
from harness.suite.reading import Suite
from harness.text import counted
from harness.verdicts import events
from harness.verdicts.judgement import OF_VERDICT, Change, GateAnswer, JudgedTask, Judgement, TaskVerdict
from harness.verdicts.scope import Scope, Seeds, chosen_seeds, in_scope, most_blocks


def judge(
    suite: Suite,
    base: Results,
    head: Results,
    algorithms: Sequence[str] = (),
    environments: Sequence[str] = (),
    devices: Sequence[str] = (),
) -> Judgement:
    """Judge the stored runs of both sides, as the suite's table ``gate`` says, of the tasks that `in_scope` keeps."""
    scope = in_scope(suite, matched(base, head, suite.gate.measure), algorithms, environments, devices)
    damaged = [
        f"damaged on the {side}: {problem.path}: {problem.message}"
        for side, results in (("base", base), ("head", head))
        for problem in results.problems
    ]
    judgement = judge_scope(suite, scope, most_blocks(suite, environments, scope.tasks), damaged)
    if judgement.outcome is GateAnswer.INCOMPLETE and not len(base.runs):
        return replace(judgement, outcome=GateAnswer.NOTHING)
    return judgement


def judge_scope(suite: Suite, every: Scope, blocks: int, damaged: Sequence[str] = ()) -> Judgement:
    """Judge these tasks, of at most so many blocks; what is damaged is told where runs are missing."""
    rule = rule_of(suite, len(every.tasks) + len(every.unanswered), blocks)
    broken = list(events.broken(every.tasks, rule))
    every = every.answering()
    scope = every.scored()
    if scope.tasks:
        return _judgement(suite, rule, scope, every.tasks, broken, damaged)
    if broken:
        return _nothing(suite, GateAnswer.REGRESSED, rule, scope, (*broken, *scope.unanswered))
    if scope.unanswered:
        return _nothing(suite, GateAnswer.INCOMPLETE, rule, scope, (*scope.unanswered, *damaged))
    return _nothing(suite, GateAnswer.NOTHING, rule, scope, ())


def apart(suite: Suite, tasks: Sequence[Task]) -> Judgement:
    """The judgement where no task is comparable, each for a reason that is known before it is run."""
    return _nothing(suite, GateAnswer.NOTHING, rule_of(suite, len(tasks), 1), Scope([], list(tasks), []), ())


def _nothing(suite: Suite, outcome: GateAnswer, rule: Rule, scope: Scope, reasons: Sequence[str]) -> Judgement:
    seeds = Seeds([], [], False, [])
    return Judgement(suite.name, outcome, suite.gate.measure, rule, scope, seeds, reasons=tuple(reasons))


def _judgement(
    suite: Suite, rule: Rule, scope: Scope, every: Sequence[Task], broken: Sequence[str], damaged: Sequence[str]
) -> Judgement:
    seeds = chosen_seeds(scope.tasks, suite.seeds)
    tasks = scope.tasks
    told = [*tasks, *(task for task in every if task.unscored and _answers(task, seeds))]  # the scored ones first
    old, new = _scores(tasks, seeds)
    enough = seeds.each >= min(rule.looks[0], *(len(task.base) for task in tasks))
    same = seeds.paired and enough and not seeds.unfinished and all(map(_identical, tasks))
    decision = Decision(Verdict.UNDECIDED, None, None, final=False)
    if seeds.each and not same:
        bad = events.happened(told, seeds)
        decision = decide(old, new, rule, paired=seeds.paired, blocks=blocks(told)[: len(tasks)], events=bad)
    used = decision.look.seeds if decision.look else seeds.each
    oftener = _oftener(decision, rule)
    outcome = _outcome(scope, seeds, decision, bool(broken), same)
    found = [difference(task, seeds.base[:used], seeds.head[:used]) for task in tasks]
    overall, *each = changes = _changes(old[:used], new[:used], found, seeds.paired, blocks(tasks), rule, decision)
    missing = (*map(str, seeds.unfinished), *damaged) if outcome is GateAnswer.INCOMPLETE else ()
    lost = [task for task in every if task.unscored_head and not _identical(task)]
    unscored = [f"{task.name} is not judged: {task.unscored}" for task in lost]
    if unscored and outcome in (GateAnswer.PASSED, GateAnswer.IDENTICAL, GateAnswer.WITHIN_TOLERANCE):
        outcome = GateAnswer.INCONCLUSIVE
    tolerable = outcome is GateAnswer.REGRESSED and not (broken or decision.final)
    more = _more(changes, rule, seeds, used, tasks) if tolerable or outcome is GateAnswer.INCONCLUSIVE else None
    happened = (*events.newly_failing(every), *(events.told(told, name, p) for name, p in oftener.items()))
    guilty, innocent = (happened, ()) if outcome is GateAnswer.REGRESSED else ((), happened)
    return Judgement(
        suite=suite.name,
        outcome=outcome,
        measure=suite.gate.measure,
        rule=rule,
        scope=scope,
        seeds=seeds,
        used=used,
        look=decision.look,
        tasks=tuple(
            JudgedTask(task, apart, change, _task_verdict(task, seeds, change, rule, decision))
            if decision.look
            else _alone(suite, task, seeds, rule, decision)
            for task, apart, change in zip(tasks, found, each, strict=True)
        ),
        overall=overall,
        reasons=(*broken, *guilty, *unscored, *scope.unanswered, *missing),
        notes=(*innocent, *_notes(scope, seeds)),
        more=more,
        minutes=nan if more is None else more * sum(_seconds(task) for task in tasks) / 60,
    )


def _answers(task: Task, seeds: Seeds) -> bool:
    """Whether a task has a run of every chosen seed that says something."""
    sides = (task.base, seeds.base), (task.head, seeds.head)
    return all(seed in side and side[seed].counts for side, chosen in sides for seed in chosen)


def _oftener(decision: Decision, rule: Rule) -> dict[str, float]:
    """The p-values of the bad things of which the last look doubts that they happen no more often."""
    return {} if decision.seen is None else {name: p for name, p in decision.seen.events.items() if p <= rule.alpha}


def rule_of(suite: Suite, tasks: int, blocks: int) -> Rule:
    """The rule that a suite declares for so many tasks in so many blocks."""
    usual, gate = usual_rule(tasks, min(tasks, blocks)), suite.gate
    return Rule(gate.looks or usual.looks, gate.tolerance or usual.drop, gate.task_tolerance, gate.alpha)


def check_looks(suite: Suite, tasks: int, blocks: int, paired: bool, most: int | None = None) -> None:
    """Refuse looks that cannot tell a regression, however the runs of so many tasks, at most, turn out.

    Seeds count as paired only if it is known that they will; ``most`` of them per side may be run, None for any number.

    Raises:
        UsageError: naming the first look that can.
    """
    rule, blocks = rule_of(suite, tasks, blocks), min(tasks, blocks)
    if not (worth := [look.seeds for look in looks(rule, [k % blocks for k in range(tasks)], paired)]):
        enough = next(seeds for seeds in count(1) if smallest_p(seeds, blocks, True) <= rule.alpha - rule.of_breaking)
        raise UsageError(
            f"looks {list(rule.looks)} can decide nothing: on {counted(blocks, 'environment')}, with "
            f"alpha {rule.alpha:g}, it takes a look at {enough} seeds per side"
        )
    if most is not None and most < worth[0]:
        raise UsageError(f"--max-seeds {most}: the first look that can decide is at {worth[0]} seeds per side")


def _outcome(scope: Scope, seeds: Seeds, decision: Decision, failing: bool, same: bool) -> GateAnswer:
    """The answer: a regression that is seen is one, whatever is missing; all else waits until everything is there."""
    if failing or decision.verdict is Verdict.REGRESSED:
        return GateAnswer.REGRESSED
    if scope.unanswered or (decision.verdict is Verdict.UNDECIDED and seeds.unfinished):
        return GateAnswer.INCOMPLETE
    return GateAnswer.IDENTICAL if same else OF_VERDICT[decision.verdict]


def _identical(task: Task) -> bool:
    """Whether every seed that both sides have came out the same, and at least one was done."""
    pairs = [(task.base[seed], task.head[seed]) for seed in task.shared]
    done = [old.status == "done" for old, _ in pairs]
    return any(done) and all(
        old.status == new.status and (old.fingerprint == new.fingerprint != "" or not ended)
        for (old, new), ended in zip(pairs, done, strict=True)
    )


def _scores(tasks: Sequence[Task], seeds: Seeds) -> tuple[Floats, Floats]:
    """Scores [N, M] of both sides, less what counts as none."""
    old = [task.scores(task.base, seeds.base) - task.origin for task in tasks]
    new = [task.scores(task.head, seeds.head) - task.origin for task in tasks]
    return np.stack(old, axis=1), np.stack(new, axis=1)


def _changes(
    old: Floats,
    new: Floats,
    apart: Sequence[Difference],
    paired: bool,
    of_blocks: Sequence[int],
    rule: Rule,
    decision: Decision,
) -> list[Change]:
    """The change over all tasks, then that of each, from scores [N, M] of both sides and the tasks' differences."""
    tasks, seen, unseen = old.shape[1], decision.seen, [nan] * (old.shape[1] + 1)
    if not len(old):
        return [Change(UNKNOWN, nan, nan, nan, nan)] * (tasks + 1)
    scale = np.abs(old.mean(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = old / scale, new / scale
    relative = [_share(found.estimate, size) for found, size in zip(apart, scale, strict=True)]
    overall = relative[0] if tasks == 1 else UNKNOWN
    if tasks > 1 and np.isfinite(a).all() and np.isfinite(b).all():
        overall = intervals.difference(matrix(b, of_blocks), matrix(a, of_blocks), paired=paired)
    regressed = unseen if seen is None else [seen.regressed, *seen.task_regressed.tolist()]
    passed = unseen if seen is None else [seen.passed, *seen.task_passed.tolist()]
    detectable = detectable_drop(1.0, len(old), rule.alpha, paired=paired) if len(old) > 1 else nan
    sides = [(a.mean(axis=1), b.mean(axis=1)), *zip(a.T, b.T, strict=True)]
    spreads = [_spread(*both, paired) for both in sides]
    columns = zip([overall, *relative], regressed, passed, spreads, strict=True)
    return [Change(estimate, p, q, spread, detectable * spread) for estimate, p, q, spread in columns]


def _share(estimate: Estimate, scale: float) -> Estimate:
    """In units of the base's mean, unless that is 0."""
    if not scale > 0:
        return UNKNOWN
    return Estimate(estimate.value / scale, estimate.low / scale, estimate.high / scale, estimate.method)


def _spread(old: Floats, new: Floats, paired: bool) -> float:
    """Of a change from one seed to the next; NaN below two, or in units of nothing."""
    if len(old) < 2 or not (np.isfinite(old).all() and np.isfinite(new).all()):
        return nan
    return float(np.std(new - old, ddof=1)) if paired else sqrt(np.var(old, ddof=1) + np.var(new, ddof=1))


def _alone(suite: Suite, task: Task, seeds: Seeds, rule: Rule, decision: Decision) -> JudgedTask:
    """A task where no look was taken at all of them: its own seeds tell about it, whatever others lack."""
    own = chosen_seeds([task], suite.seeds)
    old, new = _scores([task], own)
    found = difference(task, own.base[: own.each], own.head[: own.each])
    change, _ = _changes(old[: own.each], new[: own.each], [found], own.paired, [0], rule, decision)
    return JudgedTask(task, found, change, _task_verdict(task, seeds, change, rule, decision))


def _task_verdict(task: Task, seeds: Seeds, change: Change, rule: Rule, decision: Decision) -> TaskVerdict:
    waiting = any(run.task == task.name for run in seeds.unfinished)
    if task.newly_failing:
        return TaskVerdict.NEWLY_FAILING
    if waiting and decision.verdict is Verdict.UNDECIDED:
        return TaskVerdict.INCOMPLETE
    if _identical(task):
        return TaskVerdict.IDENTICAL
    if decision.look is None or decision.seen is None:
        return TaskVerdict.UNCLEAR
    if decision.verdict in (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE):
        level = rule.alpha / len(decision.seen.task_regressed)
        if events.THRESHOLDS in _oftener(decision, rule) and events.lost(task) <= level:
            return TaskVerdict.LOST
        if change.regressed <= decision.look.alpha:
            return TaskVerdict.WORSE
    return TaskVerdict.NOT_WORSE if 0 < decision.look.passing >= change.passed else TaskVerdict.UNCLEAR


def _more(changes: Sequence[Change], rule: Rule, seeds: Seeds, used: int, tasks: Sequence[Task]) -> int | None:
    """Seeds per side to add: up to the next look at which an unchanged head can be expected to pass.

    By a t test with a power of 80 % of the tolerated drop, overall and on every task, at the spread seen so far.
    """
    declared = [look for look in looks(rule, blocks(tasks), seeds.paired) if look.seeds > seeds.each]
    if used < 2:
        return declared[0].seeds - seeds.each if declared else None
    left = [look.seeds for look in declared if smallest_p(look.seeds, 1, seeds.paired) <= look.passing]
    overall, *each = (change.spread for change in changes)
    asked = [(overall, rule.drop), *((spread, rule.task_drop) for spread in each)]
    needed = [runs_needed(*one, rule.alpha, paired=seeds.paired) if isfinite(one[0]) else None for one in asked]
    enough = max([enough_to_pass(rule, blocks(tasks)), *(n for n in needed if n is not None)])
    if None in needed or (not left and enough <= seeds.each):
        return None
    return next((n for n in left if n >= enough), enough) - seeds.each


def _seconds(task: Task) -> float:
    """Of one more seed on both sides."""
    sides = task.base.values(), task.head.values()
    return sum(mean([run.seconds for run in side if run.status == "done"]) for side in sides)


def _notes(scope: Scope, seeds: Seeds) -> Iterator[str]:
    tasks = scope.tasks
    if left_out := len(scope.not_judged):
        yield f"{left_out} of {left_out + len(tasks)} tasks cannot be compared, and are not judged"
    for task in tasks:
        if task.note:
            yield f"{task.name}: {task.note}"
        if not isfinite(task.random):
            yield f"{task.name}: no random score is known, so that shares are of the score itself"
        elif seeds.each and mean(task.scores(task.base, seeds.base)) <= task.random:
            yield f"{task.name}: the base is no better than a random policy, so that shares of its score mean little"
    if seeds.each and not seeds.paired:
        yield "seeds are not shared, so that runs do not pair"
    for name in ("base", "head"):
        commits = {run.commit for task in tasks for run in getattr(task, name).values()}
        if len(commits) > 1:
            yield f"the runs of the {name} come from {len(commits)} commits"
    machines = sorted({run.machine for task in tasks for run in task.runs})
    if len(machines) > 1:
        yield f"the runs come from several machines: {'; '.join(machines)}"
