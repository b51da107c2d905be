"""Connect four, six rows of seven columns: move a drops a stone into column a; four in a line win.

Bit 7 c + r is the cell in column c and row r from below; row 6 stays empty, so that no line runs from a column into the
next one.
"""

import numpy as np
import torch
from torch import Tensor

from harness_games.rules import bitboards, loops
from harness_games.rules.bitboards import looped, outcome, to_move, told

__all__ = ["BOARD", "apply", "initial", "legal", "observe", "outcome", "played_out", "position", "to_move"]

BOARD = ROWS, COLUMNS = (6, 7)
STRIDE = ROWS + 1  # bits from a column to the next
CELLS = bitboards.bits(tuple(STRIDE * column + row for row in reversed(range(ROWS)) for column in range(COLUMNS)))
TOP = CELLS[:COLUMNS]  # as cells are told row by row, from the top left
FULL = sum(1 << int(cell) for cell in CELLS)
STEPS = bitboards.bits((1, STRIDE, STRIDE - 1, STRIDE + 1))  # up, right, and along the two diagonals


def initial(shape: tuple[int, ...]) -> Tensor:
    """Empty boards [*shape, 4]."""
    return torch.zeros((*shape, 4), dtype=torch.int64)


def legal(state: Tensor) -> Tensor:
    """Columns with room, bool [..., 7]."""
    return looped(loops.free, state, TOP, row=COLUMNS, dtype=np.bool_)


def apply(state: Tensor, action: Tensor) -> Tensor:
    """Positions after stones have fallen."""
    return looped(loops.drop, state, action, STRIDE, STEPS, FULL, row=4, dtype=np.int64)


def observe(state: Tensor) -> Tensor:
    """Own stones, the other's, from the top left row by row, and columns with room: float32 [..., 91]."""
    return bitboards.observe(state, CELLS, legal(state))


def played_out(state: Tensor, seed: Tensor) -> Tensor:
    """The first player's outcomes of random games from positions, float32 [...], by seeds int64 [...]."""
    ended = looped(loops.drop_at_random, state, seed, TOP, STRIDE, STEPS, FULL, row=1, dtype=np.int64)
    return told(ended.squeeze(-1))


def position(observation: Tensor) -> Tensor:
    """The position that looks so, with the first player to move, while the game goes on."""
    mine, theirs = bitboards.stones(observation, CELLS)
    return torch.stack((mine, theirs, *[torch.zeros_like(mine)] * 2), -1)
