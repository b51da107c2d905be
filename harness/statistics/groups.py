"""Statistics that only a whole group of runs has: its worst quarter, its spread."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.intervals import BOOTSTRAP, LEVEL, NONE, RESAMPLES, Estimate, ends, widening
from harness.statistics.reliability import WORST_OF_FEW, interquartile_range, lower_cvars
from harness.statistics.resampling import SEED, resamples
from harness.statistics.runs import Floats, ragged

GroupStatistic = Callable[[Floats], Floats]  # values [..., N] to one number per group [...]
FEWEST_RUNS = 5  # of 3 runs a resample's worst quarter is one run, and a 95 % bound fails 12 times in 100


class GroupDifference(NamedTuple):
    """A difference of a statistic of two groups.

    Attributes:
        estimate: with its interval.
        spread: the standard error times √N: what the standard deviation of a difference would be if the
            statistic were a mean.
    """

    estimate: Estimate
    spread: float


def worst_quarter(scores: Floats) -> Floats:
    """The mean of the worst quarter of the runs, the lower CVaR at 1/4; [...] of scores [..., N]."""
    return lower_cvars(scores, WORST_OF_FEW)


def spread(scores: Floats) -> Floats:
    """The interquartile range over runs; [...] of scores [..., N]."""
    return interquartile_range(scores, axis=-1)


def group_difference(
    a: ArrayLike,
    b: ArrayLike,
    statistic: GroupStatistic,
    *,
    level: float = LEVEL,
    count: int = RESAMPLES,
    seed: int = SEED,
) -> GroupDifference:
    """The statistic of one group less that of another, by the widened bootstrap of pairs of runs.

    Args:
        a: scores [N]; run i has the same seed in both groups.
        b: scores [N].
        statistic: of a group.
        level: of confidence.
        count: of resamples.
        seed: of the resamples.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    value = float(statistic(a) - statistic(b))
    if len(a) < FEWEST_RUNS:
        return GroupDifference(Estimate(value, np.nan, np.nan, NONE), np.nan)
    cells = np.concatenate(list(resamples(ragged([a]), count, seed)))
    drawn = statistic(a[cells]) - statistic(b[cells])
    low, high = ends(value, drawn, widening([len(a)], level), level)
    return GroupDifference(
        Estimate(value, float(low), float(high), BOOTSTRAP), float(drawn.std()) * sqrt(len(a))
    )
