"""What the tabular algorithms share.

A table is a list of rows of Python floats, Q[s][a]: one state is touched per step, and for that a list is
several times faster than an array.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete

Table = list[list[float]]


class Transition(NamedTuple):
    """What one step showed.

    Attributes:
        obs: s.
        action: a.
        reward: r.
        discount: d, 0 where the MDP terminated, else 1; so a time limit keeps 1.
        next_obs: s′.
    """

    obs: int
    action: int
    reward: float
    discount: float
    next_obs: int


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


def td_target(step: Transition, next_value: float, discount: float) -> float:
    """R + γ d v′.

    Args:
        step: the transition, with r and d.
        next_value: v′, of the successor: how it is chosen is what tells the algorithms apart.
        discount: γ.
    """
    return step.reward + discount * step.discount * next_value


def returns(steps: Sequence[Transition], tail: float, discount: float) -> list[float]:
    """Gₜ = rₜ + γ dₜ Gₜ₊₁ of T consecutive steps, with G_T = ``tail``; `td_target` is the case T = 1.

    Args:
        steps: in order of time, [T].
        tail: value of what follows the last step; without effect where the MDP terminated there.
        discount: γ.
    """
    backward = []
    for step in reversed(steps):
        tail = td_target(step, tail, discount)
        backward.append(tail)
    return backward[::-1]


def move_(q: Table, step: Transition, target: float, learning_rate: float) -> None:
    """Q(s, a) ← Q(s, a) + α [target − Q(s, a)], in place."""
    row = q[step.obs]
    row[step.action] += learning_rate * (target - row[step.action])


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
