"""What one run, or one cell of runs, scored: pure functions over arrays.

A curve is ``steps [L]`` (increasing) and ``scores [L]``, the mean return of each evaluation. The x-axis may be
seconds instead of steps.
"""

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.runs import Floats
from harness.statistics.survival import NEVER


def final_score(scores: ArrayLike) -> float:
    """The score of the last evaluation: the policy that the whole budget bought."""
    return float(np.asarray(scores, float)[-1])


def area_under_curve(steps: ArrayLike, scores: ArrayLike) -> float:
    """The mean height of the curve, in units of return: its trapezoidal area over the range of its steps.

    NaN for a curve of one point, which has no range.
    """
    x, y = np.asarray(steps, float), np.asarray(scores, float)
    width = x[-1] - x[0]
    return float(np.trapezoid(y, x) / width) if width > 0 else np.nan


def normalised(score: ArrayLike, random: ArrayLike, reference: ArrayLike) -> Floats:
    """``(score - random) / (reference - random)``: 0 is the random policy, 1 the reference; not clipped.

    NaN where a reference is missing, or equals the random score.
    """
    score, random, reference = (np.asarray(x, float) for x in (score, random, reference))
    span = reference - random
    return np.asarray((score - random) / np.where(span == 0, np.nan, span))


def steps_to_threshold(steps: ArrayLike, scores: ArrayLike, threshold: float, sustained: int = 1) -> float:
    """The step of the first of ``sustained`` consecutive evaluations at or above the threshold, or `NEVER`."""
    above = np.asarray(scores, float) >= threshold
    if len(above) < sustained:
        return NEVER
    windows = np.lib.stride_tricks.sliding_window_view(above, sustained).all(axis=1)
    return float(np.asarray(steps, float)[windows.argmax()]) if windows.any() else NEVER


def held(x: ArrayLike, values: ArrayLike, grid: ArrayLike) -> Floats:
    """A curve [L] on another grid [G]: the last value seen, and NaN before the first and beyond the last."""
    x, values, grid = np.asarray(x, float), np.asarray(values, float), np.asarray(grid, float)
    index = np.searchsorted(x, grid, side="right") - 1
    return np.where((index >= 0) & (grid <= x[-1]), values[np.maximum(index, 0)], np.nan)
