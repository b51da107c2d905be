"""Standard errors for Student's t, of a statistic that on a single task is a mean, plain or trimmed.

Of a trimmed mean it is that of the winsorised scores, with the degrees of freedom of those that were kept (Tukey
and McLaughlin, 1963).
"""

from math import sqrt
from typing import NamedTuple

from harness.statistics.aggregates import MEAN, Aggregate
from harness.statistics.runs import Floats, ragged


class Error(NamedTuple):
    """An estimate, its standard error and the degrees of freedom of that."""

    value: float
    error: float
    degrees: float


def mean_and_error(scores: Floats, aggregate: Aggregate) -> Error:
    """Of one group on a single task, from scores [n], n ≥ 2."""
    numbers, kept = aggregate.averaged(scores)
    return Error(aggregate(ragged([scores])), standard_error(numbers, kept), kept - 1)


def difference_and_error(a: Floats, b: Floats, paired: bool) -> Error:
    """Of the mean of ``a`` less that of ``b``; with Welch's (1947) degrees of freedom where runs do not pair."""
    first, second = mean_and_error(a, MEAN), mean_and_error(b, MEAN)
    value, variances = first.value - second.value, (first.error**2, second.error**2)
    if paired:
        return Error(value, standard_error(a - b, len(a)), first.degrees)
    if not any(variances):
        return Error(value, 0.0, first.degrees + second.degrees)
    weakness = variances[0] ** 2 / first.degrees + variances[1] ** 2 / second.degrees
    return Error(value, sqrt(sum(variances)), sum(variances) ** 2 / weakness)


def standard_error(numbers: Floats, kept: int) -> float:
    """Of a mean of ``kept`` scores, from all scores winsorised, [n]."""
    return sqrt(float(((numbers - numbers.mean()) ** 2).sum()) / (kept * (kept - 1)))
