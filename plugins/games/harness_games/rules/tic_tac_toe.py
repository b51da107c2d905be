"""Tic-tac-toe: three in a row win. Move a marks cell a, row by row."""

import numpy as np
import torch
from torch import Tensor

from harness_games.rules import bitboards, loops
from harness_games.rules.bitboards import looped, outcome, to_move, told

__all__ = ["BOARD", "apply", "initial", "legal", "observe", "outcome", "played_out", "position", "to_move"]

BOARD = (3, 3)
CELLS = bitboards.bits(tuple(range(9)))
FULL = (1 << 9) - 1
LINES = bitboards.bits((0o7, 0o70, 0o700, 0o111, 0o222, 0o444, 0o421, 0o124))  # a row is a digit


def initial(shape: tuple[int, ...]) -> Tensor:
    """Empty boards [*shape, 4]."""
    return torch.zeros((*shape, 4), dtype=torch.int64)


def legal(state: Tensor) -> Tensor:
    """Empty cells, bool [..., 9]."""
    return looped(loops.free, state, CELLS, row=9, dtype=np.bool_)


def apply(state: Tensor, action: Tensor) -> Tensor:
    """Positions after marks."""
    return looped(loops.mark, state, action, LINES, FULL, row=4, dtype=np.int64)


def observe(state: Tensor) -> Tensor:
    """Own marks, the other's, and empty cells: float32 [..., 27]."""
    return bitboards.observe(state, CELLS, legal(state))


def played_out(state: Tensor, seed: Tensor) -> Tensor:
    """The first player's outcomes of random games from positions, float32 [...], by seeds int64 [...]."""
    ended = looped(loops.mark_at_random, state, seed, CELLS, LINES, FULL, row=1, dtype=np.int64)
    return told(ended.squeeze(-1))


def position(observation: Tensor) -> Tensor:
    """The position that looks so, with the first player to move, while the game goes on."""
    mine, theirs = bitboards.stones(observation, CELLS)
    return torch.stack((mine, theirs, *[torch.zeros_like(mine)] * 2), -1)
