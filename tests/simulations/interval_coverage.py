"""How often what the report calls a 95 % interval holds the truth, on populations of runs.

    python tests/simulations/interval_coverage.py

writes `docs/interval-coverage.md`. Every cell has random numbers of its own, drawn from the seed and the cell's name.
"""

import argparse
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from populations import Floats, made_up, more

from harness.analysis.overall import STATISTICS, spanning
from harness.analysis.stats import deviation_interval, mean_bands, mean_interval, resampled_interval, score_intervals
from harness.statistics.groups import worst_quarter_ends
from harness.statistics.intervals import intervals
from harness.statistics.reliability import interquartile_range
from harness.statistics.runs import ragged

OUTPUT = Path(__file__).parents[2] / "docs" / "interval-coverage.md"
RUNS = (3, 5, 10, 20, 50)
SIMULATIONS = 1_000
OF_SCORES = 10  # times as many of mean scores, which are due to hold in every population
OVER = 0.3  # times as many of statistics over environments, which take long
SEED = 0
ROUNDING = 1e-9
POINTS = 21  # of a learning curve
ENVIRONMENTS, FEW = 5, 10  # in statistics over environments, and at most so many runs of each
RESAMPLES = 2_000  # of statistics over environments
FAMILIAR = ("normal", "td3", "sac", "bimodal", "ceiling")  # populations of numbers that are no scores
BOUNDED = ("success", "ten-valued")  # populations of which everybody knows that no score is above 1
MIXES = {
    "mixed": ("normal", "sac", "bimodal", "log-normal", "success"),
    "mixed, too": ("td3", "ceiling", "bimodal 50", "t2", "ten-valued"),
}

Ends = tuple[float, float]


class Number(NamedTuple):
    """A number of a report.

    Attributes:
        name: of it.
        fewest: runs that its interval takes.
        truth: of a population.
        ends: of its interval, from runs [N].
    """

    name: str
    fewest: int
    truth: Callable[[Floats], float]
    ends: Callable[[Floats], Ends]


def populations() -> dict[str, Floats]:
    """All of them."""
    return {**made_up(), **more()}


def lowest_quarter(population: Floats) -> float:
    """The mean of the lowest quarter of a sorted population."""
    return float(population[: len(population) // 4].mean())


NUMBERS = (
    Number("mean", 3, np.mean, mean_interval),
    Number("standard deviation", 5, np.std, deviation_interval),
    Number(
        "spread of runs",
        5,
        lambda scores: float(interquartile_range(scores)),
        lambda s: resampled_interval(s, interquartile_range),
    ),
    Number("worst quarter", 9, lowest_quarter, lambda s: (worst_quarter_ends(s)[0], capped(s))),
)


def capped(scores: Floats) -> float:
    """The upper end for the worst quarter, which is no better than that of the mean."""
    return min(worst_quarter_ends(scores)[1], mean_interval(scores)[1])


def held(number: Number, population: Floats, runs: int, simulations: int, seed: int, name: str) -> float:
    """The share of samples whose interval holds the truth; none, as of equal runs, holds nothing."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{number.name}, {name}, {runs}".encode())])
    truth = number.truth(population)
    samples = rng.choice(population, (simulations, runs))
    return float(np.mean([low <= truth <= high for low, high in map(number.ends, samples)]))


def score_ends(samples: Floats, highest: float) -> Floats:
    """The ends, [2, S], of intervals of mean scores of S samples of runs [S, N], if this is all that can be.

    The random policy scores 0. NaN: nothing says how high scores can be.
    """
    facts = {"random_score": 0.0, "reference_score": np.nan, "lowest_return": np.nan, "highest_return": highest}
    return np.transpose(score_intervals(samples.T, pd.DataFrame(facts, index=range(samples.shape[1])))[0])


def scores_held(population: Floats, highest: float, runs: int, simulations: int, seed: int, name: str) -> float | None:
    """The share of samples whose interval of the mean score holds the truth; None where none has one."""
    rng = np.random.default_rng([seed, zlib.crc32(f"mean score, {name}, {runs}".encode())])
    low, high = score_ends(rng.choice(population, (simulations, runs)), highest)
    held = (low <= population.mean() + ROUNDING) & (population.mean() - ROUNDING <= high)
    return None if np.isnan(low).all() else float(np.mean(held))


def over_environments(
    tasks: list[Floats], runs: int, simulations: int, seed: int, name: str, span: bool = True
) -> tuple[Floats, Floats]:
    """Of each of the `STATISTICS` over environments, the share of samples that hold it, and the median width."""
    rng = np.random.default_rng([seed, zlib.crc32(f"over environments, {name}, {runs}".encode())])
    every = np.sort(np.concatenate(tasks))
    cut, means = len(every) // 4, [task.mean() for task in tasks]
    truths = [every[cut:-cut].mean(), np.mean(means), np.median(means), np.mean(1 - np.minimum(every, 1))]
    samples = [[rng.choice(task, runs) for task in tasks] for _ in range(simulations)]
    found = intervals(list(map(ragged, samples)), STATISTICS, count=RESAMPLES)
    if span:
        tops = [1.0] * len(tasks)
        found = [spanning(one, ragged(sample), tops) for one, sample in zip(found, samples, strict=True)]
    low, high = np.array([[each[1:3] for each in one] for one in found]).transpose(2, 0, 1)
    return np.mean((low <= truths) & (truths <= high), axis=0), np.median(high - low, axis=0)


def curves_held(runs: int, simulations: int, seed: int) -> Ends:
    """The share of mean curves of random walks of which a point, and all points, are in the bands."""
    rng = np.random.default_rng([seed, zlib.crc32(f"curves, {runs}".encode())])
    walks = rng.standard_normal((simulations, runs, POINTS)).cumsum(axis=2)
    found = [mean_bands(curves) for curves in walks]
    point = np.mean([(each.low <= 0) & (each.high >= 0) for each in found])
    whole = [np.all((each.simultaneous_low <= 0) & (each.simultaneous_high >= 0)) for each in found]
    return float(point), float(np.mean(whole))


def table(numbers: Iterator[tuple[str, str, list[float | None]]]) -> Iterator[str]:
    """Shares in percent, a column per number of runs."""
    yield f"| interval of | population | {' | '.join(f'{n} runs' for n in RUNS)} |"
    yield "|---|---" + "|--:" * len(RUNS) + "|"
    for name, where, shares in numbers:
        cells = ["–" if share is None else f"{100 * share:.0f}" for share in shares]
        yield f"| {name} | {where} | {' | '.join(cells)} |"


def rows(simulations: int, seed: int) -> Iterator[tuple[str, str, list[float | None]]]:
    """Mean scores and every other number on every population, then statistics over environments and bands."""
    every = populations()
    for name, population in every.items():
        highest = 1.0 if name in BOUNDED else np.nan
        for told, most in (("", highest), (", highest known", population[-1])):
            shares = [scores_held(population, most, runs, OF_SCORES * simulations, seed, name) for runs in RUNS]
            yield f"mean score{told}", name, shares
    for number in NUMBERS:
        for name in FAMILIAR:
            population = every[name]
            shares = [
                held(number, population, runs, simulations, seed, name) if runs >= number.fewest else None
                for runs in RUNS
            ]
            yield number.name, name, shares
    cells = {name: [every[each] for each in mix] for name, mix in MIXES.items()}
    for name, tasks in {**{name: [one] * ENVIRONMENTS for name, one in every.items()}, **cells}.items():
        few = [over_environments(tasks, runs, round(OVER * simulations), seed, name)[0] for runs in RUNS if runs <= FEW]
        for statistic, shares in zip(STATISTICS, np.transpose(few).tolist(), strict=True):
            yield f"{statistic.name} over environments", name, [*shares, *[None] * (len(RUNS) - len(few))]
    of_curves = [curves_held(runs, simulations, seed) for runs in RUNS]
    yield "a point of a curve", "random walks", [point for point, _ in of_curves]
    whole = [whole if runs >= 5 else None for runs, (_, whole) in zip(RUNS, of_curves, strict=True)]
    yield "the whole curve", "random walks", whole


def page(simulations: int, seed: int) -> str:
    """Simulate everything and write it down."""
    mixed, too = (", ".join(mix) for mix in MIXES.values())
    numbers = {"simulations": f"{simulations:,}", "seed": seed, "points": POINTS, "environments": ENVIRONMENTS}
    preface = PREFACE.format(**numbers, mixed=mixed, too=too)
    return "\n".join([preface, *table(rows(simulations, seed)), ""])


PREFACE = """# How often intervals hold what they are about

`python tests/simulations/interval_coverage.py` made this page: {simulations} samples per cell, ten times as
many of mean scores and three tenths over environments, seed {seed}. A cell is the share of samples, in percent,
whose 95 % interval holds the truth about the population; 95 is due. An interval that is not given holds nothing
here; – is a cell where none is ever given, or that was not asked.

The populations are those of [the gate's simulations](gate-operating-characteristics.md#populations): *normal*;
*td3* and *sac*, skewed as final returns of these are, *sac* with rare collapses; *bimodal*, where 15 % of runs
fail; *ceiling*, where 70 % of runs reach exactly the best score. And others that few runs say little about:
*bimodal 50*, where half of the runs fail; *log-normal* (standard deviation of the logarithm .6); *t2*,
Student's t with two degrees of freedom; *success*, 0 or 1 with mean .9, and *ten-valued*, the mean of ten such.
A failed run scores 0. Curves are mean curves of random walks of {points} steps.

- **Mean score** is the interval of [the tables of scores](semantics.md#statistics-over-runs), where neither a
  reference nor a highest return is known but for *success* and *ten-valued*, whose highest is 1; *highest
  known* is where it always is.
- **Mean** is that of other numbers, Student's or from 10 runs on the bootstrap's, which scores had before
  [decision 15](decisions/0015-an-interval-knows-that-runs-may-fail.md). Where runs fail now and then, few of
  them may show no failure at all, and no interval made of them alone can know of it.
- **Over environments**: {environments} environments with runs of one population, with *mixed* {mixed} and
  with *mixed, too* {too}.
"""


def main() -> None:
    """Simulate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="per cell")
    parser.add_argument("--seed", type=int, default=SEED, help="of the simulations")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the page")
    options = parser.parse_args()
    options.output.write_text(page(options.simulations, options.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
