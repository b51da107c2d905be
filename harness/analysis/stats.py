"""Intervals of one environment's runs, as tables and figures need them; the statistics are `harness.statistics`.

They draw from generators of their own with a fixed seed, so a number depends on nothing but the runs it is about.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.aggregates import MEAN
from harness.statistics.bounded import mean_ends
from harness.statistics.groups import deviation_ends
from harness.statistics.intervals import (
    FEWEST_RUNS,
    LEVEL,
    STUDENT_BELOW,
    Bands,
    bands,
    clipped,
    ends,
    intervals,
    widening,
)
from harness.statistics.resampling import resamples, shares
from harness.statistics.runs import Floats, ragged

FEWEST_UNBOUNDED = 4  # runs, where nothing says how high scores can be: one time in 8, all of 3 are below the median
RESAMPLES = 2_000  # of a number, or a curve, about one environment: a report has hundreds of them


Interval = tuple[float, float]  # both ends of a confidence interval; NaN where there are too few runs for one
NO_INTERVAL = (np.nan, np.nan)


def mean_interval(values: ArrayLike, least: float = np.nan, most: float = np.nan) -> Interval:
    """The 95 % interval of the mean of one number per run, [N]; NaN if a number is missing or infinite."""
    return mean_intervals(np.asarray(values, float)[:, None], least, most)[0]


def possible(runs: Any) -> Floats:
    """The least and the most that these runs can return, as their environment says; NaN if unknown."""
    return np.array([runs["lowest_return"].min(skipna=False), runs["highest_return"].max(skipna=False)])


def score_intervals(columns: ArrayLike, runs: Any, level: float = LEVEL) -> tuple[list[Interval], str]:
    """The intervals of mean scores of these runs, [N, Q], and why the first has none, in a few words.

    A score can be as low as a failed run's, or the environment's lowest where that is not known; and as high as the
    highest, else as the reference; and as low and as high as any of the runs.
    """
    columns = np.asarray(columns, float)
    least, most = possible(runs)
    random, reference = runs["random_score"].min(skipna=False), runs["reference_score"].max(skipna=False)
    floor, top = least if np.isnan(random) else random, reference if np.isnan(most) else most
    fewest, n = FEWEST_UNBOUNDED if np.isnan(most) else FEWEST_RUNS, len(columns)
    if n < fewest or np.isnan(floor):
        return [NO_INTERVAL] * columns.shape[1], "" if n == 0 else f"n < {fewest}" if n < fewest else "no random score"
    columns = np.where(np.isfinite(columns).all(axis=0), columns, np.nan)
    lowest, highest = np.minimum(floor, columns.min(axis=0)), np.fmax(top, columns.max(axis=0))
    low, high = clipped(columns.mean(axis=0), *mean_ends(columns, lowest, highest, level), least, most)
    unseen = np.isnan(most) & (lowest == highest)  # equal runs, no better than failed ones
    found = np.where(unseen, np.nan, [low, high]).T
    return [(float(low), float(high)) for low, high in found], "equal runs" if unseen[0] else ""


def mean_intervals(columns: ArrayLike, least: Any = np.nan, most: Any = np.nan) -> list[Interval]:
    """The same of several numbers per run, [N, Q], which can be from ``least`` to ``most``, [Q]."""
    columns = np.asarray(columns, float)
    runs, numbers = columns.shape
    found = np.full((numbers, 2), np.nan)
    if runs >= FEWEST_RUNS:
        whole = np.isfinite(columns).all(axis=0)
        kept = columns[:, whole]
        if runs < STUDENT_BELOW:
            estimates = intervals([ragged([column]) for column in kept.T], [MEAN])
            found[whole] = np.reshape([(each.low, each.high) for (each,) in estimates], (-1, 2))
        else:
            found[whole] = np.transpose(ends(kept.mean(axis=0), shares((runs,), RESAMPLES) @ kept, widening([runs])))
        found = np.transpose(clipped(columns.mean(axis=0), found[:, 0], found[:, 1], least, most))
    return [(float(low), float(high)) for low, high in found]


def mean_bands(curves: ArrayLike) -> Bands:
    """The mean curve of runs [N, L], N ≥ 1, with its pointwise and its simultaneous 95 % band.

    A point that some run lacks has none.
    """
    return bands(ragged([curves]), MEAN, count=RESAMPLES)


def deviation_interval(values: ArrayLike) -> Interval:
    """The 95 % interval of the standard deviation of one number per run, [N]."""
    return deviation_ends(values) if np.isfinite(values).all() else NO_INTERVAL


def resampled_interval(values: ArrayLike, statistic: Callable[[Floats], Any]) -> Interval:
    """The widened percentile bootstrap of any number that is computed from all runs of an environment.

    Values are a number, or a curve, per run, [N, ...]; the statistic is of resamples of whole runs, [b] of [b, N, ...].
    """
    values = np.asarray(values, float)
    if len(values) < FEWEST_RUNS or not np.isfinite(values).all():
        return NO_INTERVAL
    runs = ragged([np.zeros(len(values))])
    drawn = np.concatenate([statistic(values[indices]) for indices in resamples(runs, RESAMPLES)])
    low, high = ends(float(statistic(values[None])[0]), drawn, widening(runs.counts))
    return float(low), float(high)
