"""Grid mazes: the 4x4 maze of M. Zhou's tutorial, tabular and with two features, and the Dyna maze."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

# Up, down, right, left. The tutorial's source names its actions ['u', 'd', 'l', 'r'], but its step() moves right
# for 2 and left for 3; what the code does is kept here.
MOVES = ((-1, 0), (1, 0), (0, 1), (0, -1))
REWARDS = {"G": 1.0, "X": -1.0}  # entering one ends the episode

TUTORIAL = ("S...", "..X.", ".XG.", "....")
TUTORIAL_ONE_HELL = ("S...", "..X.", "..G.", "....")
DYNA = (".......#G", "..#....#.", "S.#....#.", "..#......", ".....#...", ".........")


class Maze(gymnasium.Env[Any, int]):
    """A grid to cross from S to G (reward 1, ends) past X (reward −1, ends) and walls #. All else gives 0.

    Observation: row · width + column, Discrete. Actions: 0 up, 1 down, 2 right, 3 left; moving into a wall or
    out of the grid stays.

    Args:
        layout: one string per row, of ``S G X # .``; S and G once.
    """

    def __init__(self, layout: Sequence[str]) -> None:
        self._layout = tuple(layout)
        self._height, self._width = len(layout), len(layout[0])
        self._start = self._find("S")
        self._at = self._start
        self.observation_space: spaces.Space[Any] = spaces.Discrete(self._height * self._width)
        self.action_space = spaces.Discrete(len(MOVES))

    def _find(self, letter: str) -> tuple[int, int]:
        """Row and column of the letter."""
        return next((row, line.index(letter)) for row, line in enumerate(self._layout) if letter in line)

    def _observe(self) -> Any:
        row, column = self._at
        return row * self._width + column

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start in S."""
        super().reset(seed=seed)
        self._at = self._start
        return self._observe(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move one cell, if there is one."""
        down, right = MOVES[action]
        row, column = self._at[0] + down, self._at[1] + right
        if 0 <= row < self._height and 0 <= column < self._width and self._layout[row][column] != "#":
            self._at = row, column
        cell = self._layout[self._at[0]][self._at[1]]
        return self._observe(), REWARDS.get(cell, 0.0), cell in REWARDS, False, {}


class FeatureMaze(Maze):
    """The maze seen by a network.

    Observation: float32 [2], (column, row) minus those of G, each divided by the number of rows, as in the
    tutorial.
    """

    def __init__(self, layout: Sequence[str]) -> None:
        super().__init__(layout)
        self._goal = self._find("G")
        corners = (self._features(0, 0), self._features(self._height - 1, self._width - 1))
        self.observation_space = spaces.Box(*corners, dtype=np.float32)

    def _features(self, row: int, column: int) -> np.ndarray[Any, Any]:
        offset = column - self._goal[1], row - self._goal[0]
        return np.asarray(offset, np.float32) / np.float32(self._height)

    def _observe(self) -> np.ndarray[Any, Any]:
        return self._features(*self._at)


# The tutorial sets no limits; these are far above the shortest paths of 6 and 4 steps.
gymnasium.register(
    "harness_environments/Maze-v0", f"{__name__}:Maze", max_episode_steps=100, kwargs={"layout": TUTORIAL}
)
gymnasium.register(
    "harness_environments/FeatureMaze-v0",
    f"{__name__}:FeatureMaze",
    max_episode_steps=100,
    kwargs={"layout": TUTORIAL_ONE_HELL},
)
# Within 500 steps a random walk finds the goal in 41 % of episodes; its mean way there is 868 steps.
gymnasium.register(
    "harness_environments/DynaMaze-v0", f"{__name__}:Maze", max_episode_steps=500, kwargs={"layout": DYNA}
)
