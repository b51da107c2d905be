"""The treasure world ``-o---T`` (M. Zhou, "Reinforcement learning with tensorflow", 1: a corridor)."""

from typing import Any

import gymnasium
from gymnasium import spaces

CELLS = 6
LEFT, RIGHT = 0, 1


class Treasure(gymnasium.Env[int, int]):
    """Six cells in a row; the episode starts in cell 0 and ends in cell 5, with reward 1. All else gives 0.

    Observation: the cell, Discrete(6). Actions: 0 left, 1 right; moving left in cell 0 stays there.
    The shortest path has 5 steps, so Q*(s, right) = γ^(4−s).
    """

    def __init__(self) -> None:
        self.observation_space = spaces.Discrete(CELLS)
        self.action_space = spaces.Discrete(2)
        self._cell = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Start in the leftmost cell."""
        super().reset(seed=seed)
        self._cell = 0
        return self._cell, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Move one cell."""
        self._cell = self._cell + 1 if action == RIGHT else max(self._cell - 1, 0)
        terminated = self._cell == CELLS - 1
        return self._cell, float(terminated), terminated, False, {}


# The original sets no limit. Within 20 steps a random walk finds the treasure in 45 % of episodes; with a limit
# that it always meets, every policy but a stuck one would score 1.
gymnasium.register("harness_environments/Treasure-v0", f"{__name__}:Treasure", max_episode_steps=20)
