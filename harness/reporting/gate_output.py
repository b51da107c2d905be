"""What a gate found, for people, programs, test reports and the summary page of a CI job.

Names come from plugins and from strangers' results: in every format they are text, on one line.
"""

import re
from collections.abc import Iterator
from math import isfinite
from textwrap import shorten
from typing import Any
from xml.etree import ElementTree

from harness.analysis.pairing import Task
from harness.reporting.plain_cells import interval, known, number, place, score
from harness.statistics.sequential import enough_to_pass
from harness.text import counted, one_line
from harness.verdicts.judgement import Change, GateAnswer, Inconclusive, JudgedTask, Judgement, TaskVerdict

NUMBERS = ("change", "95 % interval", "p worse", "p not worse", "detectable")
HEADER = ("environment", "algorithm", "n", "base", "head", *NUMBERS, "verdict")
LONGEST_REASON = 80  # characters, in a table
BAD = (TaskVerdict.WORSE, TaskVerdict.LOST, TaskVerdict.NEWLY_FAILING)


def rows(judgement: Judgement) -> Iterator[tuple[str, ...]]:
    """A row per task that was judged, one for all of them, and one per task that was not."""
    for judged in judgement.tasks:
        sample = judged.difference.sample
        n, scores = str(len(sample.seeds[0])), map(score, sample.means, sample.failed)
        yield (*_names(judged.task), n, *scores, *_cells(judged.change), _verdict(judged))
    if judgement.overall is not None:
        n = f"{judgement.used} x {len(judgement.tasks)}"
        yield ("all", "", n, "", "", *_cells(judgement.overall), judgement.outcome)
    for task in judgement.scope.not_comparable:
        yield (*_names(task), *[""] * (len(HEADER) - 3), f"not comparable ({one_line(task.why_not)})")


def _names(task: Task) -> tuple[str, str]:
    return one_line(place(task.environment, task.device)), one_line(task.algorithm)


def _verdict(judged: JudgedTask) -> str:
    why = judged.task.why_failing
    return f"{judged.verdict} ({shorten(why, LONGEST_REASON, placeholder=' ...')})" if why else judged.verdict


def _cells(change: Change) -> tuple[str, ...]:
    """The columns `NUMBERS`."""
    value, low, high, _ = change.relative
    no_drop, drop = number(change.regressed, ".2g"), number(change.passed, ".2g")
    return (number(value, "+.1%"), interval(value, low, high, "+.1%"), no_drop, drop, number(change.detectable, ".1%"))


def sentences(judgement: Judgement) -> Iterator[str]:
    """The answer, why, and what would help, a line each."""
    yield f"{judgement.suite}: {judgement.outcome}"
    if judgement.tasks:
        pairs = "paired by seed" if judgement.seeds.paired else "not paired"
        on = counted(len(judgement.tasks), "task")
        yield (
            f"{judgement.measure} of {counted(judgement.used, 'seed')} per side on {on}, {pairs}; tolerated: "
            f"{judgement.rule.drop:.0%} overall, {judgement.rule.task_drop:.0%} on a task"
        )
    if judgement.look is not None and judgement.overall is not None:
        _, _, no_drop, drop, _ = _cells(judgement.overall)
        yield (
            f"look at {judgement.look.seeds} seeds: p = {no_drop} of no drop, p = {drop} of one of "
            f"{judgement.rule.drop:.0%} or more; it may regress up to {judgement.look.alpha:.2g} and pass "
            + (f"up to {passing:.2g}" if (passing := judgement.look.passing) else f"from {_enough(judgement)} on")
        )
        yield _budget(judgement)
    if judgement.outcome is GateAnswer.IDENTICAL:
        yield f"every return of {counted(judgement.used, 'seed')} per task is the same on both sides"
    elif judgement.overall is not None and isfinite(judgement.overall.detectable):
        yield f"minimum detectable drop at this n: {judgement.overall.detectable:.1%} over all tasks"
    yield from map(one_line, judgement.reasons)
    if judgement.outcome is GateAnswer.INCOMPLETE:
        yield "runs are missing: `harness run` repeats those that are not done, and those whose files are damaged"
    if judgement.outcome is GateAnswer.INCONCLUSIVE:
        yield _advice(judgement)
    if judgement.outcome is GateAnswer.REGRESSED and judgement.more is not None:
        yield f"the drop may be within what is tolerated; to tell: {_advice(judgement)}"
    yield from (f"note: {one_line(note)}" for note in judgement.notes)


def _enough(judgement: Judgement) -> str:
    return counted(enough_to_pass(judgement.rule, judgement.blocks), "seed")


def _budget(judgement: Judgement) -> str:
    """What may be wrong, and how often, all questions together."""
    rule = judgement.rule
    return (
        f"of equal sides at most {rule.alpha:.2g} are called regressed: {rule.alpha - rule.of_breaking:.2g} by one "
        "test of scores, failures and thresholds at all looks, "
        f"{rule.of_breaking:.2g} by tasks on which every run newly fails"
    )


def _advice(judgement: Judgement) -> str:
    if judgement.more is None:
        return "more seeds are not expected to decide: scores scatter too much, or the drop is close to the tolerance"
    text = f"{counted(judgement.more, 'more seed')} per side needed"
    if isfinite(judgement.minutes):
        text += f", about {judgement.minutes:.2g} minutes of runs one after the other"
    if judgement.seeds.each + judgement.more > judgement.rule.looks[-1]:
        text += f"; that is beyond the last look at {judgement.rule.looks[-1]} seeds: declare a later one"
    return text


def as_json(judgement: Judgement) -> dict[str, Any]:
    """The judgement as JSON values; what is not known is null."""
    rule, seeds, look = judgement.rule, judgement.seeds, judgement.look
    found = {
        "schema": 1,
        "suite": judgement.suite,
        "outcome": judgement.outcome,
        "measure": judgement.measure,
        "rule": {
            "looks": list(rule.looks),
            "tolerance": rule.drop,
            "task_tolerance": rule.task_drop,
            "alpha": rule.alpha,
            "alpha_of_breaking": rule.of_breaking,
        },
        "seeds": {"base": seeds.base, "head": seeds.head, "paired": seeds.paired, "used": judgement.used},
        "look": None if look is None else {"seeds": look.seeds, "alpha": look.alpha, "passing": look.passing},
        "overall": None if judgement.overall is None else _change(judgement.overall),
        "tasks": [_task(judged) for judged in judgement.tasks],
        "not_comparable": [{**_identity(task), "reason": task.why_not} for task in judgement.scope.not_comparable],
        "machines": _distinct(judgement, "machine"),
        "commits": _distinct(judgement, "commit"),
        "reasons": list(judgement.reasons),
        "notes": list(judgement.notes),
        "more_seeds": judgement.more,
        "minutes": judgement.minutes,
    }
    return known(found)


def _distinct(judgement: Judgement, column: str) -> dict[str, list[str]]:
    tasks = [judged.task for judged in judgement.tasks]
    return {
        side: sorted({getattr(run, column) for task in tasks for run in getattr(task, side).values()})
        for side in ("base", "head")
    }


def _task(judged: JudgedTask) -> dict[str, Any]:
    task, (found, estimate, test) = judged.task, judged.difference
    numbers = {
        "used": len(found.seeds[0]),
        "base": found.means[0],
        "head": found.means[1],
        "base_failed": found.failed[0],
        "head_failed": found.failed[1],
        "newly_failing": task.newly_failing,
        "error": task.why_failing or None,
        "difference": estimate.value,
        "difference_low": estimate.low,
        "difference_high": estimate.high,
        "p": test.p,
    }
    return {**_identity(task), "verdict": judged.verdict, **known(numbers), **_change(judged.change)}


def _identity(task: Task) -> dict[str, str]:
    return {"environment": task.environment, "algorithm": task.algorithm, "device": task.device}


def _change(change: Change) -> dict[str, float | str | None]:
    relative = dict(zip(("change", "low", "high", "interval"), change.relative, strict=True))
    p = {"p_regressed": change.regressed, "p_passed": change.passed}
    return known({**relative, **p, "spread": change.spread, "detectable_drop": change.detectable})


def junit(judgement: Judgement, strict: bool = False, inconclusive: Inconclusive = "warn") -> str:
    """A JUnit XML document: a test case per task, and one for the whole, which fails where the gate does.

    What it fails for, beside a regression, is said as `Judgement.exit_code` takes it.
    """
    name, ending = f"harness gate {judgement.suite}", _ending(judgement, strict, inconclusive)
    cases = [_case(name, "all tasks", ending, judgement.outcome, "\n".join(sentences(judgement)))]
    for judged in judgement.tasks:
        bad = "failure" if ending == "failure" and judged.verdict in BAD else ""
        tag = "error" if judged.verdict is TaskVerdict.INCOMPLETE else bad
        cases.append(_case(name, judged.task.name, tag, _verdict(judged), _told(judged)))
    for task in judgement.scope.not_comparable:
        cases.append(_case(name, task.name, "skipped", f"not comparable: {task.why_not}", ""))
    for missing in judgement.scope.unanswered:
        cases.append(_case(name, missing, "error", "incomplete", ""))
    counts = {
        kind: str(sum(case.find(tag) is not None for case in cases))
        for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = ElementTree.Element("testsuite", {"name": name, "tests": str(len(cases)), **counts})
    suite.extend(cases)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode") + "\n"


def _ending(judgement: Judgement, strict: bool, inconclusive: Inconclusive) -> str:
    """The element that says how the whole ended; "" for a pass."""
    if judgement.outcome in (GateAnswer.INCOMPLETE, GateAnswer.NOTHING):
        return "error"
    if judgement.exit_code(strict, inconclusive):
        return "failure"
    undecided = judgement.outcome is GateAnswer.INCONCLUSIVE and judgement.warns(strict, inconclusive)
    return "skipped" if undecided else ""


def _case(suite: str, name: str, tag: str, message: str, text: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": one_line(suite), "name": one_line(name)})
    if tag:
        ElementTree.SubElement(case, tag, {"message": one_line(message)}).text = text if tag != "skipped" else None
    if text:
        ElementTree.SubElement(case, "system-out").text = text
    return case


def _told(judged: JudgedTask) -> str:
    sample = judged.difference.sample
    cells = (*map(score, sample.means, sample.failed), *_cells(judged.change))
    return ", ".join(f"{name} {cell}" for name, cell in zip(("base", "head", *NUMBERS), cells, strict=True))


def markdown(judgement: Judgement) -> str:
    """What a CI job shows on its page."""
    answer, *rest = sentences(judgement)
    table = [HEADER, ["---"] * len(HEADER), *(map(_escaped, row) for row in rows(judgement))]
    lines = [f"## {_escaped(answer)}", "", *(f"- {_escaped(line)}" for line in rest), ""]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in table), "", ""])


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: neither its marks nor HTML's mean anything in it."""
    return re.sub(r"([\\`*_{}\[\]<>#!|~&@$]|:(?=//))", lambda mark: f"&#{ord(mark[0])};", one_line(text))
