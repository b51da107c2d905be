"""Time to a threshold that some runs never reach: they are censored, neither dropped nor averaged in.

A run that crashed or diverged before the threshold never reaches it: censor it at the whole budget.
"""

from itertools import accumulate
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.intervals import LEVEL
from harness.statistics.runs import Floats

NEVER = np.inf
FEWEST_OF_MEDIAN = 6  # runs whose median has an interval of 95 %


class Survival(NamedTuple):
    """The Kaplan-Meier estimate of the share of runs that have not reached the threshold."""

    times: Floats  # when runs reached it, increasing
    shares: Floats  # that are still short of it just after each of these times; 1 before the first

    @property
    def median(self) -> float:
        """The first time at which at most half the runs are still short; `NEVER` if that is not seen."""
        below = self.shares <= 0.5
        return float(self.times[below.argmax()]) if below.any() else NEVER


def median_interval(times: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """The closest order statistics that hold the median with at least this confidence (the sign test, inverted).

    Exact whatever the law of the times [N]. Runs that never arrive, at `NEVER`, are later than all others; they must
    all have been watched equally long. NaN if so few runs have no such interval (below `FEWEST_OF_MEDIAN` at 95 %).
    """
    ordered = np.sort(np.asarray(times, float))
    runs = len(ordered)
    chances = accumulate(comb(runs, beyond) * 0.5**runs for beyond in range(runs // 2 + 1))
    outside = sum(2 * chance <= 1 - level for chance in chances)  # runs beyond each end
    if outside == 0:
        return np.nan, np.nan
    return float(ordered[outside - 1]), float(ordered[runs - outside])


def kaplan_meier(times: ArrayLike, reached: ArrayLike) -> Survival:
    """Kaplan and Meier (1958): S(t) = ∏ (1 - dᵢ / rᵢ) over the times tᵢ ≤ t at which runs reached the threshold.

    Times [N] are when a run reached it or, where ``reached`` is false, was last seen short of it.
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
    before = survival.times < horizon
    edges = [0.0, *survival.times[before], horizon]
    return float(np.diff(edges) @ [1.0, *survival.shares[before]])
