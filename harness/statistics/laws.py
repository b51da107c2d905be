"""The few laws of probability that intervals and tests read: normal, Student's t, hypergeometric."""

from collections.abc import Callable
from functools import cache
from math import comb, exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

NORMAL = NormalDist()
_TINY = 1e-300


@cache
def student_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t for a probability of at least one half, by bisection."""
    if probability == 0.5:
        return 0.0
    return _bisected(lambda t: 1 - student_tail(t, degrees) >= probability)


def student_tail(t: float, degrees: float) -> float:
    """P(T > t): half of I_x(ν/2, 1/2) at x = ν / (ν + t²), for any real number of degrees ν > 0."""
    half = beta_share(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2
    return half if t >= 0 else 1 - half


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function Iₓ(a, b), by its continued fraction (DLMF 8.17.22)."""
    if not 0 < x < 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(b, a, 1 - x)
    scale = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    fraction, c, d = 1.0, 1.0, 0.0
    for i in range(10_000):
        m = i // 2
        if i == 0:
            term = 1.0
        elif i % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away_from_zero(1 + term * d)
        c = _away_from_zero(1 + term / c)
        fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return scale * (fraction - 1)


def power_of_t_test(effect: float, runs: int, alpha: float) -> float:
    """The power of a one-sided one-sample t test on ``runs`` differences.

    P((Z + δ√n) / √(χ²/ν) > t_{1-α, ν}), ν = n - 1: the normal tail averaged over the law of √(χ²/ν).

    Args:
        effect: δ, the mean difference in standard deviations of one difference.
        runs: n, at least 2.
        alpha: of the test.
    """
    degrees, shift = runs - 1, effect * sqrt(runs)
    critical = student_quantile(1 - alpha, degrees)
    widest = 1 + 12 / sqrt(2 * degrees)  # the law of √(χ²/ν) is about 1/√(2ν) wide
    scale = (np.arange(2000) + 0.5) * (widest / 2000)
    log_density = (degrees - 1) * np.log(scale) - degrees * scale**2 / 2
    density = np.exp(log_density - log_density.max())
    return float(normal_tail(critical * scale - shift) @ density / density.sum())


def normal_tail(z: NDArray[np.floating]) -> NDArray[np.float64]:
    """P(Z > z), elementwise."""
    return np.array([1 - NORMAL.cdf(x) if x < 0 else NORMAL.cdf(-x) for x in z.ravel().tolist()]).reshape(
        z.shape
    )


def hypergeometric_tail(at_least: int, marked: int, drawn: int, total: int) -> float:
    """P(at least so many marked among ``drawn`` of ``total``, ``marked`` of which are marked); exact."""
    most = min(marked, drawn)
    ways = sum(comb(marked, k) * comb(total - marked, drawn - k) for k in range(at_least, most + 1))
    return ways / comb(total, drawn)


def _bisected(reached: Callable[[float], bool]) -> float:
    """The least positive number at which a monotone condition holds, to the last bit."""
    low, high = 0.0, 1.0
    while not reached(high):
        low, high = high, high * 2
        if high == inf:
            return inf
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
