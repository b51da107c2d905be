"""Hex on n x n cells, without the swap rule: who joins the own two sides wins, and one of the two always does.

Each player sees the board with the own sides above and below: the second player sees it transposed. So do moves count:
move a sets a stone on cell a, row by row, of the board as its mover sees it.

A position is int8 [..., n² + 2]: the cells, then who is to move and what came of the game, as `loops` numbers it. In a
cell is 0 where it is empty, else the number of the group of stones that it belongs to, negative where those are not the
mover's. So a move joins at most six groups, and no search through stones is needed.
"""

import numpy as np
import torch
from torch import Tensor

from harness_games.rules import loops
from harness_games.rules.bitboards import looped, on_device_of, told
from harness_games.rules.loops import GOING_ON

ADJACENT = ((-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0))  # rows and columns between neighbours


def neighbours(size: int) -> list[list[int]]:
    """The cells beside each cell."""
    found = []
    for cell in range(size * size):
        around = ((cell // size + down, cell % size + right) for down, right in ADJACENT)
        found.append([size * r + c for r, c in around if 0 <= r < size and 0 <= c < size])
    return found


class Hex:
    """The functions of `harness.api.GameRules`, on n x n cells; n is at most 11, as groups are numbered in int8."""

    def __init__(self, size: int) -> None:
        self.BOARD = (size, size)
        self._count = size * size
        # the six cells beside each, int64 [n², 6]; where there are fewer, also the cell itself
        rows = [[*found, *[cell] * 6][:6] for cell, found in enumerate(neighbours(size))]
        self._beside = np.array(rows, np.int64)

    def initial(self, shape: tuple[int, ...]) -> Tensor:
        """Empty boards [*shape, n² + 2]."""
        return torch.zeros((*shape, self._count + 2), dtype=torch.int8)

    def legal(self, state: Tensor) -> Tensor:
        """Empty cells, bool [..., n²]."""
        return looped(loops.empty_cells, state, row=self._count, dtype=np.bool_)

    def apply(self, state: Tensor, action: Tensor) -> Tensor:
        """Positions after stones, seen by the other player."""
        return looped(loops.join, state, action, self._beside, row=self._count + 2, dtype=np.int8)

    def to_move(self, state: Tensor) -> Tensor:
        """Who moves."""
        return state[..., -2].long()

    def outcome(self, state: Tensor) -> Tensor:
        """The first player's, NaN while the game goes on."""
        return told(state[..., -1])

    def observe(self, state: Tensor) -> Tensor:
        """Own stones, the other's, and empty cells, on the board as the mover sees it: float32 [..., 3 n²]."""
        return looped(loops.sides, state, self.legal(state), row=3 * self._count, dtype=np.float32)

    def played_out(self, state: Tensor, seed: Tensor) -> Tensor:
        """The first player's outcomes of random games from positions, float32 [...], by seeds int64 [...]."""
        ended = looped(loops.join_at_random, state, seed, self._beside, row=1, dtype=np.int64)
        return told(ended.squeeze(-1))

    def position(self, observation: Tensor) -> Tensor:
        """The position that looks so, with the first player to move, while the game goes on."""
        own, other = observation[..., : 2 * self._count].to(torch.int8).chunk(2, -1)
        sides, around = own - other, on_device_of(own, self._beside)
        alike = sides[..., around] == sides.unsqueeze(-1)
        number = torch.arange(1, self._count + 1, dtype=torch.int8, device=observation.device)
        seen_by_the_other = number.unflatten(0, self.BOARD).T.flatten()  # as who set a stone numbered its cell
        groups = torch.where(sides < 0, seen_by_the_other, number) * sides.abs()
        for _ in range(self._count):  # the largest number of a group spreads over it, by a cell at a time
            groups = torch.maximum(groups, (groups[..., around] * alike).amax(-1))
        begun = groups.new_full((*groups.shape[:-1], 2), GOING_ON)  # and the first player is 0 as well
        return torch.cat((groups * sides, begun), -1)
