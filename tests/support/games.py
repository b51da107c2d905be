"""Synthetic stored runs against the opponents of a game."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from support.results import Environment, Run

GAMES = 5  # of an evaluation: as many as the tables of `Run` have rows of


@dataclass(frozen=True)
class Game(Run):
    """A run against an opponent: games drawn before training, and outcomes at the end."""

    told: tuple[float, ...] = ()  # outcomes
    described: dict[str, Any] = field(default_factory=dict)
    drawings: Any = None

    @property
    def manifest(self):
        spec = {"name": self.environment.name, "id": self.environment.id, "version": "1", "wrappers": []}
        drawn = {} if self.drawings is None else {"drawings": self.drawings}
        return super().manifest | {"job": {"environment": spec | self.described, "episodes": GAMES}} | drawn

    @property
    def evaluated(self):
        return np.array([*[0.0] * GAMES, *self.told])


def against(opponent, algorithm, won, seed=0, drawn=0, game="toy_games.rules.tic_tac_toe", **changes):
    name = game.rpartition(".")[2].replace("_", "-")
    environment = Environment(f"{name}-{opponent}", "Toy-v0", -0.9, 1.0, None, lowest=-1.0, highest=1.0)
    described = {"game": game, "kwargs": {"opponent": opponent}}
    told = (1.0,) * won + (0.0,) * drawn + (-1.0,) * (GAMES - won - drawn)
    run = Game(f"algorithms/{algorithm}", environment, seed, scores=(0.0, 0.0), told=told, described=described)
    return replace(run, **changes)


def several(opponent, algorithm, *won, **changes):
    """A run per number of games won."""
    return [against(opponent, algorithm, each, seed, **changes) for seed, each in enumerate(won)]
