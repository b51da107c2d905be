"""What one run, or one cell of runs, scored: pure functions over arrays.

A curve is ``steps [L]`` (increasing) and ``scores [L]``, the mean return of each evaluation. The x-axis may be
seconds instead of steps.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

NEVER = np.inf


def final_score(scores: ArrayLike) -> float:
    """The score of the last evaluation: the policy that the whole budget bought."""
    return float(np.asarray(scores, float)[-1])


def area_under_curve(steps: ArrayLike, scores: ArrayLike) -> float:
    """The mean height of the curve, in units of return: its trapezoidal area over the range of its steps.

    NaN for a curve of one point, which has no range.
    """
    x, y = np.asarray(steps, float), np.asarray(scores, float)
    width = x[-1] - x[0]
    return float(np.trapezoid(y, x) / width) if width > 0 else np.nan


def normalised(score: ArrayLike, random: ArrayLike, reference: ArrayLike) -> Floats:
    """``(score - random) / (reference - random)``: 0 is the random policy, 1 the reference; not clipped.

    NaN where a reference is missing, or equals the random score.
    """
    score, random, reference = (np.asarray(x, float) for x in (score, random, reference))
    span = reference - random
    return np.asarray((score - random) / np.where(span == 0, np.nan, span))


def steps_to_threshold(steps: ArrayLike, scores: ArrayLike, threshold: float, sustained: int = 1) -> float:
    """The step of the first of ``sustained`` consecutive evaluations that are all at or above the threshold.

    Returns:
        That step, or `NEVER`.
    """
    above = np.asarray(scores, float) >= threshold
    if len(above) < sustained:
        return NEVER
    windows = np.lib.stride_tricks.sliding_window_view(above, sustained).all(axis=1)
    return float(np.asarray(steps, float)[windows.argmax()]) if windows.any() else NEVER


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
    survival = kaplan_meier(times, reached)
    edges = np.concatenate([[0.0], survival.times[survival.times < horizon], [horizon]])
    return float(np.sum(np.diff(edges) * survival.at(edges[:-1])))


def held(x: ArrayLike, values: ArrayLike, grid: ArrayLike) -> Floats:
    """A curve on another grid: the last value seen, NaN before the first and beyond the last, never extrapolated.

    Args:
        x: [L] increasing.
        values: [L].
        grid: [G].

    Returns:
        [G]
    """
    x, values, grid = np.asarray(x, float), np.asarray(values, float), np.asarray(grid, float)
    index = np.searchsorted(x, grid, side="right") - 1
    return np.where((index >= 0) & (grid <= x[-1]), values[np.maximum(index, 0)], np.nan)
