"""How reliably an algorithm learns (Chan et al., 2020, arXiv:1912.05663): dispersion and risk over runs and time.

Curves are on a common grid, [N, L]; risks are conditional values at risk.
"""

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.runs import Floats

WORST, WORST_OF_FEW = 0.05, 0.25  # shares: of the changes within a run, and of runs, of which there are few
ROUNDING = 1e-9


def interquartile_range(values: ArrayLike) -> Floats:
    """The distance between the quartiles along the last axis, by linear interpolation."""
    low, high = np.quantile(np.asarray(values, float), [0.25, 0.75], axis=-1)
    return np.asarray(high - low)


def lower_cvar(values: ArrayLike, share: float) -> Floats:
    """The mean of the lowest values: as many as lie at or below their quantile at ``share`` (linear interpolation).

    Of values [..., N]. They are counted, so that values which happen to equal the quantile do not come in: of nine
    runs at the ceiling and one below it, the worst quarter is not all ten.
    """
    values = np.asarray(values, float)
    count = lowest(values.shape[-1], share)
    return np.asarray(np.partition(values, count - 1, axis=-1)[..., :count].mean(axis=-1))


def lowest(count: int, share: float) -> int:
    """How many of so many different values lie at or below their quantile at ``share``, by linear interpolation."""
    return int(share * (count - 1) + ROUNDING) + 1


def dispersion_across_time(steps: ArrayLike, curves: ArrayLike, window: int) -> Floats:
    """The mean, over sliding windows, of the interquartile range of a run's slopes, [N] of curves [N, L].

    Slopes rather than scores, so that steady learning is no dispersion; a window holds at most L - 1 of them.
    """
    slopes = np.diff(np.asarray(curves, float), axis=1) / np.diff(np.asarray(steps, float))
    windows = np.lib.stride_tricks.sliding_window_view(slopes, window, axis=1)
    return np.asarray(interquartile_range(windows).mean(axis=-1))


def drawdown(curve: ArrayLike) -> Floats:
    """How far each point [L] is below the highest before it."""
    curve = np.asarray(curve, float)
    return np.asarray(np.maximum.accumulate(curve) - curve)


def long_term_risk(curve: ArrayLike) -> float:
    """The mean of the deepest `WORST` of the drawdown."""
    return -float(lower_cvar(-drawdown(curve), WORST))
