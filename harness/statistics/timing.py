"""How many times as long one program takes as another, and whether that is more than it was.

What is replicated is a pair of processes: blocks timed within one process share its memory layout and hash seed,
so more of them make one process better known, and say nothing about the next.
"""

from enum import StrEnum
from math import floor, inf, log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.decision import ALPHA
from harness.statistics.multiplicity import max_t
from harness.statistics.permutation import mean_paired_drop, signs
from harness.statistics.runs import Floats

MOST_PAIRS = 14  # all of whose subsets, and choices of signs, are looked at
NOTICED, TOLERATED = 0.03, 0.10  # shares of the old time


class Speed(StrEnum):
    """What timings say."""

    PASSED = "passed"
    SLOWER = "slower"
    INCONCLUSIVE = "inconclusive"


class Timing(NamedTuple):
    """How the time of one task has changed."""

    ratio: float  # new time over old
    low: float  # one-sided lower confidence bound of it
    high: float  # one-sided upper bound
    p: float  # that it is no slower, adjusted for looking at all tasks
    control: float  # the ratio that was measured of the old side over itself
    verdict: Speed

    def noisy(self, tolerated: float) -> bool:
        """Whether the old side differs from itself by more than half of what is tolerated."""
        return abs(log(self.control)) > log(1 + tolerated) / 2


def time_ratio(old: ArrayLike, new: ArrayLike) -> float:
    """exp(median log(newᵢ / oldᵢ)) of seconds [n] measured side by side, in pairs.

    What disturbs a machine disturbs both of a pair, and cancels; so this is steadier than a ratio of medians,
    and far steadier than one of minima.
    """
    return float(np.exp(np.median(np.log(np.asarray(new, float) / np.asarray(old, float)))))


def timings(
    old: ArrayLike,
    new: ArrayLike,
    control: ArrayLike,
    *,
    noticed: float = NOTICED,
    tolerated: float = TOLERATED,
    alpha: float = ALPHA,
) -> list[Timing]:
    """What pairs of processes say about every task.

    A task is slower if that is significant among all tasks and the ratio exceeds 1 + noticed; it passes if the
    upper bound is below 1 + tolerated. Where the old side differs from itself by more than half of what is
    tolerated, the machine is too noisy for either.

    Args:
        old: [n, M] seconds of n processes on M tasks.
        new: [n, M] of the processes they are paired with.
        control: [n, M] of a second process of the old side in each pair.
        noticed: the smallest share of the old time that matters.
        tolerated: the share that still passes.
        alpha: one-sided.
    """
    first, second, again = (np.asarray(seconds, float) for seconds in (old, new, control))
    change = np.log(second / first)
    p = max_t(slowdowns(change))
    found = []
    for task in range(change.shape[1]):
        ratio = time_ratio(first[:, task], second[:, task])
        itself = time_ratio(first[:, task], again[:, task])
        low, high = (float(bound) for bound in np.exp(bounds(change[:, task], alpha)))
        timing = Timing(ratio, low, high, float(p[task]), itself, Speed.INCONCLUSIVE)
        if not timing.noisy(tolerated):
            if timing.p <= alpha and ratio > 1 + noticed:
                timing = timing._replace(verdict=Speed.SLOWER)
            elif high < 1 + tolerated:
                timing = timing._replace(verdict=Speed.PASSED)
        found.append(timing)
    return found


def slowdowns(change: ArrayLike) -> Floats:
    """Standardised mean slowdowns [P, M] under joint flips of the signs of pairs; row 0 is what was observed.

    Of the log ratios [n, M] of n pairs on M tasks.
    """
    change = np.asarray(change, float)
    (kept,) = signs((len(change),))
    return np.stack([mean_paired_drop(column, kept) for column in change.T], axis=1)


def bounds(values: ArrayLike, alpha: float) -> tuple[float, float]:
    """One-sided confidence bounds of the centre of symmetric values: what flipping signs does not reject.

    The means of all subsets of n values cut the line into 2ⁿ intervals, each of which holds the centre with
    the same probability (Hartigan, 1969, doi:10.1080/01621459.1969.10501057, theorem 1). Infinite where so few
    values reject nothing. Each of the two bounds is wrong with probability ``alpha``.
    """
    values = np.asarray(values, float)
    if len(values) > MOST_PAIRS:
        raise ValueError(f"{len(values)} values; bounds are known of at most {MOST_PAIRS}")
    members = (np.arange(1, 2 ** len(values))[:, None] >> np.arange(len(values))) & 1
    means = np.sort(members @ values / members.sum(axis=1))
    beyond = floor(alpha * 2 ** len(values))
    return (float(means[beyond - 1]), float(means[-beyond])) if beyond else (-inf, inf)


def overall(tasks: list[Timing]) -> Speed:
    """What all tasks come to: slower if one is, and passed only if all are."""
    verdicts = {task.verdict for task in tasks}
    if Speed.SLOWER in verdicts:
        return Speed.SLOWER
    return Speed.PASSED if verdicts == {Speed.PASSED} else Speed.INCONCLUSIVE
