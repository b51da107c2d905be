"""Which claims of a suite hold: each compares a contestant with another, or with a number, by one measure.

On stored runs its advantage has a lower and an upper bound, each with the confidence the claim asks for. A claim holds
where the lower one reaches its margin, fails where the upper one stays below it, and is undecided between. What becomes
of runs that did not finish is said in docs/semantics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from math import sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.measures import OF_GROUP
from harness.analysis.pairing import UNKNOWN, Task, difference, interval
from harness.analysis.results import Results
from harness.analysis.stats import score_intervals
from harness.analysis.summaries import FAILED
from harness.analysis.tasks import task_of, told_seeds, valued
from harness.contract.errors import UsageError
from harness.discovery.selection import parse_selection
from harness.statistics import groups
from harness.statistics.decision import runs_needed
from harness.statistics.groups import group_difference
from harness.statistics.intervals import BOUNDED, FEWEST_RUNS, LEVEL, NONE, Estimate
from harness.statistics.laws import student_quantile
from harness.statistics.runs import Floats, ragged
from harness.suite.measures import named
from harness.suite.schema import Claim, Suite
from harness.text import counted


class ClaimVerdict(StrEnum):
    """What the runs say about a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class JudgedClaim:
    """A claim, what became of it on one device, and the evidence.

    The ends of the advantage are a lower and an upper bound, each with the claim's confidence. The number of more seeds
    is right if what was seen is the truth.
    """

    claim: Claim  # as the suite states it
    device: str  # the runs trained on
    verdict: ClaimVerdict
    reason: str = ""  # why it is not judged, or else what the numbers do not say; may be empty
    runs: int = 0  # pairs of runs, one of each contestant with the same seed; runs, where it is compared with a number
    better: float = np.nan  # the measure of the contestant said to be better: its mean over runs, or of the group
    than: float = np.nan  # that of the other, or the number
    advantage: Estimate = UNKNOWN  # of the one said to be better, in the unit of the measure; negative if it is worse
    interval: Estimate = UNKNOWN  # the same with its 95 % interval; unknown of a measure of a group
    p: float = np.nan  # two-sided, that there is no difference; NaN of a measure of a group
    more_seeds: int | None = None  # about how many would decide it; None if none are needed, or more than `MOST_RUNS`


class ClaimDecision(NamedTuple):
    """What numbers say about a claim."""

    verdict: ClaimVerdict  # holds, fails or undecided
    advantage: Estimate  # of the contestant said to be better, with its two bounds
    more_seeds: int | None  # as in `JudgedClaim`


class _NotJudgedError(Exception):
    """Why the stored runs do not answer a claim."""


class _Entry(NamedTuple):
    """One contestant's runs of a claim."""

    name: str  # as the claim writes it
    runs: pd.DataFrame  # rows of the table of runs, with their values

    @property
    def failed(self) -> str:
        """How many runs failed, in words; empty if none did."""
        count = int(self.runs["status"].isin(FAILED).sum())
        return f"{counted(count, 'run')} of {self.name} failed" if count else ""


def judged(suite: Suite, results: Results) -> list[JudgedClaim]:
    """The verdict on every claim of a suite, on every device that its runs were trained on; other runs are left out.

    Raises:
        UsageError: the suite makes no claims, or none of the runs is of this suite.
    """
    if not suite.claims:
        raise UsageError(f"suite {suite.name!r} makes no claims; they are written as [[claims]] in its file")
    stored = results.runs[results.runs["suite"] == suite.name]
    if stored.empty:
        others = ", ".join(map(repr, sorted(results.runs["suite"].unique()))) or "none"
        raise UsageError(f"{results.path}: holds no run of suite {suite.name!r}; suites there: {others}")
    of_runs = {claim.metric: "final_score" if claim.metric in OF_GROUP else claim.metric for claim in suite.claims}
    runs = {metric: (table := valued(results, name))[table["suite"] == suite.name] for metric, name in of_runs.items()}
    found = []
    for claim, device in product(suite.claims, sorted(stored["device"].unique())):
        here = runs[claim.metric]
        here = here[here["device"] == device]
        try:
            names = [claim.better] if claim.than is None else [claim.better, claim.than]
            sides = [_entry(here, name, claim.environment) for name in names]
            _check_tasks(suite, claim, sides, results)
            _check_seeds(suite, sides)
            found.append((_measured if claim.than is None else _compared)(claim, device, *sides))
        except _NotJudgedError as reason:
            found.append(JudgedClaim(claim, device, ClaimVerdict.NOT_JUDGED, str(reason)))
    return found


def expected_by_chance(claims: Sequence[JudgedClaim]) -> float:
    """How many of these claims would be found to hold if each advantage were exactly the margin."""
    return sum(1 - each.claim.confidence for each in claims if each.verdict is not ClaimVerdict.NOT_JUDGED)


def _entry(runs: pd.DataFrame, contestant: str, environment: str) -> _Entry:
    """The stored runs of exactly this configuration on this environment."""
    selection = parse_selection(contestant)
    here = runs[runs["environment_name"] == environment.rpartition("/")[2]]
    named = [
        selection.id in (id_, id_.rpartition("/")[2]) and stored == id_ + selection.variant
        for stored, id_ in zip(here["contestant"], here["algorithm_id"], strict=True)
    ]
    found = here[named]
    if found.empty:
        raise _NotJudgedError(f"no run of {contestant} on {environment} is stored")
    return _Entry(contestant, found)


def _check_tasks(suite: Suite, claim: Claim, sides: Sequence[_Entry], results: Results) -> None:
    """Refuse runs that were not all asked what the suite asks now."""
    both = pd.concat([side.runs for side in sides])
    if both["task_hash"].nunique() > 1:
        raise _NotJudgedError(f"the runs on {claim.environment} differ in task, budget or evaluation")
    asked = suite.for_environment(claim.environment)
    job = results.manifest(both["key"].iloc[0]).get("job")
    told = job if isinstance(job, dict) else {}
    for what, ran, wanted in (
        ("steps", int(both["budget"].iloc[0]), asked.steps),
        ("evaluations", told.get("points"), asked.points),
        ("episodes per evaluation", told.get("episodes"), asked.episodes),
    ):
        if isinstance(ran, int) and ran != wanted:  # a stranger's manifest may hold anything, or nothing
            raise _NotJudgedError(f"the suite asks for {wanted:,} {what}; the runs have {ran:,}")


def _check_seeds(suite: Suite, sides: Sequence[_Entry]) -> None:
    """Refuse contestants that lack a run which the suite asks for, or which the other one has."""
    wanted = {*suite.seeds, *(seed for side in sides for seed in side.runs["seed"])}
    for side in sides:
        if absent := wanted.difference(side.runs["seed"]):
            raise _NotJudgedError(f"{side.name} was not run with {told_seeds(absent)}")
        unfinished = side.runs[~side.runs["status"].isin(["done", *FAILED])]
        if not unfinished.empty:
            statuses = " or ".join(sorted(unfinished["status"].unique()))
            raise _NotJudgedError(f"{side.name} with {told_seeds(unfinished['seed'])} was {statuses}")


def _compared(claim: Claim, device: str, better: _Entry, than: _Entry) -> JudgedClaim:
    """The verdict on the runs of both, which have the same seeds."""
    measure = named(claim.metric)
    task, failed = _task(claim, device, better, than)
    found = difference(task)
    of_than, of_better = found.sample.scores
    decision = decide(claim, of_better, of_than, task.most)
    if decision.verdict is ClaimVerdict.HOLDS and than.failed:
        raise _NotJudgedError(f"it would hold, but {than.failed}, and that must not decide it")
    of_runs = OF_GROUP.get(claim.metric, np.mean)
    shared = found.estimate if measure.more_is_better else found.estimate.turned
    return JudgedClaim(
        claim,
        device,
        decision.verdict,
        reason=failed,
        runs=len(of_better),
        better=float(of_runs(of_better)),
        than=float(of_runs(of_than)),
        advantage=decision.advantage,
        interval=UNKNOWN if measure.of_group else shared,
        p=np.nan if measure.of_group else found.test.p,
        more_seeds=decision.more_seeds,
    )


def _task(claim: Claim, device: str, better: _Entry, than: _Entry) -> tuple[Task, str]:
    """Both sides as a task, and which runs failed, in words."""
    names = (than.name, better.name)
    task = task_of((claim.environment, better.name, device), than.runs, better.runs, named(claim.metric), names)
    if task.why_not:
        raise _NotJudgedError(task.why_not)
    failed = list(dict.fromkeys(side.failed for side in (better, than) if side.failed))
    if task.unscored:
        raise _NotJudgedError(f"{' and '.join(failed)}, and {task.unscored}")
    return task, "; ".join(failed)


def _measured(claim: Claim, device: str, entry: _Entry) -> JudgedClaim:
    """The verdict on the runs of a contestant that is compared with a number."""
    task, failed = _task(claim, device, entry, entry)
    values = task.scores(task.head, sorted(task.head))
    sure, spread = _beyond(claim, values, entry.runs, 2 * claim.confidence - 1)
    decision = _decision(claim, sure, spread, len(values))
    if decision.verdict is ClaimVerdict.HOLDS and failed and claim.at_least is None:
        raise _NotJudgedError(f"it would hold, but {failed}, and that must not decide it")
    return JudgedClaim(
        claim,
        device,
        decision.verdict,
        reason=failed,
        runs=len(values),
        better=float(np.mean(values)),
        than=float(claim.number or 0),
        advantage=decision.advantage,
        interval=_beyond(claim, values, entry.runs, LEVEL)[0],
        more_seeds=decision.more_seeds,
    )


def _beyond(claim: Claim, values: Floats, runs: pd.DataFrame, level: float) -> tuple[Estimate, float]:
    """By how much the number is met by the mean return of runs, values [N], bounds as in tables of scores; the spread.

    The spread is that with which Student's interval would be as wide.
    """
    ((low, high),), why_none = score_intervals(values[:, None], runs, level)
    if why_none and len(values) >= FEWEST_RUNS:
        raise _NotJudgedError(f"the mean of {claim.better} has no bounds: {why_none}")
    mean, number = float(np.mean(values)), float(claim.number or 0)
    spread = (
        max(mean - low, high - mean) * sqrt(len(values)) / student_quantile((1 + level) / 2, max(len(values) - 1, 1))
    )
    found = Estimate(mean - number, low - number, high - number, NONE if np.isnan(low) else BOUNDED)
    return found if claim.at_most is None else found.turned, spread


def decide(claim: Claim, better: Floats, than: Floats, most: float = np.inf) -> ClaimDecision:
    """The verdict on the measure of each run [N] of the contestant said to be better, and of the other.

    Run i of both has the same seed; of group measures it is final scores that are given. No advantage exceeds ``most``.
    """
    first, second = (better, than) if named(claim.metric).more_is_better else (than, better)
    level = 2 * claim.confidence - 1  # of an interval whose ends are bounds of that confidence
    if statistic := OF_GROUP.get(claim.metric):
        estimate, spread = group_difference(first, second, statistic, level=level)
    else:
        estimate = interval(ragged([second]), ragged([first]), True, most, level)
        spread = float(np.std(first - second, ddof=1)) if len(first) > 1 else np.nan
    return _decision(claim, estimate, spread, len(better))


def _decision(claim: Claim, estimate: Estimate, spread: float, runs: int) -> ClaimDecision:
    """The verdict on an advantage; a number is met by its equal, and at margin 0 nobody is better than an equal."""
    if estimate.low >= claim.margin and (estimate.low > 0 or claim.margin < 0 or claim.than is None):
        return ClaimDecision(ClaimVerdict.HOLDS, estimate, None)
    if estimate.high < claim.margin:
        return ClaimDecision(ClaimVerdict.FAILS, estimate, None)
    return ClaimDecision(ClaimVerdict.UNDECIDED, estimate, _more_seeds(claim, estimate, spread, runs))


def _more_seeds(claim: Claim, estimate: Estimate, spread: float, runs: int) -> int | None:
    """With how many more seeds a t test would decide it in 4 of 5 cases, were the advantage what it seems to be."""
    fewest = groups.FEWEST_RUNS if claim.metric in OF_GROUP else FEWEST_RUNS
    if runs < fewest:
        return fewest - runs
    distance = abs(estimate.value - claim.margin)
    needed = runs_needed(spread, distance, 1 - claim.confidence) if distance > 0 else None
    return None if needed is None else max(needed - runs, 1)
