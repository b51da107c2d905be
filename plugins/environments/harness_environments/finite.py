"""Worlds given by their transition table, so that exact values are one dynamic programme away."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

# {state: {action: [(probability, next state, reward, terminated), ...]}}, as in Gymnasium's toy text
Table = Mapping[int, Mapping[int, Sequence[tuple[float, int, float, bool]]]]


class FiniteWorld(gymnasium.Env[Any, int]):
    """A finite Markov decision process that starts in state 0.

    Observation: the state, Discrete(S), or its indicator, float32 [S]. Actions: Discrete(A).

    Attributes:
        P: the transition table; where rewards are noisy it holds their means.
        initial_state_distrib: [S], probability of each first state.

    Args:
        table: S states, and the same A actions in each. An outcome that terminates still names a next state,
            which is observed.
        one_hot: whether the indicator is observed.
        reward_deviation: [S], standard deviation of Gaussian noise on every reward earned in a state; None for 0.
    """

    def __init__(self, table: Table, one_hot: bool, reward_deviation: Sequence[float] | None = None) -> None:
        self.P = table
        self.initial_state_distrib = np.eye(len(table))[0]
        self._indicators = np.eye(len(table), dtype=np.float32) if one_hot else None
        self._reward_deviation = reward_deviation
        self._state = 0
        self.observation_space: spaces.Space[Any] = (
            spaces.Box(0.0, 1.0, (len(table),), np.float32) if one_hot else spaces.Discrete(len(table))
        )
        self.action_space = spaces.Discrete(len(table[0]))

    def _observe(self) -> Any:
        return self._state if self._indicators is None else self._indicators[self._state].copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start in state 0."""
        super().reset(seed=seed)
        self._state = 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Draw one of the outcomes that the table lists."""
        outcomes = self.P[self._state][action]
        drawn = 0
        if len(outcomes) > 1:
            drawn = self.np_random.choice(len(outcomes), p=[outcome[0] for outcome in outcomes])
        _, following, reward, terminated = outcomes[drawn]
        if self._reward_deviation is not None:
            reward += self._reward_deviation[self._state] * self.np_random.standard_normal()
        self._state = following
        return self._observe(), float(reward), terminated, False, {}
