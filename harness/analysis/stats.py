"""Uncertainty over runs. The run is the unit that is resampled: its episodes and its curve stay together.

Every function draws from a generator of its own with a fixed seed, so a number depends on nothing but the runs
it is about: neither on global random state nor on what else is in the table.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.statistics.intervals import FEWEST_RUNS, LEVEL, STUDENT_BELOW, ends, widening
from harness.statistics.laws import student_quantile
from harness.statistics.runs import Floats

__all__ = [
    "FEWEST_RUNS",
    "Interval",
    "mean_band",
    "mean_interval",
    "percentile_ends",
    "resample",
    "resampled_means",
]

RESAMPLES = 2_000
SEED = 0


class Interval(NamedTuple):
    """Both ends of a confidence interval; NaN where there are too few runs for one."""

    low: float
    high: float


def resample(runs: int, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """Indices of whole runs drawn with replacement, [resamples, runs]; the same ones at every call."""
    return np.random.default_rng(SEED).integers(runs, size=(resamples, runs))


def resampled_means(values: ArrayLike, indices: NDArray[np.int64]) -> Floats:
    """The mean over runs in every resample; all of a run's values are drawn together.

    Args:
        values: [N, ...] a number, or a whole curve, per run.
        indices: [B, N] of runs.

    Returns:
        [B, ...]
    """
    values = np.asarray(values, float)
    resamples, runs = indices.shape
    flat = indices + runs * np.arange(resamples)[:, None]
    counts = np.bincount(flat.ravel(), minlength=resamples * runs).reshape(resamples, runs)
    return np.asarray(np.tensordot(counts.astype(float), values, axes=1) / runs)


def percentile_ends(
    estimate: ArrayLike, replicates: ArrayLike, runs: int, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Percentile bootstrap interval, widened for few runs.

    The bootstrap variance is (N-1)/N of what it should be, and its tails are normal where Student's are due;
    so distances from the estimate are multiplied by √(N/(N-1)) · t_{N-1} / z.

    Args:
        estimate: [...].
        replicates: [B, ...].
        runs: N, at least 2.
        level: of confidence.
    """
    return ends(estimate, replicates, widening([runs], level), level)


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Interval of the mean of one number per run, on one environment.

    Student's t below `STUDENT_BELOW` runs, the widened percentile bootstrap from there on.

    Args:
        values: [N].
        level: of confidence.
    """
    values = np.asarray(values, float)
    runs = len(values)
    if runs < FEWEST_RUNS:
        return Interval(np.nan, np.nan)
    mean = values.mean()
    if runs < STUDENT_BELOW:
        reach = student_quantile((1 + level) / 2, runs - 1) * values.std(ddof=1) / sqrt(runs)
        return Interval(float(mean - reach), float(mean + reach))
    low, high = percentile_ends(mean, resampled_means(values, resample(runs)), runs, level)
    return Interval(float(low), float(high))


def mean_band(curves: ArrayLike, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Pointwise interval of the mean curve, by the widened percentile bootstrap over whole runs.

    Args:
        curves: [N, L]; NaN where a run has no value, which leaves that point without a band.
        level: of confidence.

    Returns:
        Lower and upper end, [L] each.
    """
    curves = np.asarray(curves, float)
    runs, points = curves.shape
    if runs < FEWEST_RUNS:
        return np.full(points, np.nan), np.full(points, np.nan)
    return percentile_ends(curves.mean(axis=0), resampled_means(curves, resample(runs)), runs, level)
