"""What the tabular algorithms share.

A table is a list of rows of Python floats, Q[s][a]: one state is touched per step, and for that a list is
several times faster than an array.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete

Table = list[list[float]]


def zero_table(env: gymnasium.Env[Any, Any]) -> Table:
    """A table of zeros with a row per observation and a column per action.

    Raises:
        ValueError: a space of ``env`` is not Discrete counting from 0.
    """
    spaces = (env.observation_space, env.action_space)
    sizes = [int(space.n) for space in spaces if isinstance(space, Discrete) and space.start == 0]
    if len(sizes) != len(spaces):
        raise ValueError(f"a table needs Discrete spaces that count from 0, not {spaces}")
    num_obs, num_actions = sizes
    return [[0.0] * num_actions for _ in range(num_obs)]


def epsilon_greedy(row: Sequence[float], epsilon: float, rng: np.random.Generator) -> int:
    """A uniformly random action with probability ε, else a best one; equally good ones are equally likely.

    Without the random tie-break an untrained table would walk into one wall for ever.

    Args:
        row: action values [A].
        epsilon: probability of ignoring them.
        rng: draws.
    """
    if rng.random() < epsilon:
        return int(rng.random() * len(row))
    best = max(row)
    if row.count(best) == 1:
        return row.index(best)
    ties = [action for action, value in enumerate(row) if value == best]
    return ties[int(rng.random() * len(ties))]


def td_error(value: float, reward: float, discount: float, next_value: float) -> float:
    """δ = r + γ v′ − v.

    Args:
        value: v, of the pair that was visited.
        reward: r.
        discount: γ, or 0 where the MDP terminated; a time limit keeps γ.
        next_value: v′, of the successor: how it is chosen is what tells the algorithms apart.
    """
    return reward + discount * next_value - value


@dataclass(frozen=True)
class Greedy:
    """The policy that is greedy in a table, read afresh at every call.

    Ties go to the lowest action, not to a random one, so that evaluation is a function of the table alone.

    Attributes:
        q: table, [O][A].
    """

    q: Table

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Actions, int64 [B], for observations, int64 [B]."""
        rows = [self.q[state] for state in obs.tolist()]
        return np.array([row.index(max(row)) for row in rows], dtype=np.int64)
