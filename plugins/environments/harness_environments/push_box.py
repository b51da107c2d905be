"""Push-box: a Sokoban so small that its levels can be searched, in which a push may be a mistake for ever."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from harness_environments.arrays import push_box
from harness_environments.arrays.push_box import MOVES, ON_GOAL, SIDE, SOLVED, STEP

DRAWN_AT_ONCE = 64  # levels, which cost hardly more than one

Planes = np.ndarray[Any, np.dtype[np.bool_]]
State = np.ndarray[Any, np.dtype[np.int64]]


class PushBox(gymnasium.Env[Planes, Any]):
    """Boxes, as many goals and two walls on 5 x 5 cells inside a wall; a new level every episode, which can be solved.

    After the Sokoban of Racanière et al., 2017, arXiv:1707.06203, section 5.1, with its rewards, on a smaller board.
    Actions 0 to 3 go up, right, down and left. A box is pushed where the cell behind it is free; else, and before a
    wall, the agent stays. Nothing is ever pulled, so that a box in a corner stays there.

    Reward: −0.1 per step, 1 for a box pushed onto a goal, −1 for one pushed off it, and 10 when all stand on goals,
    which ends the episode. At most 50 steps. Observation: planes of walls, goals, boxes and the agent, bool [4, 7, 7].

    Args:
        boxes: how many.
    """

    def __init__(self, boxes: int = 2) -> None:
        self.observation_space = spaces.Box(0, 1, (4, SIDE, SIDE), np.bool_)
        self.action_space = spaces.Discrete(len(MOVES))
        self.walls: frozenset[int] = frozenset()
        self.goals: frozenset[int] = frozenset()
        self.boxes: frozenset[int] = frozenset()
        self.agent = 0
        self._count = boxes
        self._levels: list[list[int]] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Planes, dict[str, Any]]:
        """Draw a level."""
        super().reset(seed=seed)
        if seed is not None or not self._levels:
            generator = torch.Generator().manual_seed(int(self.np_random.integers(2**63)))
            self._levels = push_box.initial(generator, (DRAWN_AT_ONCE,), self._count).tolist()
        self.state = np.array(self._levels.pop())
        return self._seen(), {}

    @property
    def state(self) -> State:
        """Walls, goals and boxes, a bit per cell, and the agent's cell: [4]."""
        masks = [sum(1 << cell for cell in cells) for cells in (self.walls, self.goals, self.boxes)]
        return np.array([*masks, self.agent])

    @state.setter
    def state(self, state: State) -> None:
        *masks, self.agent = state.tolist()
        self.walls, self.goals, self.boxes = (
            frozenset(cell for cell in range(SIDE**2) if mask >> cell & 1) for mask in masks
        )

    def step(self, action: Any) -> tuple[Planes, float, bool, bool, dict[str, Any]]:
        """Go one step, or push."""
        ahead = self.agent + MOVES[int(action)]
        beyond = ahead + MOVES[int(action)]
        reward = STEP
        if ahead in self.boxes and beyond not in self.walls | self.boxes:
            self.boxes = self.boxes - {ahead} | {beyond}
            reward += ON_GOAL * ((beyond in self.goals) - (ahead in self.goals))
        if ahead not in self.walls | self.boxes:
            self.agent = ahead
        solved = self.boxes == self.goals
        return self._seen(), reward + SOLVED * solved, solved, False, {}

    def _seen(self) -> Planes:
        planes = np.zeros((4, SIDE**2), np.bool_)
        for plane, cells in zip(planes, (self.walls, self.goals, self.boxes, {self.agent}), strict=True):
            plane[list(cells)] = True
        return planes.reshape(4, SIDE, SIDE)


gymnasium.register("harness_environments/PushBox-v0", f"{__name__}:PushBox", max_episode_steps=50)
