"""p-values of several tests, adjusted: compare each with the level that is meant for all of them together."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.permutation import share_at_least
from harness.statistics.runs import Floats


def holm(p: ArrayLike) -> Floats:
    """Holm (1979), step down: controls the chance of any false alarm, however the tests depend on each other."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    return np.minimum(np.maximum.accumulate(scaled), 1)[np.argsort(order)]


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini and Hochberg (1995), step up: controls the share of false alarms among alarms; to explore with."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    return np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)[np.argsort(order)]


def adjustment(adjust: Callable[[Floats], Floats], p: ArrayLike) -> Floats:
    """Adjusted for the tests that were made; NaN for those that were not."""
    p = np.asarray(p, float)
    made = np.isfinite(p)
    adjusted = np.full(len(p), np.nan)
    adjusted[made] = adjust(p[made])
    return adjusted


def max_t(statistics: ArrayLike) -> Floats:
    """Westfall and Young (1993), step down, over joint permutations: as Holm, but uses how tests depend.

    From statistics [P, E] of E tests on comparable scales, row 0 of which is what was observed; adjusted p-values [E].
    """
    statistics = np.asarray(statistics, float)
    order = np.argsort(-statistics[0], kind="stable")
    largest_left = np.maximum.accumulate(statistics[:, order[::-1]], axis=1)[:, ::-1]
    largest_left[0] = statistics[0, order]
    return np.maximum.accumulate(share_at_least(largest_left))[np.argsort(order)]
