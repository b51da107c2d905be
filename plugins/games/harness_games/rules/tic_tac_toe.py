"""Tic-tac-toe: three in a row win. Move a marks cell a, row by row."""

from functools import cache

import torch
from torch import Tensor

from harness_games.rules import bitboards
from harness_games.rules.bitboards import looked_up, outcome, to_move

__all__ = ["BOARD", "apply", "initial", "legal", "observe", "outcome", "position", "to_move"]

BOARD = (3, 3)
CELLS = tuple(range(9))
FULL = (1 << 9) - 1
LINES = (0o7, 0o70, 0o700, 0o111, 0o222, 0o444, 0o421, 0o124)  # a row is a digit


@cache
def won_by(device: torch.device) -> Tensor:
    """Whether marks hold a line, by the number of the set: bool [512]."""
    return torch.tensor([any(marks & line == line for line in LINES) for marks in range(FULL + 1)], device=device)


@cache
def left_by(device: torch.device) -> Tensor:
    """The cells that marks leave free, by the number of the set: bool [512, 9]."""
    return torch.tensor([[not marks >> cell & 1 for cell in CELLS] for marks in range(FULL + 1)], device=device)


@cache
def seen_by(device: torch.device) -> Tensor:
    """The cells that marks are on, by the number of the set: float32 [512, 9]."""
    return (~left_by(device)).float()


def initial(shape: tuple[int, ...]) -> Tensor:
    """Empty boards [*shape, 4]."""
    return bitboards.empty(shape, 4)


def legal(state: Tensor) -> Tensor:
    """Empty cells, bool [..., 9]."""
    return looked_up(left_by(state.device), state[..., 0] | state[..., 1]) & bitboards.going_on(state)


def apply(state: Tensor, action: Tensor) -> Tensor:
    """Positions after marks."""
    mine, theirs, player, _ = state.unbind(-1)
    mine = mine | (1 << action)
    won = looked_up(won_by(state.device), mine)
    told = bitboards.result(won, (mine | theirs) == FULL, player)
    return bitboards.packed(theirs, mine, 1 - player, told)


def observe(state: Tensor) -> Tensor:
    """Own marks, the other's, and empty cells: float32 [..., 27]."""
    seen = seen_by(state.device)
    return torch.cat((looked_up(seen, state[..., 0]), looked_up(seen, state[..., 1]), legal(state).float()), -1)


def position(observation: Tensor) -> Tensor:
    """The position that looks so, with the first player to move, while the game goes on."""
    mine, theirs = bitboards.stones(observation, CELLS)
    return bitboards.packed(mine, theirs, *[torch.zeros_like(mine)] * 2)
