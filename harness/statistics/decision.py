"""Does this commit learn worse? The decision rule of the gate, over scores of both sides.

Two questions are asked of the same runs. Is the new side worse at all? Then it *regressed*. Is it better than the
old side less a tolerated drop, overall and on every single task? Then it *passes*. If neither can be answered, more
seeds are needed. Per task, the drop of the mean and that of the ranks are both looked at: the first sees runs that
collapse, the second sees small drops everywhere. Where runs do not pair, the first question is also put to the
better half of the runs, for runs that fail now and then on both sides hide the others. Over tasks, their sum sees
drops that are everywhere, and their maximum one that is in one place; the smaller p-value of the two is judged by
its own permutations.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from math import sqrt
from typing import NamedTuple

import numpy as np

from harness.statistics import permutation
from harness.statistics.intervals import alike
from harness.statistics.laws import detectable_effect, hypergeometric_tail, power_of_t_test
from harness.statistics.multiplicity import max_t
from harness.statistics.permutation import RANDOM, SEED, share_at_least
from harness.statistics.runs import Floats, Runs

ALPHA = 0.05
TASK_ALPHA = 0.10  # each task's non-inferiority; all must hold, so that no correction is due
POWER = 1.5  # of the share of the seeds, in what a look may have spent
MOST_RUNS = 10_000  # when asked how many would do


class Verdict(StrEnum):
    """What one look at the runs says."""

    PASSED = "passed"
    REGRESSED = "regressed"
    WITHIN_TOLERANCE = "regressed within tolerance"
    UNDECIDED = "undecided"


class Evidence(NamedTuple):
    """What the runs say, as p-values."""

    regressed: float  # that the new side is no worse
    passed: float  # that it is worse by the tolerated drop or more
    task_regressed: Floats  # [M] that it is no worse on this task; adjusted for looking at all of them
    task_passed: Floats  # [M] that it is worse on this task by the drop tolerated on a single one, or more


def evidence(
    old: Runs, new: Runs, *, paired: bool, drop: float, task_drop: float, random: int = RANDOM, seed: int = SEED
) -> Evidence:
    """The p-values that `verdict` judges, of scores on the same tasks.

    A tolerated drop is a share of the old score, so let 0 be the score of a random policy; ``task_drop`` is that of a
    single task, which is known less precisely. Sides are paired where run i of a task has the same seed on both;
    ``random`` permutations are drawn where there are too many to try all.

    Raises:
        ValueError: for sides that are not on the same tasks, or are paired and differ in their runs.
    """
    alike(old, new, paired)
    worse = drops(old, new, paired, random, seed, tops=not paired)
    shorter = drops(new, lowered(old, drop), paired, random, seed)
    much_shorter = drops(new, lowered(old, task_drop), paired, random, seed)
    return Evidence(
        regressed=min_p(worse),
        passed=min_p(shorter),
        task_regressed=max_t(worse.max(axis=2)),
        task_passed=share_at_least(much_shorter.max(axis=2)),
    )


def verdict(seen: Evidence, alpha: float, task_alpha: float = TASK_ALPHA) -> Verdict:
    """What one look decides that may spend ``alpha``; ``task_alpha`` is of each task's non-inferiority."""
    safe = seen.passed <= alpha and bool(np.all(seen.task_passed <= task_alpha))
    if seen.regressed <= alpha:
        return Verdict.WITHIN_TOLERANCE if safe else Verdict.REGRESSED
    return Verdict.PASSED if safe else Verdict.UNDECIDED


def lowered(runs: Runs, share: float) -> Runs:
    """Scores whose mean on each task is less by a share of its size: (1 - share) times those where it is positive.

    It is the mean that counts: runs on the other side of zero must not make a larger drop tolerable.
    """
    means = np.add.reduceat(runs.values, runs.starts) / np.array(runs.counts)
    return replace(runs, values=runs.values * (1 - share * np.sign(means))[runs.task])


def drops(old: Runs, new: Runs, paired: bool, random: int = RANDOM, seed: int = SEED, *, tops: bool = False) -> Floats:
    """Standardised drops under joint permutations; row 0 is what was observed.

    [P, M, 2] of mean and ranks; with ``tops`` [P, M, 3], of the better half of runs that do not pair, too.
    """
    sides = zip(old.by_task(), new.by_task(), strict=True)
    if paired:
        of_pairs = (permutation.mean_paired_drop, permutation.rank_paired_drop)
        kept = permutation.signs(old.counts, random, seed)
        tasks = [[drop(a - b, rows) for drop in of_pairs] for (a, b), rows in zip(sides, kept, strict=True)]
    else:
        of_sides = (permutation.mean_drop, permutation.rank_drop, *[permutation.top_drop] * tops)
        permuted = permutation.labels(tuple(zip(old.counts, new.counts, strict=True)), random, seed)
        tasks = [[drop(a, b, rows) for drop in of_sides] for (a, b), rows in zip(sides, permuted, strict=True)]
    return np.moveaxis(np.array(tasks), 2, 0)


def min_p(drops: Floats) -> float:
    """One p-value of drops [P, M, Q]: of the smaller of those of the pooled and of the largest drop."""
    pooled = drops.sum(axis=1).max(axis=1) / sqrt(drops.shape[1])
    largest = drops.max(axis=(1, 2))
    smaller = np.minimum(_p_of_each(pooled), _p_of_each(largest))
    return float(share_at_least(-smaller))


def _p_of_each(statistics: Floats) -> Floats:
    """The p-value of every permutation [P] among all of them; nearly equal statistics are equal."""
    rounded = np.round(statistics, 9)
    order = np.argsort(rounded)
    ordered = rounded[order]
    places = np.arange(len(rounded))
    places[1:][ordered[1:] == ordered[:-1]] = 0
    below = np.empty_like(places)
    below[order] = np.maximum.accumulate(places)
    return np.asarray(1 - below / len(rounded))


def spent(fractions: Sequence[float], alpha: float) -> Floats:
    """What may be spent up to and including each look (Lan and DeMets, 1983): α t^1.5 (Kim and DeMets, 1987).

    By the union bound all looks together then spend at most the one-sided alpha with any valid p-values, however the
    looks depend on each other. Fractions are of the most runs, at each look: increasing, the last at most 1.
    """
    return alpha * np.asarray(fractions, float) ** POWER


def more_failures(old_failed: int, old_runs: int, new_failed: int, new_runs: int) -> float:
    """Fisher's exact p-value that the new side fails no more often than the old one."""
    return hypergeometric_tail(new_failed, old_failed + new_failed, new_runs, old_runs + new_runs)


def runs_needed(spread: float, drop: float, alpha: float = ALPHA, power: float = 0.8) -> int | None:
    """The fewest pairs of runs, at least 2, with which a one-sided t test sees a drop with the given power.

    The spread is the standard deviation of the paired differences, in the unit of the drop. None if more than
    `MOST_RUNS` are needed.
    """
    if spread == 0:
        return 2
    runs = range(2, MOST_RUNS + 1)
    place = bisect_left(runs, power, key=lambda n: power_of_t_test(drop / spread, n, alpha))
    return runs[place] if place < len(runs) else None


def detectable_drop(spread: float, runs: int, alpha: float = ALPHA, power: float = 0.8) -> float:
    """The smallest drop that so many pairs of runs show with the given power; in units of the spread given."""
    return spread * detectable_effect(runs, alpha, power)
