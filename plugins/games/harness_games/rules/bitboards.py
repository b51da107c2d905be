"""Positions as two sets of cells, a bit per cell, seen by who is to move.

A position is int64 [..., 4 or more]: the stones of the player to move, those of the other, who is to move (0 or 1), and
the first player's outcome, -1, 0 or 1, or `GOING_ON`.
"""

from functools import cache

import torch
from torch import Tensor

GOING_ON = 2


@cache
def constant(values: tuple[int, ...], device: torch.device) -> Tensor:
    """The same tensor, int64, at every call; only to be read."""
    return torch.tensor(values, device=device)


def result(won: Tensor, drawn: Tensor, player: Tensor) -> Tensor:
    """What a move led to: the mover won, nobody can any more, or the game goes on."""
    return torch.where(won, 1 - 2 * player, torch.where(drawn, 0, GOING_ON))


def to_move(state: Tensor) -> Tensor:
    """Who moves."""
    return state[..., 2].clone()


def outcome(state: Tensor) -> Tensor:
    """The first player's, NaN while the game goes on."""
    told = state[..., 3]
    return torch.where(told == GOING_ON, torch.nan, told.float())


def has(stones: Tensor, cells: tuple[int, ...]) -> Tensor:
    """Which cells, numbers of bits, a set holds: 0 or 1, [..., cells]."""
    return (stones.unsqueeze(-1) >> constant(cells, stones.device)) & 1


def observe(state: Tensor, cells: tuple[int, ...], legal: Tensor) -> Tensor:
    """Own stones, the other's, and legal moves: float32 [..., 2 cells + A]."""
    return torch.cat((has(state[..., :2], cells).flatten(-2), legal), -1).float()


def stones(observation: Tensor, cells: tuple[int, ...]) -> Tensor:
    """The two sets of stones that are observed, int64 [..., 2]."""
    planes = observation[..., : 2 * len(cells)].long().unflatten(-1, (2, len(cells)))
    return (planes << constant(cells, observation.device)).sum(-1)


def begun(sets: Tensor, *more: Tensor) -> Tensor:
    """A position of two sets [..., 2] in which the first player is to move."""
    player = torch.zeros_like(sets[..., 0])
    return torch.stack((*sets.unbind(-1), player, player + GOING_ON, *more), -1)
