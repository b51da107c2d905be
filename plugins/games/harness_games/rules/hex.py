"""Hex on n x n cells, without the swap rule: who joins the own two sides wins, and one of the two always does.

Each player sees the board with the own sides above and below: the second player sees it transposed. So do moves count:
move a sets a stone on cell a, row by row, of the board as its mover sees it.

A position is int8 [..., n² + 2]: the cells, then who is to move and what came of the game, as in `bitboards`. A cell is
0 where it is empty, else the number of the group of stones that it belongs to, negative where those are not the
mover's. So a move joins at most six groups, and no search through stones is needed.
"""

from functools import cache

import torch
from torch import Tensor

from harness_games.rules import bitboards
from harness_games.rules.bitboards import FIRST_WON, GOING_ON, OUTCOMES, constant, looked_up

ADJACENT = ((-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0))  # rows and columns between neighbours


def neighbours(size: int) -> list[list[int]]:
    """The cells beside each cell."""
    found = []
    for cell in range(size * size):
        around = ((cell // size + down, cell % size + right) for down, right in ADJACENT)
        found.append([size * r + c for r, c in around if 0 <= r < size and 0 <= c < size])
    return found


@cache
def beside(size: int, device: torch.device) -> Tensor:
    """The six cells beside each, int64 [n², 6]; where there are fewer, also the cell itself."""
    rows = [[*found, *[cell] * 6][:6] for cell, found in enumerate(neighbours(size))]
    return torch.tensor(rows, device=device)


class Hex:
    """The functions of `harness.api.GameRules`, on n x n cells; n is at most 11, as groups are numbered in int8."""

    def __init__(self, size: int) -> None:
        self.BOARD = (size, size)
        self._count = size * size

    def initial(self, shape: tuple[int, ...]) -> Tensor:
        """Empty boards [*shape, n² + 2]."""
        return bitboards.empty(shape, self._count + 2, torch.int8)

    def legal(self, state: Tensor) -> Tensor:
        """Empty cells, bool [..., n²]."""
        return (state[..., : self._count] == 0) & (state[..., -1:] == GOING_ON)

    def apply(self, state: Tensor, action: Tensor) -> Tensor:
        """Positions after stones, seen by the other player."""
        numbers, size = state.movedim(-1, 0), self.BOARD[0]
        cells, player, _ = numbers.split((self._count, 1, 1))
        around = looked_up(beside(size, state.device), action).movedim(-1, 0)
        joined = torch.zeros_like(cells, dtype=torch.bool)
        for group in cells.gather(0, around):  # of any player, or none
            joined |= cells == group
        joined = (joined & (cells > 0)).scatter(0, action.unsqueeze(0), True)
        won = joined[:size].any(0) & joined[-size:].any(0)
        cells = cells + joined * ((action + 1).to(torch.int8) - cells)
        theirs = cells.neg().unflatten(0, self.BOARD).transpose(0, 1).flatten(0, 1)
        return torch.cat((theirs, 1 - player, won * (player + FIRST_WON))).movedim(0, -1)

    def to_move(self, state: Tensor) -> Tensor:
        """Who moves."""
        return state[..., -2].long()

    def outcome(self, state: Tensor) -> Tensor:
        """The first player's, NaN while the game goes on."""
        return looked_up(constant(OUTCOMES, state.device), state[..., -1].int())

    def observe(self, state: Tensor) -> Tensor:
        """Own stones, the other's, and empty cells, on the board as the mover sees it: float32 [..., 3 n²]."""
        cells = state.movedim(-1, 0)[: self._count]
        legal = self.legal(state).movedim(-1, 0)
        return torch.cat([plane.float() for plane in (cells > 0, cells < 0, legal)]).movedim(0, -1)

    def position(self, observation: Tensor) -> Tensor:
        """The position that looks so, with the first player to move, while the game goes on."""
        own, other = observation[..., : 2 * self._count].to(torch.int8).chunk(2, -1)
        sides, around = own - other, beside(self.BOARD[0], observation.device)
        alike = sides[..., around] == sides.unsqueeze(-1)
        number = torch.arange(1, self._count + 1, dtype=torch.int8, device=observation.device)
        seen_by_the_other = number.unflatten(0, self.BOARD).T.flatten()  # as who set a stone numbered its cell
        groups = torch.where(sides < 0, seen_by_the_other, number) * sides.abs()
        for _ in range(self._count):  # the largest number of a group spreads over it, by a cell at a time
            groups = torch.maximum(groups, (groups[..., around] * alike).amax(-1))
        begun = groups.new_full((*groups.shape[:-1], 2), GOING_ON)  # and the first player is 0 as well
        return torch.cat((groups * sides, begun), -1)
