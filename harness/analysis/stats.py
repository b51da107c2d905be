"""Intervals of one environment's runs, as tables and figures need them; the statistics are `harness.statistics`.

They draw from generators of their own with a fixed seed, so a number depends on nothing but the runs it is about.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.aggregates import MEAN
from harness.statistics.intervals import FEWEST_RUNS, LEVEL, band, ends, intervals, widening
from harness.statistics.resampling import resamples
from harness.statistics.runs import Floats, ragged

RESAMPLES = 2_000  # of a number, or a curve, about one environment: a report has hundreds of them


class Interval(NamedTuple):
    """Both ends of a confidence interval; NaN where there are too few runs for one."""

    low: float
    high: float


NO_INTERVAL = Interval(np.nan, np.nan)


def mean_interval(values: ArrayLike) -> Interval:
    """The 95 % interval of the mean of one number per run, [N]; NaN if a number is missing or infinite."""
    values = np.asarray(values, float)
    if len(values) < FEWEST_RUNS or not np.isfinite(values).all():
        return NO_INTERVAL
    ((estimate,),) = intervals([ragged([values])], [MEAN], count=RESAMPLES)
    return Interval(estimate.low, estimate.high)


def mean_band(curves: ArrayLike) -> tuple[Floats, Floats]:
    """The pointwise 95 % band of the mean curve of runs [N, L], N ≥ 1: lower and upper end, [L] each.

    A point that some run lacks has none.
    """
    _, low, high = band(ragged([curves]), MEAN, simultaneous=False, count=RESAMPLES)
    return low, high


def resampled_interval(values: ArrayLike, statistic: Callable[[Floats], Any]) -> Interval:
    """The widened percentile bootstrap of any number that is computed from all runs of an environment.

    Args:
        values: [N, ...] a number, or a curve, per run; runs are resampled whole.
        statistic: of resamples [b, N, ...], as [b].
    """
    values = np.asarray(values, float)
    if len(values) < FEWEST_RUNS or not np.isfinite(values).all():
        return NO_INTERVAL
    runs = ragged([np.zeros(len(values))])
    drawn = np.concatenate([statistic(values[cells]) for cells in resamples(runs, RESAMPLES)])
    low, high = ends(float(statistic(values[None])[0]), drawn, widening(runs.counts), LEVEL)
    return Interval(float(low), float(high))
