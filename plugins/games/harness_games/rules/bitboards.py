"""Positions as two sets of cells, a bit per cell, seen by who is to move.

A position is int64 [..., 4 or more]: the stones of the player to move, those of the other, who is to move (0 or 1), and
what came of the game: `GOING_ON`, `DRAWN`, or won by the first or the second player.

In memory a position's numbers lie apart and those of all boards side by side, as almost every operation is on one
number of every board: that is three times as fast. Positions laid out otherwise are taken, too.
"""

from functools import cache

import torch
from torch import Tensor

GOING_ON, DRAWN, FIRST_WON, SECOND_WON = range(4)
OUTCOMES = (torch.nan, 0.0, 1.0, -1.0)  # of the first player


@cache
def constant(values: tuple[int | float | bool, ...], device: torch.device) -> Tensor:
    """The same tensor at every call; only to be read, and short, for the numbers are compared at every call."""
    return torch.tensor(values, device=device)


def packed(*numbers: Tensor) -> Tensor:
    """Positions [..., D] of D numbers [...]."""
    return torch.stack(numbers).movedim(0, -1)


def empty(shape: tuple[int, ...], size: int, dtype: torch.dtype = torch.int64) -> Tensor:
    """Positions [*shape, size] of zeros: no stones, the first player to move, the game going on."""
    return torch.zeros(size, *shape, dtype=dtype).movedim(0, -1)


def looked_up(table: Tensor, index: Tensor) -> Tensor:
    """Rows of a table, [..., *row]: what ``table[index]`` is, in a third of the time."""
    return table.index_select(0, index.reshape(-1)).view((*index.shape, *table.shape[1:]))


def result(won: Tensor, drawn: Tensor, player: Tensor) -> Tensor:
    """What a move of a player led to; it may win and leave no cell free."""
    return torch.where(won, player + FIRST_WON, drawn)


def to_move(state: Tensor) -> Tensor:
    """Who moves."""
    return state[..., 2].clone()


def outcome(state: Tensor) -> Tensor:
    """The first player's, NaN while the game goes on."""
    return looked_up(constant(OUTCOMES, state.device), state[..., 3])


def going_on(state: Tensor) -> Tensor:
    """Whether somebody is to move, [..., 1]."""
    return state[..., 3:4] == GOING_ON


def has(stones: Tensor, cells: tuple[int, ...]) -> Tensor:
    """Which cells, numbers of bits, a set holds: 0 or 1, [..., cells]."""
    bits = constant(cells, stones.device).view(-1, *[1] * stones.dim())
    return ((stones >> bits) & 1).movedim(0, -1)


def observe(state: Tensor, cells: tuple[int, ...], legal: Tensor) -> Tensor:
    """Own stones, the other's, and legal moves: float32 [..., 2 cells + A]."""
    planes = (has(state[..., 0], cells), has(state[..., 1], cells), legal)
    return torch.cat([plane.movedim(-1, 0).float() for plane in planes]).movedim(0, -1)


def stones(observation: Tensor, cells: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The own set of stones that is observed, and the other's."""
    planes = observation[..., : 2 * len(cells)].long().unflatten(-1, (2, len(cells)))
    mine, theirs = (planes << constant(cells, observation.device)).sum(-1).unbind(-1)
    return mine, theirs
