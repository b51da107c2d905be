"""Tic-tac-toe: three in a row win. Move a marks cell a, row by row."""

import torch
from torch import Tensor

from harness_games.rules import bitboards
from harness_games.rules.bitboards import GOING_ON, constant, outcome, to_move

__all__ = ["BOARD", "apply", "initial", "legal", "observe", "outcome", "position", "to_move"]

BOARD = (3, 3)
CELLS = tuple(range(9))
FULL = (1 << 9) - 1
LINES = (0o7, 0o70, 0o700, 0o111, 0o222, 0o444, 0o421, 0o124)  # a row is a digit


def initial(shape: tuple[int, ...]) -> Tensor:
    """Empty boards [*shape, 4]."""
    return torch.tensor([0, 0, 0, GOING_ON]).expand(*shape, 4).clone()


def legal(state: Tensor) -> Tensor:
    """Empty cells, bool [..., 9]."""
    free = bitboards.has(state[..., 0] | state[..., 1], CELLS) == 0
    return free & (state[..., 3:4] == GOING_ON)


def apply(state: Tensor, action: Tensor) -> Tensor:
    """Positions after marks."""
    mine, theirs, player, _ = state.unbind(-1)
    mine = mine | (1 << action)
    lines = constant(LINES, state.device)
    won = ((mine.unsqueeze(-1) & lines) == lines).any(-1)
    told = bitboards.result(won, (mine | theirs) == FULL, player)
    return torch.stack((theirs, mine, 1 - player, told), -1)


def observe(state: Tensor) -> Tensor:
    """Own marks, the other's, and empty cells: float32 [..., 27]."""
    return bitboards.observe(state, CELLS, legal(state))


def position(observation: Tensor) -> Tensor:
    """The position that looks so, with the first player to move."""
    return bitboards.begun(bitboards.stones(observation, CELLS))
