from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pytest

import harness
from harness.analysis.ratings import COLUMNS
from support.results import Environment, Run, edited, write_run

ELO_OF_THREE_QUARTERS = 400 * np.log10(3)  # 190.8
EPISODES = 20
OPPONENTS = ("random", "minimax", "mcts-50")


@dataclass(frozen=True)
class Game(Run):
    """A run against an opponent, with so many games won, drawn and lost at the end."""

    told: tuple[int, int, int] = (0, 0, 0)
    opponent: str = "random"
    more: dict[str, Any] = field(default_factory=dict)  # of the environment's description

    @property
    def manifest(self):
        spec = {"name": self.environment.name, "id": self.environment.id, "game": "toy_games.rules.tic_tac_toe"}
        spec |= {"kwargs": {"opponent": self.opponent}, "wrappers": [], "version": "1"} | self.more
        return super().manifest | {"job": {"environment": spec, "episodes": sum(self.told)}}

    @property
    def evaluated(self):
        return np.repeat([1.0, 0.0, -1.0], self.told)


def against(opponent, algorithm, won, seed=0, drawn=0, games=5, **changes):
    environment = Environment(f"tic-tac-toe-{opponent}", "Toy-v0", -0.9, 1.0, None, lowest=-1.0, highest=1.0)
    told = won, drawn, games - won - drawn
    return Game(f"algorithms/{algorithm}", environment, seed, scores=(0.0,), told=told, opponent=opponent, **changes)


def rated(tmp_path, runs):
    for run in runs:
        write_run(tmp_path, run)
    return harness.load(tmp_path).ratings()


def test_debug(tmp_path):
    rng=np.random.default_rng(0)
    runs=[against(o,a,int(rng.integers(1,4)),seed=s) for o in OPPONENTS for a in ("dqn","sarsa") for s in range(5)]
    t=rated(tmp_path,runs)
    print(t.to_string())
    assert 0
