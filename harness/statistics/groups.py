"""Statistics that only a whole group of runs has: its worst quarter, its spread, its standard deviation."""

from collections.abc import Callable
from math import exp, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.intervals import BOOTSTRAP, LEVEL, NONE, RESAMPLES, ROUNDING, Estimate, ends, widening
from harness.statistics.laws import NORMAL, student_quantile
from harness.statistics.reliability import WORST_OF_FEW, lower_cvar, lowest
from harness.statistics.resampling import resamples
from harness.statistics.runs import Floats, ragged
from harness.statistics.students import standard_error

GroupStatistic = Callable[[Floats], Floats]  # values [..., N] to one number per group [...]
FEWEST_RUNS = 5  # of 3 runs a resample's worst quarter is one run, and a 95 % bound fails 12 times in 100
FEWEST_OF_QUARTER = 9  # whose worst quarter is three runs; two have an interval 25 standard errors wide


class GroupDifference(NamedTuple):
    """A difference of a statistic of two groups."""

    estimate: Estimate
    spread: float  # standard error times √N: the standard deviation of a difference, were the statistic a mean


def worst_quarter(scores: Floats) -> Floats:
    """The mean of the worst quarter of the runs, the lower CVaR at 1/4; [...] of scores [..., N]."""
    return lower_cvar(scores, WORST_OF_FEW)


def worst_quarter_ends(scores: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Both ends of the interval of `worst_quarter`, by Student's t; NaN below `FEWEST_OF_QUARTER` runs.

    A mean of the lowest h of N scores is a trimmed mean, of one end only: its standard error is that of the scores
    winsorised there, with h - 1 degrees of freedom (Tukey and McLaughlin, 1963). Resamples would know nothing
    of runs worse than those seen.
    """
    scores = np.asarray(scores, float)
    if len(scores) < FEWEST_OF_QUARTER:
        return np.nan, np.nan
    kept = lowest(len(scores), WORST_OF_FEW)
    winsorised = np.minimum(scores, np.partition(scores, kept - 1)[kept - 1])
    reach = student_quantile((1 + level) / 2, kept - 1) * standard_error(winsorised, kept)
    value = float(worst_quarter(scores))
    return value - reach, value + reach


def deviation_ends(values: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Both ends of an interval of the standard deviation (Bonett, 2006, doi:10.1016/j.csda.2004.10.003).

    Normal on the logarithmic scale, with the kurtosis estimated from the values, so that it does not need them to
    be normal as that of the χ² distribution does. NaN below `FEWEST_RUNS` values, and for equal ones.
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < FEWEST_RUNS:
        return np.nan, np.nan
    variance, z = float(values.var(ddof=1)), NORMAL.inv_cdf((1 + level) / 2)
    if sqrt(variance) <= ROUNDING * np.abs(values).max():
        return np.nan, np.nan
    cut = min(int(n / (2 * sqrt(n - 4))), (n - 1) // 2)
    centre = np.sort(values)[cut : n - cut].mean()
    kurtosis = n * ((values - centre) ** 4).sum() / ((n - 1) * variance) ** 2
    correction = n / (n - z)
    reach = z * correction * sqrt((kurtosis - (n - 3) / n) / (n - 1))
    return sqrt(variance * correction * exp(-reach)), sqrt(variance * correction * exp(reach))


def group_difference(a: ArrayLike, b: ArrayLike, statistic: GroupStatistic, level: float = LEVEL) -> GroupDifference:
    """The statistic of one group less that of another, by the widened bootstrap of pairs of runs.

    Scores are [N]; run i has the same seed in both groups.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    value = float(statistic(a) - statistic(b))
    if len(a) < FEWEST_RUNS:
        return GroupDifference(Estimate(value, np.nan, np.nan, NONE), np.nan)
    indices = np.concatenate(list(resamples(ragged([a]), RESAMPLES)))
    drawn = statistic(a[indices]) - statistic(b[indices])
    low, high = ends(value, drawn, widening([len(a)], level), level)
    return GroupDifference(Estimate(value, float(low), float(high), BOOTSTRAP), float(drawn.std()) * sqrt(len(a)))
