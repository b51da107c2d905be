"""What differs between two sides, task by task and overall: how much, how sure, and whether it is better or worse.

Runs that failed by themselves count as the floor. Seeds pair where both sides have them; interrupted, skipped and
missing runs make no pair. p-values are two-sided, of the permutation tests that a gate uses too, and adjusted for the
number of tasks by Holm's method.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import groupby
from math import nan
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.results import Results
from harness.statistics.aggregates import MEAN
from harness.statistics.decision import ALPHA, drops, min_p
from harness.statistics.intervals import FEWEST_RUNS, NONE, Estimate, difference
from harness.statistics.multiplicity import holm
from harness.statistics.runs import Floats, Runs, ragged
from harness.verdicts.sides import Task, contrasted, matched

UNKNOWN = Estimate(nan, nan, nan, NONE)
EVERYWHERE = "all"


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
        environment: its short name; "all" for all tasks.
        algorithm: full id, preset and overrides.
        device: trained on.
        tasks: how many the row is about.
        base_runs: runs of the base that count, on each task; the fewest, where tasks differ.
        head_runs: of the head.
        pairs: how many of them pair by seed; 0 where they are compared unpaired.
        base_failed: how many of these runs failed, and count as the floor.
        head_failed: likewise.
        base: mean; over all tasks, of normalised scores.
        head: likewise.
        difference: head less base.
        low: end of its 95 % interval; NaN below three runs.
        high: the other end.
        p: two-sided, that there is no difference.
        p_adjusted: by Holm's method for all rows of its kind.
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
    """Two sides compared.

    Attributes:
        measure: of a run.
        base: what the old side is called.
        head: the new one.
        tasks: a row per task.
        overall: a row per algorithm and device with several comparable tasks.
    """

    measure: str
    base: str
    head: str
    tasks: tuple[Row, ...]
    overall: tuple[Row, ...]

    def table(self) -> pd.DataFrame:
        """All rows; the overall ones come last."""
        return pd.DataFrame(
            [asdict(row) for row in (*self.tasks, *self.overall)], columns=list(Row.__dataclass_fields__)
        )


def compare(base: Results, head: Results, measure: str) -> Comparison:
    """The same algorithms in two sets of stored runs.

    Args:
        base: of the old side.
        head: of the new side.
        measure: the name of one that single runs have.
    """
    rows = _rows(matched(base, head, measure), same_algorithm=True)
    return Comparison(measure, base.path.as_posix(), head.path.as_posix(), *rows)


def compare_algorithms(results: Results, base: str, head: str, measure: str) -> Comparison:
    """Two algorithms of one set of stored runs.

    Args:
        results: stored runs.
        base: the algorithm that is compared with.
        head: the one that is judged.
        measure: the name of one that single runs have.

    Raises:
        UsageError: there are no runs of one of them.
    """
    tasks = contrasted(results, base, head, measure)
    return Comparison(measure, base, head, *_rows(tasks, same_algorithm=False))


@dataclass(frozen=True)
class _Sample:
    """The runs of one task that count, on both sides; run i has the same seed on both if they pair."""

    task: Task
    base: list[int]
    head: list[int]
    paired: bool

    @property
    def scores(self) -> tuple[Floats, Floats]:
        return self.task.scores(self.task.base, self.base), self.task.scores(self.task.head, self.head)

    @property
    def failed(self) -> tuple[int, int]:
        """How many of these runs failed, on each side."""
        sides = (self.task.base, self.base), (self.task.head, self.head)
        base, head = (sum(side[seed].failed for seed in seeds) for side, seeds in sides)
        return base, head


class _Test(NamedTuple):
    """A two-sided p-value of no difference, and which way the runs point."""

    p: float
    way: Finding


class _Means(NamedTuple):
    """Of both sides."""

    base: float
    head: float
    difference: Estimate


def _rows(tasks: Sequence[Task], same_algorithm: bool) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Rows of the tasks, and of all tasks of an algorithm."""
    samples = [_sample(task) for task in tasks]
    usable = [sample for sample in samples if sample is not None]
    tests = _tested([[sample] for sample in usable])
    rows = tuple(
        _not_comparable(task) if sample is None else _task_row(sample, *next(tests), same_algorithm)
        for task, sample in zip(tasks, samples, strict=True)
    )
    groups = _of_an_algorithm(usable)
    return rows, tuple(
        _overall_row(group, *tested) for group, tested in zip(groups, _tested(groups), strict=True)
    )


def _sample(task: Task) -> _Sample | None:
    """The seeds that count: those that both sides have, unless they are too few; None if nothing can be compared."""
    base, head = ([seed for seed in sorted(side) if side[seed].judged] for side in (task.base, task.head))
    if task.why_not or not base or not head:
        return None
    shared = [seed for seed in base if seed in head]
    if len(shared) >= min(FEWEST_RUNS, len(base), len(head)):
        return _Sample(task, shared, shared, paired=True)
    return _Sample(task, base, head, paired=False)


def _of_an_algorithm(samples: Sequence[_Sample]) -> list[list[_Sample]]:
    """Those of an algorithm and device that has several."""

    def cell(sample: _Sample) -> tuple[str, str]:
        return sample.task.algorithm, sample.task.device

    groups = [list(group) for _, group in groupby(sorted(samples, key=cell), cell)]
    return [group for group in groups if len(group) > 1]


def _tested(groups: Sequence[Sequence[_Sample]]) -> Iterator[tuple[_Test, float]]:
    """A test of each group, and its p-value adjusted for them all."""
    tests = [_test(group, len(groups)) for group in groups]
    return zip(tests, map(float, holm([test.p for test in tests])), strict=True)


def _test(samples: Sequence[_Sample], tests: int) -> _Test:
    """Is there a difference on any of these tasks, or on all of them together?

    Signs of pairs are permuted where all pair and there are enough of them to reject, adjusted for so many tests;
    labels otherwise.
    """
    old, new = (ragged([sample.scores[side] for sample in samples]) for side in (0, 1))
    pairs = sum(old.counts) if all(sample.paired for sample in samples) else 0
    paired = pairs > 0 and 2 * tests * 0.5**pairs <= ALPHA
    worse, better = min_p(drops(old, new, paired)), min_p(drops(new, old, paired))
    return _Test(min(1.0, 2 * min(worse, better)), Finding.WORSE if worse < better else Finding.BETTER)


def _means(old: Runs, new: Runs, paired: bool) -> _Means:
    return _Means(MEAN(old), MEAN(new), difference(new, old, paired=paired))


def _task_row(sample: _Sample, test: _Test, adjusted: float, same_algorithm: bool) -> Row:
    task, (old, new) = sample.task, (ragged([scores]) for scores in sample.scores)
    means = _means(old, new, sample.paired)
    failing = task.newly_failing if same_algorithm else []
    if failing:
        seeds = f"seed{'s' * (len(failing) > 1)} {', '.join(map(str, failing))}"
        return _row([sample], task.environment, means, test, adjusted, Finding.NEWLY_FAILING, seeds)
    verdict = _finding(means.difference.value, adjusted, test.way)
    return _row([sample], task.environment, means, test, adjusted, verdict, task.note)


def _overall_row(group: Sequence[_Sample], test: _Test, adjusted: float) -> Row:
    if not all(sample.task.known_scale for sample in group):
        # Without a common scale the test is all there is: it measures each task by its own spread.
        verdict = test.way if adjusted <= ALPHA else Finding.UNCLEAR
        why = "no common scale: a task has no reference score"
        return _row(group, EVERYWHERE, _Means(nan, nan, UNKNOWN), test, adjusted, verdict, why)
    old, new = (ragged([_normalised(sample, side) for sample in group]) for side in (0, 1))
    means = _means(old, new, all(sample.paired for sample in group))
    verdict = _finding(means.difference.value, adjusted, test.way)
    return _row(group, EVERYWHERE, means, test, adjusted, verdict, "normalised scores")


def _normalised(sample: _Sample, side: int) -> Floats:
    task = sample.task
    return np.asarray((sample.scores[side] - task.random) / (task.reference - task.random))


def _finding(difference: float, adjusted: float, way: Finding) -> Finding:
    """Better or worse only where the test says so, and the mean does not say the opposite."""
    agree = difference < 0 if way is Finding.WORSE else difference > 0
    return way if adjusted <= ALPHA and agree else Finding.UNCLEAR


def _row(
    group: Sequence[_Sample],
    environment: str,
    means: _Means,
    test: _Test,
    adjusted: float,
    verdict: Finding,
    reason: str,
) -> Row:
    base_runs, head_runs = (
        min(map(len, side)) for side in zip(*((s.base, s.head) for s in group), strict=True)
    )
    base_failed, head_failed = map(sum, zip(*(sample.failed for sample in group), strict=True))
    return Row(
        environment=environment,
        algorithm=group[0].task.algorithm,
        device=group[0].task.device,
        tasks=len(group),
        base_runs=base_runs,
        head_runs=head_runs,
        pairs=base_runs if all(sample.paired for sample in group) else 0,
        base_failed=base_failed,
        head_failed=head_failed,
        base=means.base,
        head=means.head,
        difference=means.difference.value,
        low=means.difference.low,
        high=means.difference.high,
        p=test.p,
        p_adjusted=adjusted,
        verdict=verdict,
        reason=reason,
    )


def _not_comparable(task: Task) -> Row:
    base, head = ([run for run in side.values() if run.judged] for side in (task.base, task.head))
    return Row(
        environment=task.environment,
        algorithm=task.algorithm,
        device=task.device,
        tasks=1,
        base_runs=len(base),
        head_runs=len(head),
        pairs=0,
        base_failed=sum(run.failed for run in base),
        head_failed=sum(run.failed for run in head),
        verdict=Finding.NOT_COMPARABLE,
        reason=task.why_not or f"no run of the {'head' if base else 'base'} is done",
        **dict.fromkeys(("base", "head", "difference", "low", "high", "p", "p_adjusted"), nan),
    )
