"""The few laws of probability that intervals and tests read: normal, Student's t, hypergeometric."""

from math import comb, sqrt
from statistics import NormalDist

from scipy import special

NORMAL = NormalDist()


def student_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t, for any real number of degrees > 0."""
    return float(special.stdtrit(degrees, probability))


def power_of_t_test(effect: float, runs: int, alpha: float, paired: bool = True) -> float:
    """The power of a one-sided t test of ``runs`` ≥ 2 per side, on their differences if paired, else of two samples.

    The effect is the mean difference in standard deviations of a difference of two runs.
    """
    degrees = (runs - 1) * (1 if paired else 2)
    return float(1 - special.nctdtr(degrees, effect * sqrt(runs), student_quantile(1 - alpha, degrees)))


def detectable_effect(runs: int, alpha: float, power: float, paired: bool = True) -> float:
    """The effect for which `power_of_t_test` is ``power``."""
    degrees = (runs - 1) * (1 if paired else 2)
    return float(special.nctdtrinc(degrees, 1 - power, student_quantile(1 - alpha, degrees))) / sqrt(runs)


def hypergeometric_tail(at_least: int, marked: int, drawn: int, total: int) -> float:
    """P(at least so many marked among ``drawn`` of ``total``, ``marked`` of which are marked); exact."""
    most = min(marked, drawn)
    ways = sum(comb(marked, k) * comb(total - marked, drawn - k) for k in range(at_least, most + 1))
    return ways / comb(total, drawn)
