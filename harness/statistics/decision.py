"""Does this commit learn worse? The decision rule of the gate, over scores of both sides.

Two questions are asked of the same runs. Is the new side worse at all? Then it *regressed*. Is it better than the
old side less a tolerated drop, overall and on every single task? Then it *passes*. If neither can be answered, more
seeds are needed.

Worse is a side that scores less, or to which bad things happen more often: runs that fail, thresholds that are not
reached. Per task, the drop of the mean and that of the ranks are both looked at: the first sees runs that collapse,
the second sees small drops everywhere. Where runs do not pair, the better half of the runs is looked at, too, for runs
that fail now and then on both sides hide the others. Over tasks, their sum sees drops that are everywhere, and their
maximum one that is in one place. The smallest p-value of all these is judged by its own permutations, so that asking
so much costs no error: all is one test.

How large a drop is, only means can say, and overall only that of all tasks: ranks are blind to runs that collapse, and
a task that is unharmed says nothing about the others.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import count
from math import sqrt
from typing import NamedTuple

import numpy as np

from harness.statistics import permutation
from harness.statistics.intervals import alike
from harness.statistics.laws import detectable_effect, hypergeometric_tail, power_of_t_test
from harness.statistics.multiplicity import max_t
from harness.statistics.permutation import RANDOM, SEED, Labels, share_at_least
from harness.statistics.runs import Floats, Runs

ALPHA = 0.05
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

    regressed: float  # that the new side is worse in nothing
    passed: float  # that it is worse by the tolerated drop or more; 0 where all runs of both sides score the same
    task_regressed: Floats  # [M] that it scores no less on this task; adjusted for looking at all of them
    task_passed: Floats  # [M] that it is worse on this task by the drop tolerated on a single one, or more
    events: Mapping[str, float] = {}  # that this bad thing happens no more often, if it were all that is asked


Events = Mapping[str, tuple[Runs, Runs]]  # how often bad things happen on both sides, by what they are


def evidence(
    old: Runs,
    new: Runs,
    *,
    paired: bool,
    drop: float,
    task_drop: float,
    events: Events | None = None,
    random: int = RANDOM,
    seed: int = SEED,
) -> Evidence:
    """The p-values that `verdict` judges, of scores on the same tasks.

    A tolerated drop is a share of the old score, so let 0 be the score of a random policy; ``task_drop`` is that of a
    single task, which is known less precisely. Sides are paired where run i of a task has the same seed on both;
    ``random`` permutations are drawn where there are too many to try all. Events are counted per unit of each block:
    they have the blocks of the scores, and may have others after those.

    Raises:
        ValueError: for sides that are not on the same tasks, or are paired and differ in their runs.
    """
    alike(old, new, paired)
    events = events or {}
    permuted = permutations(*next(iter(events.values()), (old, new)), paired, random, seed)
    worse = drops(old, new, paired, permuted, tops=not paired)
    oftener = {
        name: drops(_negative(before), _negative(after), paired, permuted, ranks=False)
        for name, (before, after) in events.items()
    }
    much_shorter = drops(new, lowered(old, task_drop), paired, permuted, ranks=False)
    same = np.array([np.ptp(np.concatenate(sides)) == 0 for sides in zip(old.by_task(), new.by_task(), strict=True)])
    shorter = share_at_least(relative_drop(new, lowered(old, drop), paired, permuted))
    return Evidence(
        regressed=min_p(worse, *oftener.values()),
        passed=0.0 if same.all() else float(shorter),
        task_regressed=max_t(worse.max(axis=2)),
        task_passed=np.where(same, 0.0, share_at_least(much_shorter.max(axis=2))),
        events={name: min_p(each) for name, each in oftener.items()},
    )


def _negative(runs: Runs) -> Runs:
    return replace(runs, values=-runs.values)


def verdict(seen: Evidence, alpha: float, passing: float, doubt: float = ALPHA) -> Verdict:
    """What one look decides that may spend ``alpha`` on a regression and ``passing`` on a pass.

    No side passes, or is tolerated, to which bad things happen more often with p-values of at most ``doubt``.
    """
    safe = 0 < passing >= seen.passed and bool(np.all(seen.task_passed <= passing))
    safe = safe and all(p > doubt for p in seen.events.values())
    if seen.regressed <= alpha:
        return Verdict.WITHIN_TOLERANCE if safe else Verdict.REGRESSED
    return Verdict.PASSED if safe else Verdict.UNDECIDED


def lowered(runs: Runs, share: float) -> Runs:
    """Scores whose mean on each task is less by a share of its size: (1 - share) times those where it is positive.

    It is the mean that counts: runs on the other side of zero must not make a larger drop tolerable.
    """
    means = np.add.reduceat(runs.values, runs.starts) / np.array(runs.counts)
    return replace(runs, values=runs.values * (1 - share * np.sign(means))[runs.task])


def permutations(
    old: Runs, new: Runs, paired: bool, random: int = RANDOM, seed: int = SEED
) -> tuple[permutation.Labels, ...]:
    """What `drops` takes: per block, what is permuted of its units on all its tasks together."""
    if paired:
        return permutation.signs(old.units, random, seed)
    return permutation.labels(tuple(zip(old.units, new.units, strict=True)), random, seed)


def drops(
    old: Runs, new: Runs, paired: bool, permuted: Sequence[Labels], *, ranks: bool = True, tops: bool = False
) -> Floats:
    """Standardised drops under joint permutations; row 0 is what was observed.

    [P, M, 2] of mean and ranks; without ``ranks`` [P, M, 1]; with ``tops`` [P, M, 3], of the better half of runs that
    do not pair, too.
    """
    sides = zip(old.by_task(), new.by_task(), [permuted[block] for block in old.blocks], strict=True)
    if paired:
        of_pairs = (permutation.mean_paired_drop, *[permutation.rank_paired_drop] * ranks)
        tasks = [[drop(a - b, rows) for drop in of_pairs] for a, b, rows in sides]
    else:
        of_sides = (permutation.mean_drop, *[permutation.rank_drop] * ranks, *[permutation.top_drop] * tops)
        tasks = [[drop(a, b, rows) for drop in of_sides] for a, b, rows in sides]
    return np.moveaxis(np.array(tasks), 2, 0)


def relative_drop(old: Runs, new: Runs, paired: bool, permuted: Sequence[Labels]) -> Floats:
    """The mean over tasks of the drop of the mean as a share of its size, under joint permutations, [P].

    The size is that of all runs together, which permuting does not change; or their standard deviation where that is
    more, for a share of almost nothing is no share.
    """
    total = np.zeros(len(permuted[0]))
    for a, b, block in zip(old.by_task(), new.by_task(), old.blocks, strict=True):
        runs = np.concatenate([a, b])
        size, rows = max(abs(runs.mean()), runs.std()), permuted[block]
        if paired:
            found = (2 * (rows @ (a - b)) - (a - b).sum()) / len(a)
        else:
            found = (rows @ runs) * (1 / len(a) + 1 / len(b)) - runs.sum() / len(b)
        total += found / size if size > 0 else 0
    return total / old.tasks


def min_p(*questions: Floats) -> float:
    """One p-value of drops [P, M, Q], of each question: of the smallest of the pooled and the largest drop of each."""
    of_each = [
        _p_of_each(statistic)
        for drops in questions
        for statistic in (drops.sum(axis=1).max(axis=1) / sqrt(drops.shape[1]), drops.max(axis=(1, 2)))
    ]
    return float(share_at_least(-np.min(of_each, axis=0)))


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


def spent(fractions: Sequence[float]) -> Floats:
    """The share of α spent up to and including each look (Lan and DeMets, 1983): t^1.5 (Kim and DeMets, 1987).

    By the union bound all looks together then spend at most the one-sided alpha with any valid p-values, however the
    looks depend on each other. Fractions are of the most runs, at each look: increasing, the last at most 1.
    """
    return np.asarray(fractions, float) ** POWER


def more_failures(old_failed: int, old_runs: int, new_failed: int, new_runs: int) -> float:
    """Fisher's exact p-value that the new side fails no more often than the old one."""
    return hypergeometric_tail(new_failed, old_failed + new_failed, new_runs, old_runs + new_runs)


def breaking(tasks: int, alpha: float) -> int:
    """The fewest runs per side of one of so many tasks that show that it broke: all fail, where none did.

    Runs that fail by chance, whatever it is, do so with a probability of at most max_c cⁿ(1 - c)ⁿ = 4⁻ⁿ on a task;
    by the union bound that is at most alpha on any of them.
    """
    return next(runs for runs in count(1) if tasks * 4.0**-runs <= alpha)


def runs_needed(
    spread: float, drop: float, alpha: float = ALPHA, power: float = 0.8, *, paired: bool = True
) -> int | None:
    """The fewest runs per side, at least 2, with which a one-sided t test sees a drop with the given power.

    The spread is the standard deviation of a difference of two runs, in the unit of the drop. None if more than
    `MOST_RUNS` are needed.
    """
    if spread == 0:
        return 2
    runs = range(2, MOST_RUNS + 1)
    place = bisect_left(runs, power, key=lambda n: power_of_t_test(drop / spread, n, alpha, paired))
    return runs[place] if place < len(runs) else None


def detectable_drop(
    spread: float, runs: int, alpha: float = ALPHA, power: float = 0.8, *, paired: bool = True
) -> float:
    """The smallest drop that so many runs per side show with the given power; in units of the spread given."""
    return spread * detectable_effect(runs, alpha, power, paired)
