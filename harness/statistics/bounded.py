"""Intervals of a mean that know what runs can be, and not only what few of them were (Gaffke, 2005).

Let n numbers and the least that there can be have random shares of a whole, all divisions being equally likely: the
lower end is a quantile of the sum of share times number (Learned-Miller and Thomas, 2020, arXiv:1905.06208). Of
successes and failures, both ends are Clopper and Pearson's.
"""

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.intervals import LEVEL
from harness.statistics.laws import student_quantile
from harness.statistics.runs import Floats

NEAR = 1e-6  # of what can be: a last step so short leaves its square to go


def mean_ends(values: Floats, least: ArrayLike, most: ArrayLike, level: float = LEVEL) -> tuple[Floats, Floats]:
    """The ends of `bounded_ends` or of Student's interval, whichever are further out; N ≥ 2."""
    (low, high), mean = bounded_ends(values, least, most, level), values.mean(axis=0)
    reach = student_quantile((1 + level) / 2, len(values) - 1) * values.std(axis=0, ddof=1) / sqrt(len(values))
    return np.minimum(low, mean - reach), np.maximum(high, mean + reach)


def bounded_ends(values: Floats, least: ArrayLike, most: ArrayLike, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Both ends, [Q], of intervals of means of columns [N, Q], of numbers from ``least`` to ``most``; NaN of NaN.

    A bound that some number is beyond is taken to be that number.
    """
    tail = (1 - level) / 2
    return _lower_end(values, least, tail), -_lower_end(-values, np.negative(most), tail)


def _lower_end(values: Floats, least: ArrayLike, tail: float) -> Floats:
    """Newton's steps up to where the logarithm of the distribution, which is concave, is that of ``tail``."""
    knots = np.sort(np.vstack([np.minimum(least, values.min(axis=0)), values]), axis=0)
    first, width = knots[0], knots[-1] - knots[0]
    knots = (knots - first) / np.where(width == 0, 1, width)
    end, before = knots.mean(axis=0), knots[0]
    while (np.abs(end - before) > NEAR).any():
        with np.errstate(divide="ignore", invalid="ignore"):  # where there is no width
            below, density = _law(end, knots)
            before, end = end, np.fmax(end + np.log(tail / below) * below / density, end / 2)
    return np.asarray(first + width * end)


def _law(at: Floats, knots: Floats) -> tuple[Floats, Floats]:
    """The distribution of the sum and its density, by the recurrence of B-splines: its density is one (Curry, 1966)."""
    below = (knots <= at).astype(float)
    for size in range(1, len(knots)):
        width = knots[size:] - knots[:-size]
        part = np.fmin(np.fmax((at - knots[:-size]) / width, 0), 1)
        before, below = below, below[1:] + part * (below[:-1] - below[1:])
    return below[0], size * (before[0] - before[1]) / width[0]
