"""What final scores of many seeds look like: populations of runs to simulate gates with.

The mean of each is 1, but of shares of episodes that succeed. The population of TD3 and that of SAC are made up, but
have the mean, spread and skewness of 193 and 192 final returns on HalfCheetah-v2 that Colas et al. (2019,
arXiv:1904.06979, github.com/flowersteam/rl_stats) published without a licence, and SAC's its rare collapses too. Those
returns themselves can be read from files.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

SIZE = 10_000  # members of a made-up population, at equally likely quantiles
REAL = {"td3 (real)": "td3_hc_final_perfs.txt", "sac (real)": "sac_hc_final_perfs.txt"}


def made_up() -> dict[str, Floats]:
    """Sorted scores by name of the population."""
    likely = (np.arange(SIZE) + 0.5) / SIZE
    bell = stats.norm.ppf(likely)
    return {
        "normal": 1 + 0.15 * bell,
        "td3": 1 + 0.14 * stats.pearson3.ppf(likely, -1.28),
        "sac": _mixture((0.96, 1.018 + 0.045 * bell), (0.035, 0.65 + 0 * bell), (0.005, -0.05 + 0 * bell)),
        "bimodal": _mixture((0.85, 1.15 + 0.1 * bell), (0.15, 0.15 + 0.05 * bell)),
        "ceiling": _mixture((0.7, 1.1 + 0 * bell), (0.3, np.linspace(0.43, 1.1, SIZE))),
    }


def more() -> dict[str, Floats]:
    """Sorted scores by name of what few runs tell least about: even odds, long tails, and few different scores.

    "success" is whether an episode succeeds, "ten-valued" the mean of ten of them; the mean of both is .9.
    """
    likely = (np.arange(SIZE) + 0.5) / SIZE
    return {
        "bimodal 50": _mixture((0.5, 1.85 + 0.1 * stats.norm.ppf(likely)), (0.5, 0.15 + 0 * likely)),
        "log-normal": np.exp(0.6 * stats.norm.ppf(likely) - 0.6**2 / 2),
        "t2": 1 + 0.15 * stats.t.ppf(likely, 2),
        "success": stats.binom.ppf(likely, 1, 0.9),
        "ten-valued": stats.binom.ppf(likely, 10, 0.9) / 10,
    }


def real(folder: Path) -> dict[str, Floats]:
    """Published returns, one per line of a file, as shares of their mean; sorted."""
    scores = {name: np.sort(np.loadtxt(folder / file)) for name, file in REAL.items()}
    return {name: values / values.mean() for name, values in scores.items()}


def drawn(population: Floats, shape: tuple[int, ...], rho: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Scores of both sides, of ``shape``: members whose ranks correlate as normal numbers of correlation ρ do."""
    first, own = rng.standard_normal((2, *shape))
    second = rho * first + np.sqrt(1 - rho**2) * own
    ranks = [(stats.norm.cdf(z) * len(population)).astype(int).clip(max=len(population) - 1) for z in (first, second)]
    return population[ranks[0]], population[ranks[1]]


def _mixture(*parts: tuple[float, Floats]) -> Floats:
    """A share of each population, of mean 1 altogether."""
    taken = [values[np.linspace(0, SIZE - 1, round(share * SIZE)).astype(int)] for share, values in parts]
    scores = np.sort(np.concatenate(taken))
    return scores / scores.mean()
