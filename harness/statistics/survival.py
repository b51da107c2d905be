"""Time to a threshold that some runs never reach: they are censored, neither dropped nor averaged in.

A run that crashed or diverged before the threshold never reaches it: censor it at the whole budget.
"""

from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.statistics.intervals import FEWEST_RUNS, LEVEL, ends, widening
from harness.statistics.permutation import RANDOM, labels, share_at_least
from harness.statistics.resampling import SEED, draws, resamples
from harness.statistics.runs import Floats, ragged

Booleans = NDArray[np.bool_]

NEVER = np.inf
RESAMPLES = 5_000
FEWEST_OF_MEDIAN = 6  # runs whose median has an interval of 95 %


class Survival(NamedTuple):
    """The Kaplan-Meier estimate of the share of runs that have not reached the threshold.

    Attributes:
        times: when runs reached it, increasing.
        shares: that are still short of it just after each of these times; 1 before the first.
    """

    times: Floats
    shares: Floats

    def at(self, times: ArrayLike) -> Floats:
        """The share still short of the threshold at these times."""
        index = np.searchsorted(self.times, np.asarray(times, float), side="right")
        return np.concatenate([[1.0], self.shares])[index]

    @property
    def median(self) -> float:
        """The first time at which at most half the runs are still short; `NEVER` if that is not seen."""
        below = self.shares <= 0.5
        return float(self.times[below.argmax()]) if below.any() else NEVER


def median_interval(times: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """The closest order statistics that hold the median with at least this confidence (the sign test, inverted).

    Exact whatever the law of the times. Runs that never arrive are later than all others; they must all have
    been watched equally long.

    Args:
        times: [N], `NEVER` for runs that do not arrive.
        level: of confidence.

    Returns:
        Both ends; NaN if so few runs have no such interval (below `FEWEST_OF_MEDIAN` at 95 %).
    """
    ordered = np.sort(np.asarray(times, float))
    runs, below, outside = len(ordered), 0.0, 0
    while outside <= runs // 2:  # runs beyond each end
        below += comb(runs, outside) * 0.5**runs
        if 2 * below > 1 - level:
            break
        outside += 1
    if outside == 0 or runs == 0:
        return np.nan, np.nan
    return float(ordered[outside - 1]), float(ordered[runs - outside])


class Difference(NamedTuple):
    """A difference of restricted means.

    Attributes:
        value: of the first group less the second; negative if the first is faster.
        low: end of the bootstrap interval; NaN below 3 runs.
        high: the other end.
        p: two-sided, by permutation.
    """

    value: float
    low: float
    high: float
    p: float


def kaplan_meier(times: ArrayLike, reached: ArrayLike) -> Survival:
    """Kaplan and Meier (1958): S(t) = ∏ (1 - dᵢ / rᵢ) over the times tᵢ ≤ t at which runs reached the threshold.

    Args:
        times: [N] when a run reached the threshold, or when it was last seen short of it.
        reached: [N] which of the two.
    """
    times, reached = np.asarray(times, float), np.asarray(reached, bool)
    events = np.unique(times[reached])
    at_risk = (times[None, :] >= events[:, None]).sum(axis=1)
    ended = ((times[None, :] == events[:, None]) & reached[None, :]).sum(axis=1)
    return Survival(events, np.cumprod(1 - ended / at_risk))


def restricted_mean(times: ArrayLike, reached: ArrayLike, horizon: float) -> float:
    """The mean of the time to the threshold, cut off at the horizon: the area under S(t) from 0 to it.

    Runs that never got there count as the horizon, so this is no mean time to the threshold: it bounds that
    from below, and the horizon belongs in every statement of it.
    """
    times = np.asarray(times, float)
    return float(_restricted_means(times, np.asarray(reached, bool), horizon, np.ones((1, len(times))))[0])


def restricted_mean_difference(
    times: tuple[ArrayLike, ArrayLike],
    reached: tuple[ArrayLike, ArrayLike],
    horizon: float,
    *,
    level: float = LEVEL,
    count: int = RESAMPLES,
    seed: int = SEED,
) -> Difference:
    """The restricted mean of one group less that of another, with a bootstrap interval and a permutation test.

    H₀ of the test: the groups take equally long, and are censored alike, as at a common budget.

    Args:
        times: [N] and [N′] as in `kaplan_meier`.
        reached: [N] and [N′].
        horizon: of the restricted means.
        level: of confidence.
        count: of resamples.
        seed: of resamples and permutations.
    """
    arrays = [np.asarray(each, float) for each in times]
    events = [np.asarray(each, bool) for each in reached]
    value = restricted_mean(arrays[0], events[0], horizon) - restricted_mean(arrays[1], events[1], horizon)
    p = _permutation_p(np.concatenate(arrays), np.concatenate(events), len(arrays[0]), horizon, seed)
    if min(map(len, arrays)) < FEWEST_RUNS:
        return Difference(value, np.nan, np.nan, p)
    means = [
        _resampled(array, event, horizon, count, seed, stream)
        for stream, (array, event) in enumerate(zip(arrays, events, strict=True))
    ]
    low, high = ends(value, means[0] - means[1], widening([len(array) for array in arrays], level), level)
    return Difference(value, float(low), float(high), p)


def _permutation_p(times: Floats, reached: Booleans, first: int, horizon: float, seed: int) -> float:
    ours = labels([(first, len(times) - first)], RANDOM, seed)[0]
    one, other = (_restricted_means(times, reached, horizon, group.astype(float)) for group in (ours, ~ours))
    apart = np.abs(one - other) / horizon if horizon > 0 else np.zeros(len(ours))
    return float(share_at_least(apart))


def _resampled(
    times: Floats, reached: Booleans, horizon: float, count: int, seed: int, stream: int
) -> Floats:
    """Restricted means of resamples of the runs, [count]."""
    runs = ragged([times])
    drawn = (draws(runs, cells) for cells in resamples(runs, count, seed, stream))
    return np.concatenate([_restricted_means(times, reached, horizon, each) for each in drawn])


def _restricted_means(times: Floats, reached: Booleans, horizon: float, drawn: Floats) -> Floats:
    """Areas under S(t), [P], of groups in which run i is ``drawn[:, i]`` times; drawn is [P, N].

    Runs are taken one after the other; of those that end at once, the ones that reached the threshold first.
    Then ∏ (1 - 1/r)(1 - 1/(r-1)) ... = 1 - d/r, as it should be.
    """
    order = np.lexsort([~reached, times])
    drawn = drawn[:, order]
    at_risk = np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1]
    left = 1 - drawn * reached[order] / np.maximum(at_risk, 1)
    shares = np.hstack([np.ones((len(drawn), 1)), np.cumprod(left, axis=1)])
    edges = np.concatenate([[0.0], np.minimum(times[order], horizon), [horizon]])
    return np.asarray((shares * np.diff(edges)).sum(axis=1))
