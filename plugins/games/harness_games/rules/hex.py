"""Hex on n x n cells, without the swap rule: who joins the own two sides wins, and one of the two always does.

Each player sees the board with the own sides above and below: the second player sees it transposed. So do moves count:
move a sets a stone on cell a, row by row, of the board as its mover sees it.

A position is int8 [..., n² + 2]: the cells, then who is to move and the first player's outcome, or `GOING_ON`. A cell
is 0 where it is empty, else the number of the group of stones that it belongs to, negative where those are not the
mover's. So a move joins at most six groups, and no search through stones is needed.
"""

import torch
from torch import Tensor

from harness_games.rules.bitboards import GOING_ON, constant

ADJACENT = ((-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0))  # rows and columns between neighbours
NO_GROUP = -128


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
        # Where there are fewer than six: the cell itself, which is empty before a move.
        around = ([*beside, *[cell] * 6][:6] for cell, beside in enumerate(neighbours(size)))
        self._beside = tuple(cell for six in around for cell in six)

    def initial(self, shape: tuple[int, ...]) -> Tensor:
        """Empty boards [*shape, n² + 2]."""
        begun = torch.tensor([0] * (self._count + 1) + [GOING_ON], dtype=torch.int8)
        return begun.expand(*shape, -1).clone()

    def legal(self, state: Tensor) -> Tensor:
        """Empty cells, bool [..., n²]."""
        return (state[..., : self._count] == 0) & (state[..., -1:] == GOING_ON)

    def apply(self, state: Tensor, action: Tensor) -> Tensor:
        """Positions after stones, seen by the other player."""
        cells, player = state[..., : self._count], state[..., -2]
        action = action.unsqueeze(-1)
        beside = constant(self._beside, state.device).view(-1, 6)[action.squeeze(-1)]
        groups = cells.gather(-1, beside)
        groups = torch.where(groups > 0, groups, NO_GROUP)  # the mover's
        joined = (cells.unsqueeze(-2) == groups.unsqueeze(-1)).any(-2).scatter(-1, action, True)
        size = self.BOARD[0]
        won = joined[..., :size].any(-1) & joined[..., -size:].any(-1)
        cells = torch.where(joined, (action + 1).to(torch.int8), cells)
        theirs = cells.neg().unflatten(-1, self.BOARD).mT.flatten(-2)
        told = torch.where(won, 1 - 2 * player, GOING_ON)
        return torch.cat((theirs, torch.stack((1 - player, told), -1)), -1)

    def to_move(self, state: Tensor) -> Tensor:
        """Who moves."""
        return state[..., -2].long()

    def outcome(self, state: Tensor) -> Tensor:
        """The first player's, NaN while the game goes on."""
        told = state[..., -1]
        return torch.where(told == GOING_ON, torch.nan, told.float())

    def observe(self, state: Tensor) -> Tensor:
        """Own stones, the other's, and empty cells, on the board as the mover sees it: float32 [..., 3 n²]."""
        cells = state[..., : self._count]
        return torch.cat((cells > 0, cells < 0, self.legal(state)), -1).float()

    def position(self, observation: Tensor) -> Tensor:
        """The position that looks so, with the first player to move."""
        own, other = (observation[..., : 2 * self._count].unflatten(-1, (2, -1)) > 0).unbind(-2)
        sides = own.to(torch.int8) - other.to(torch.int8)
        beside = constant(self._beside, observation.device)
        groups = torch.arange(1, self._count + 1, dtype=torch.int8, device=observation.device) * (sides != 0)
        for _ in range(self._count):  # the largest number of a group's stones spreads over it
            near = groups[..., beside] * (sides[..., beside] == sides.repeat_interleave(6, -1))
            groups = torch.maximum(groups, near.unflatten(-1, (-1, 6)).amax(-1)) * (sides != 0)
        end = torch.tensor([0, GOING_ON], dtype=torch.int8, device=observation.device)
        return torch.cat((groups * sides, end.expand(*sides.shape[:-1], 2)), -1)
