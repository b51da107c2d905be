"""The uniformly random policy: the zero of every normalised score.

It learns nothing. Its actions are drawn from the action space, in training and in evaluation, where the two
draw from streams of their own.

Departures from the paper: none; there is no paper.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from harness.api import Trial


@dataclass(frozen=True)
class Config:
    """Nothing to choose."""


@dataclass(frozen=True)
class Uniform:
    """A policy that looks at an observation only to count how many actions are asked for.

    Attributes:
        space: to draw from; advanced by every call.
    """

    space: gymnasium.Space[Any]

    def __call__(self, obs: Any) -> np.ndarray:
        """Actions [B, ...] for observations [B, ...], which may be nested in dicts and tuples."""
        return np.stack([self.space.sample() for _ in range(batch_size(obs))])


def batch_size(obs: Any) -> int:
    """B of a batch of observations [B, ...]; of a dict or tuple, that of its first part."""
    if isinstance(obs, dict):
        return batch_size(next(iter(obs.values())))
    return batch_size(obs[0]) if isinstance(obs, tuple) else len(obs)


def train(trial: Trial, config: Config) -> None:
    """Act at random until the budget is spent."""
    env = trial.make_env()
    space = deepcopy(env.action_space)
    space.seed(trial.seed("evaluated_actions"))
    trial.policy = Uniform(space)
    while trial.within_budget:
        env.reset()
        ended = False
        while not ended:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            ended = terminated or truncated
