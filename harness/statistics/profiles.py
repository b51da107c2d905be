"""Performance profiles (Dolan and Moré, 2002; Agarwal et al., 2021): how many runs, or tasks, score above τ."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.aggregates import task_means
from harness.statistics.intervals import FEWEST_RUNS, ends, widening
from harness.statistics.resampling import Indices, identity, resamples
from harness.statistics.runs import Floats, Runs

Of = Literal["runs", "means"]
RESAMPLES = 2_000


def profile(runs: Runs, thresholds: ArrayLike, of: Of = "runs") -> Floats:
    """The share of runs, or of tasks by the mean of their runs, that score strictly above each threshold.

    Of increasing thresholds [L]; a run weighs as in the pooled statistics. The profile of means is biased at few runs:
    a mean is rarely extreme.
    """
    return np.asarray(_shares(runs, np.asarray(thresholds, float), of, identity(runs))[0])


def profile_band(
    runs: Runs, thresholds: ArrayLike, of: Of = "runs", *, count: int = RESAMPLES
) -> tuple[Floats, Floats, Floats]:
    """The profile, and the ends of a pointwise bootstrap band over whole runs; arguments are those of `profile`.

    It has no width where all runs, or none, score above the threshold: resamples cannot tell how rare the others are.
    """
    thresholds = np.asarray(thresholds, float)
    value = profile(runs, thresholds, of)
    if runs.fewest_units < FEWEST_RUNS:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    drawn = np.concatenate([_shares(runs, thresholds, of, indices) for indices in resamples(runs, count)])
    low, high = ends(value, drawn, widening(runs.units))
    return value, np.clip(low, 0, 1), np.clip(high, 0, 1)


def _shares(runs: Runs, thresholds: Floats, of: Of, indices: Indices) -> Floats:
    """Shares above each threshold, [b, L], in resamples [b, K]: a histogram, summed from above."""
    if of == "means":
        scores, weights = task_means(runs, indices), np.full(runs.tasks, 1 / runs.tasks)
        passed = np.searchsorted(thresholds, scores, side="left")  # how many thresholds are below the score
        weights = np.broadcast_to(weights, passed.shape)
    else:
        passed = np.searchsorted(thresholds, runs.values, side="left")[indices]
        weights = runs.weights[indices]
    bins = len(thresholds) + 1
    flat = passed + bins * np.arange(len(passed))[:, None]
    histogram = np.bincount(flat.ravel(), weights.ravel(), minlength=bins * len(passed)).reshape(-1, bins)
    above = np.cumsum(histogram[:, :0:-1], axis=1)[:, ::-1]
    return np.asarray(above / weights.sum(axis=1)[:, None])
