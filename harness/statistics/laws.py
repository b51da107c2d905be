"""The few laws of probability that intervals and tests read: normal, Student's t, hypergeometric."""

from math import comb, sqrt
from statistics import NormalDist

from scipy import special

NORMAL = NormalDist()


def student_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t, for any real number of degrees > 0."""
    return float(special.stdtrit(degrees, probability))


def power_of_t_test(effect: float, runs: int, alpha: float) -> float:
    """The power of a one-sided one-sample t test on ``runs`` ≥ 2 differences.

    The effect is the mean difference in standard deviations of one difference.
    """
    critical = student_quantile(1 - alpha, runs - 1)
    return float(1 - special.nctdtr(runs - 1, effect * sqrt(runs), critical))


def detectable_effect(runs: int, alpha: float, power: float) -> float:
    """The effect for which `power_of_t_test` is ``power``."""
    critical = student_quantile(1 - alpha, runs - 1)
    return float(special.nctdtrinc(runs - 1, 1 - power, critical)) / sqrt(runs)


def hypergeometric_tail(at_least: int, marked: int, drawn: int, total: int) -> float:
    """P(at least so many marked among ``drawn`` of ``total``, ``marked`` of which are marked); exact."""
    most = min(marked, drawn)
    ways = sum(comb(marked, k) * comb(total - marked, drawn - k) for k in range(at_least, most + 1))
    return ways / comb(total, drawn)
