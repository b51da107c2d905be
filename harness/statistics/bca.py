"""The bias-corrected and accelerated bootstrap (Efron, 1987), for stratified runs.

Never a default: it covers the mean of few runs too rarely (Owen, 2025, arXiv:2508.10083). It is here because
reviewers ask for it. Acceleration comes from leaving out one run at a time, not one row of a matrix, and from
one statistic at a time.
"""

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.aggregates import Aggregate
from harness.statistics.laws import NORMAL
from harness.statistics.runs import Floats, Runs, ragged


def acceleration(without: ArrayLike, scale: ArrayLike = 1.0) -> float:
    """Σu³ / (6 (Σu²)^{3/2}) of u = mean(θ₍₎) - θ₍ᵢ₎; 0 where leaving out a run changes nothing.

    Args:
        without: [K] the statistic without run i.
        scale: [K] factors on u: (n - 1) / n of the run's task, once strata differ in size.
    """
    without = np.asarray(without, float)
    u = (without.mean() - without) * scale
    total = np.sum(u**2)
    return float(np.sum(u**3) / (6 * total**1.5)) if total > 0 else 0.0


def jackknife(runs: Runs, aggregate: Aggregate) -> Floats:
    """The statistic without run i, [K].

    Raises:
        ValueError: for a task with a single run, which nothing would be left of.
    """
    tasks = runs.by_task()
    return np.array(
        [
            aggregate(ragged([*tasks[:m], np.delete(task, i), *tasks[m + 1 :]]))
            for m, task in enumerate(tasks)
            for i in range(len(task))
        ]
    )


def bca_ends(estimate: float, drawn: ArrayLike, acceleration: float, level: float) -> tuple[float, float]:
    """Both ends of the interval; NaN where no replicate, or every one, is below the estimate.

    Args:
        estimate: of the sample.
        drawn: replicates, [B].
        acceleration: as `acceleration` gives it.
        level: of confidence.
    """
    drawn = np.asarray(drawn, float)
    below = float(np.mean(drawn < estimate) + np.mean(drawn == estimate) / 2)
    if not 0 < below < 1:
        return np.nan, np.nan
    bias = NORMAL.inv_cdf(below)
    shifts = [bias + NORMAL.inv_cdf(p) for p in ((1 - level) / 2, (1 + level) / 2)]
    levels = [NORMAL.cdf(bias + shift / (1 - acceleration * shift)) for shift in shifts]
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)
