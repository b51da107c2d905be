"""Probes that can only be solved by reading images: two frames of 10 x 10 pixels, uint8 [2, 10, 10].

Both show a board of 5 x 5 cells, each 2 x 2 pixels, dark (0) or bright (255): first the frame before the last
action, then the frame after it, so that the second frame of one observation is the first of the next.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from harness_environments.probes import agreement

BOARD = 5  # cells
CELL = 2  # pixels
BRIGHT = 255
STEPS = BOARD - 1  # of an episode

Frame = np.ndarray[Any, np.dtype[np.uint8]]


def frame(*cells: tuple[int, int]) -> Frame:
    """The image [10, 10] of some bright cells, each (row, column)."""
    board = np.zeros((BOARD, BOARD), np.uint8)
    for cell in cells:
        board[cell] = BRIGHT
    return board.repeat(CELL, axis=0).repeat(CELL, axis=1)


class Pixels(gymnasium.Env[Frame, Any]):
    """What both share: the spaces, and the pair of frames.

    Args:
        moves: number of discrete actions.
        continuous: whether one number in [−1, 1] takes their place.
    """

    def __init__(self, moves: int, continuous: bool) -> None:
        pixels = BOARD * CELL
        self.observation_space = spaces.Box(0, BRIGHT, (2, pixels, pixels), np.uint8)
        self.action_space: spaces.Space[Any] = (
            spaces.Box(-1.0, 1.0, (1,), np.float32) if continuous else spaces.Discrete(moves)
        )
        self._continuous = continuous
        self._frames = np.stack([frame(), frame()])
        self._steps = 0

    def _show(self, *cells: tuple[int, int]) -> Frame:
        self._frames = np.stack([self._frames[1], frame(*cells)])
        return self._frames.copy()


class PixelMotion(Pixels):
    """A bright cell moves left or right by chance, and the action says which way it just went; 4 steps.

    Reward: a quarter of the `agreement` of the action with the direction, −1 or 1. Known: V* = k / 4 with k steps
    to go, so the best return is 1. The cell re-enters on the other side, so all places are equally likely after
    either move:
    one frame says nothing about the direction, and no policy that sees only one expects more than 0.
    """

    def __init__(self, continuous: bool = False) -> None:
        super().__init__(2, continuous)
        self._row = self._column = 0
        self._direction = 1

    def _move(self) -> Frame:
        self._direction = 2 * int(self.np_random.integers(2)) - 1
        self._column = (self._column + self._direction) % BOARD
        return self._show((self._row, self._column))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frame, dict[str, Any]]:
        """Put the cell anywhere and move it once."""
        super().reset(seed=seed)
        self._steps = 0
        self._row, self._column = (int(place) for place in self.np_random.integers(BOARD, size=2))
        self._show((self._row, self._column))
        return self._move(), {}

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Reward what the action says, and move the cell again."""
        reward = agreement(action, self._direction, self._continuous) / STEPS
        self._steps += 1
        return self._move(), reward, self._steps == STEPS, False, {}


class PixelCatch(Pixels):
    """Catch (Osband et al., "Behaviour suite for reinforcement learning", 2020), on a board of 5 x 5.

    A ball falls straight down from a random column of the top row, one cell per step; a paddle in the bottom
    row, first in the middle, moves left, stays or moves right (0, 1, 2) and stops at the edges. At the fourth
    step, the last, the reward is 1 if the paddle is under the ball and −1 if not; it is 0 before. If
    ``continuous``, the paddle moves by the number rounded, half to even. Known: every ball can be caught, so
    the best return is 1.
    """

    def __init__(self, continuous: bool = False) -> None:
        super().__init__(3, continuous)
        self._ball = self._paddle = 0

    def _move(self, action: Any) -> int:
        return round(float(np.clip(action[0], -1.0, 1.0))) if self._continuous else int(action) - 1

    def _watch(self) -> Frame:
        return self._show((self._steps, self._ball), (BOARD - 1, self._paddle))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frame, dict[str, Any]]:
        """Let a ball appear; both frames are the first."""
        super().reset(seed=seed)
        self._steps = 0
        self._ball, self._paddle = int(self.np_random.integers(BOARD)), BOARD // 2
        self._watch()
        return self._watch(), {}

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Move the paddle and the ball."""
        self._paddle = min(max(self._paddle + self._move(action), 0), BOARD - 1)
        self._steps += 1
        terminated = self._steps == STEPS
        reward = (1.0 if self._paddle == self._ball else -1.0) if terminated else 0.0
        return self._watch(), reward, terminated, False, {}


for _pixels in (PixelMotion, PixelCatch):
    gymnasium.register(
        f"harness_environments/{_pixels.__name__}-v0", f"{__name__}:{_pixels.__name__}", max_episode_steps=10
    )
