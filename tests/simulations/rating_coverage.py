"""How often the intervals of ratings hold the ratings that endless runs would come to.

    python tests/simulations/rating_coverage.py

prints a table. Algorithms play all opponents; runs differ in strength, and some may fail, which is to play at random.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from harness.analysis.ratings import Match, Player, interval_ends
from harness.statistics.ratings import elo_ratings
from harness.statistics.runs import Floats

OPPONENTS, ALGORITHMS = (0.0, 250.0, 450.0), (150.0, 400.0)  # points of Elo; the first opponent is the anchor
EPISODES = 20  # of an evaluation
DRAWS = 0.3  # of the games that the weaker one would else win, and as many of the other's
FAILED = -0.9  # mean outcome of a run that plays at random, against whomever
RUNS = (3, 5, 10, 20)
MET = np.array([[3, 0], [3, 1], [3, 2], [4, 0], [4, 1], [4, 2]])


class Population(NamedTuple):
    """How runs of an algorithm differ."""

    name: str
    spread: float  # standard deviation of their strength, points of Elo
    failing: float  # share of runs that play at random
    stronger: float = 0.0  # points that algorithms are above what they are elsewhere


POPULATIONS = (
    Population("runs alike", 0, 0),
    Population("runs differ", 100, 0),
    Population("one run of ten fails", 60, 0.1),
    Population("nearly all won", 60, 0, 500),
)


def chances(population: Population, strength: Floats) -> Floats:
    """The share of a game that runs of these strengths, [..., 2], are expected to score, [..., 6]."""
    theirs = np.array(OPPONENTS)[MET[:, 1]]
    return 1 / (1 + 10 ** (-(np.repeat(strength + population.stronger, 3, axis=-1) - theirs) / 400))


def truth(population: Population) -> Floats:
    """The ratings of endless runs, [5]."""
    rng = np.random.default_rng(1)
    strength = np.array(ALGORITHMS) + population.spread * rng.standard_normal((200_000, 2))
    mean = chances(population, strength).mean(axis=0)
    mean += population.failing * ((1 + FAILED) / 2 - mean)
    return elo_ratings(mean, np.ones(6), MET, prior=0)


def scores(population: Population, runs: int, rng: np.random.Generator) -> Floats:
    """Mean outcomes of so many runs in each match, [6, N]."""
    strength = np.array(ALGORITHMS) + population.spread * rng.standard_normal((runs, 6, 2))
    own = chances(population, strength)[:, range(6), range(6)].T
    failed = rng.random((6, runs)) < population.failing
    own = np.where(failed, (1 + FAILED) / 2, own)
    drawn = DRAWS * np.minimum(own, 1 - own)
    told = rng.random((EPISODES, 6, runs))
    outcomes = np.where(told < own - drawn, 1, np.where(told < own + drawn, 0, -1))
    return outcomes.mean(axis=0)


def rated(told: Floats) -> tuple[Floats, Floats]:
    """Both ends of the interval of each rating, [5], from scores [6, N]."""
    seeds = tuple(range(told.shape[1]))
    matches = []
    for (one, two), mine in zip(MET, told, strict=True):
        players = Player(str(one), "algorithm"), Player(str(two))
        matches.append(Match(*players, str(two), seeds, mine, min(FAILED, *mine), 1.0, EPISODES, 0, True, ""))
    games = np.full(6, EPISODES * told.shape[1])
    return interval_ends(elo_ratings((told.mean(axis=1) + 1) / 2, games, MET), MET, games, matches)


def held(population: Population, runs: int, simulations: int, seed: int = 0) -> tuple[float, float]:
    """In what share of simulations intervals of algorithms hold the truth, and those of opponents do."""
    rng, true = np.random.default_rng([seed, runs]), truth(population)
    inside = []
    for _ in range(simulations):
        low, high = rated(scores(population, runs, rng))
        inside.append((low <= true) & (true <= high))
    shares = np.mean(inside, axis=0)
    return float(shares[3:].mean()), float(shares[1:3].mean())


def table(simulations: int) -> Iterator[str]:
    """A line per population and number of runs."""
    for population in POPULATIONS:
        for runs in RUNS:
            of = held(population, runs, simulations)
            yield f"{population.name:22} n = {runs:2}: algorithms {of[0]:.3f}, opponents {of[1]:.3f}"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--simulations", type=int, default=300)
    for line in table(arguments.parse_args().simulations):
        print(line, flush=True)
