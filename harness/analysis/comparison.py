"""What differs between two sides, task by task and overall: how much, how sure, and whether it is better or worse.

Numbers and p-values are those of `harness.analysis.pairing`; here they are adjusted for the number of tasks by Holm's
method, and put into words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from math import nan
from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis import metrics, pairing
from harness.analysis.pairing import UNKNOWN, UNTESTED, Difference, PValues, Task
from harness.analysis.tasks import contrasted, matched, told_seeds
from harness.statistics.aggregates import MEAN
from harness.statistics.decision import ALPHA
from harness.statistics.intervals import Estimate
from harness.statistics.multiplicity import adjustment, holm
from harness.statistics.runs import Runs, ragged
from harness.suite.measures import Failure, Measure

if TYPE_CHECKING:
    from harness.analysis.results import Results


_Compared = tuple[Task, Difference]
_Means = tuple[float, float, Estimate]  # of the base, of the head, and their difference
NO_MEANS = (nan, nan, UNKNOWN)
UNLIKE = "no interval and no test: seeds share luck among environments that have not the same ones"


class Finding(StrEnum):
    """What is said of the head."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "~"
    NEWLY_FAILING = "newly failing"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Row:
    """One task, or all tasks of an algorithm.

    Attributes:
        environment, algorithm, device: short name, "all" for all tasks; full id, preset and overrides; trained on.
        tasks: how many the row is about.
        base_runs, head_runs: runs of either side that count, on each task; the fewest, where tasks differ.
        pairs: how many of them pair by seed; 0 where they are compared unpaired.
        base_failed, head_failed: how many of these runs failed, and count as the floor.
        base, head: means; over all tasks, of normalised scores.
        difference, low, high: head less base, and the ends of its 95 % interval; NaN below three runs.
        p, p_adjusted: two-sided, that there is no difference; by Holm's method for all rows of its kind.
        verdict: about the head.
        reason: why it is not comparable, which seeds newly fail, or what else a reader should know.
    """

    environment: str
    algorithm: str
    device: str
    tasks: int
    base_runs: int
    head_runs: int
    pairs: int
    base_failed: int
    head_failed: int
    base: float
    head: float
    difference: float
    low: float
    high: float
    p: float
    p_adjusted: float
    verdict: Finding
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Two sides compared."""

    measure: str  # of a run
    base: str  # what the old side is called
    head: str  # the new one
    tasks: tuple[Row, ...]  # a row per task
    overall: tuple[Row, ...]  # a row per algorithm and device with several comparable tasks

    def table(self) -> pd.DataFrame:
        """All rows; the overall ones come last."""
        return pd.DataFrame([*self.tasks, *self.overall], columns=[*Row.__dataclass_fields__])


def compare(base: "Results", head: "Results", measure: str) -> Comparison:
    """The same algorithms in two sets of stored runs, by a measure that single runs have."""
    rows = _rows(matched(base, head, measure), same_algorithm=True)
    return Comparison(measure, base.path.as_posix(), head.path.as_posix(), *rows)


def compare_algorithms(results: "Results", base: str, head: str, measure: str) -> Comparison:
    """Two algorithms of one set of stored runs, by a measure that single runs have.

    Raises:
        UsageError: there are no runs of one of them.
    """
    tasks = contrasted(results, base, head, measure)
    return Comparison(measure, base, head, *_rows(tasks, same_algorithm=False))


def _rows(tasks: Sequence[Task], same_algorithm: bool) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    usable = [(task, pairing.difference(task)) for task in tasks if not _why_not(task)]
    each = zip(usable, adjustment(holm, [apart.test.p for _, apart in usable]), strict=True)
    rows = []
    for task in tasks:
        if why_not := _why_not(task):
            apart = Difference(pairing.sample(task, pair=False), UNKNOWN, UNTESTED)
            rows.append(_row([(task, apart)], NO_MEANS, UNTESTED, nan, Finding.NOT_COMPARABLE, why_not))
            continue
        (_, apart), adjusted = next(each)
        verdict, reason = _finding(task.measure, apart.test, adjusted, apart.estimate.value), task.note
        if same_algorithm and task.newly_failing:
            verdict, reason = Finding.NEWLY_FAILING, told_seeds(task.newly_failing)
        means = (*apart.sample.means, apart.estimate)
        rows.append(_row([(task, apart)], means, apart.test, adjusted, verdict, reason))
    return tuple(rows), tuple(_overall_rows(usable))


def _why_not(task: Task) -> str:
    """Why there is nothing to compare; empty if there is."""
    absent = [name for name, side in (("base", task.base), ("head", task.head)) if not pairing.counting(side)]
    return task.why_not or task.unscored or (f"no run of the {absent[0]} is done" if absent else "")


def _overall_rows(compared: Sequence[_Compared]) -> Iterator[Row]:
    """A row for each algorithm and device with several tasks, each of which has the same weight."""

    def of(each: _Compared) -> tuple[str, str]:
        return each[0].algorithm, each[0].device

    groups = [list(group) for _, group in groupby(sorted(compared, key=of), of)]
    groups = [group for group in groups if len(group) > 1]
    tests = [pairing.p_values(*_sides(group)) for group in groups]
    for group, test, adjusted in zip(groups, tests, adjustment(holm, [test.p for test in tests]), strict=True):
        measure = group[0][0].measure
        if all(task.normal for task, _ in group):
            base, head, paired = _sides(group, normalised=True)
            means, told = (MEAN(base), MEAN(head), pairing.interval(base, head, paired)), "normalised scores"
        else:  # Without a common scale the test is all there is: it measures each task by its own spread.
            why = "a task has no reference score" if measure.failure is Failure.RANDOM else "it is no return"
            means, told = NO_MEANS, f"no common scale: {why}"
        if not _sides(group)[0].blocks:
            told = f"{told}; {UNLIKE}"
        yield _row(group, means, test, adjusted, _finding(measure, test, adjusted, means[2].value), told)


def _sides(group: Sequence[_Compared], normalised: bool = False) -> tuple[Runs, Runs, bool]:
    """The scores of the base and of the head, and whether they pair."""
    scores = [
        [metrics.normalised(of, task.random, task.reference) if normalised else of for of in apart.sample.scores]
        for task, apart in group
    ]
    blocks = pairing.related([task for task, _ in group], [apart.sample for _, apart in group])
    base, head = (ragged(side, blocks) for side in zip(*scores, strict=True))
    return base, head, _paired(group)


def _paired(group: Sequence[_Compared]) -> bool:
    return all(apart.sample.paired for _, apart in group)


def _finding(measure: Measure, test: PValues, adjusted: float, apart: float) -> Finding:
    """Better or worse only where the test says so, and the mean, if there is one, does not say the opposite."""
    way = -1 if test.less < test.more else 1
    if not adjusted <= ALPHA or way * apart <= 0:
        return Finding.UNCLEAR
    return Finding.BETTER if (way > 0) == measure.more_is_better else Finding.WORSE


def _row(
    group: Sequence[_Compared], means: _Means, test: PValues, adjusted: float, verdict: Finding, reason: str
) -> Row:
    (task, _), (base, head, apart) = group[0], means
    base_runs, head_runs = (min(len(found.sample.seeds[side]) for _, found in group) for side in (0, 1))
    return Row(
        environment=task.environment if len(group) == 1 else "all",
        algorithm=task.algorithm,
        device=task.device,
        tasks=len(group),
        base_runs=base_runs,
        head_runs=head_runs,
        pairs=base_runs if _paired(group) else 0,
        base_failed=sum(found.sample.failed[0] for _, found in group),
        head_failed=sum(found.sample.failed[1] for _, found in group),
        base=base,
        head=head,
        difference=apart.value,
        low=apart.low,
        high=apart.high,
        p=test.p,
        p_adjusted=float(adjusted),
        verdict=verdict,
        reason=reason,
    )
