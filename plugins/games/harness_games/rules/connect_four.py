"""Connect four, six rows of seven columns: move a drops a stone into column a; four in a line win.

Bit 7 c + r is the cell in column c and row r from below; row 6 stays empty, so that no line runs from a column into the
next one.
"""

import torch
from torch import Tensor

from harness_games.rules import bitboards
from harness_games.rules.bitboards import constant, outcome, to_move

__all__ = ["BOARD", "apply", "initial", "legal", "observe", "outcome", "position", "to_move"]

BOARD = ROWS, COLUMNS = (6, 7)
STRIDE = ROWS + 1  # bits from a column to the next
CELLS = tuple(STRIDE * column + row for row in reversed(range(ROWS)) for column in range(COLUMNS))  # from the top left
TOP = CELLS[:COLUMNS]
FULL = sum(1 << cell for cell in CELLS)
COLUMN = (1 << STRIDE) - 1
DIRECTIONS = (1, STRIDE, STRIDE - 1, STRIDE + 1)  # up, right, and the two diagonals


def initial(shape: tuple[int, ...]) -> Tensor:
    """Empty boards [*shape, 4]."""
    return bitboards.empty(shape, 4)


def legal(state: Tensor) -> Tensor:
    """Columns with room, bool [..., 7]."""
    room = bitboards.has(state[..., 0] | state[..., 1], TOP) == 0
    return room & bitboards.going_on(state)


def apply(state: Tensor, action: Tensor) -> Tensor:
    """Positions after stones have fallen: added to a column's lowest bit, 1 is carried to its lowest empty cell."""
    mine, theirs, player, _ = state.unbind(-1)
    lowest = 1 << (STRIDE * action)
    mine = mine | ((mine | theirs) + lowest) & (lowest * COLUMN)
    step = constant(DIRECTIONS, state.device)
    pairs = mine.unsqueeze(-1)
    pairs = pairs & (pairs >> step)
    won = (pairs & (pairs >> 2 * step)).any(-1)
    told = bitboards.result(won, (mine | theirs) == FULL, player)
    return bitboards.packed(theirs, mine, 1 - player, told)


def observe(state: Tensor) -> Tensor:
    """Own stones, the other's, from the top left row by row, and columns with room: float32 [..., 91]."""
    return bitboards.observe(state, CELLS, legal(state))


def position(observation: Tensor) -> Tensor:
    """The position that looks so, with the first player to move, while the game goes on."""
    mine, theirs = bitboards.stones(observation, CELLS)
    return bitboards.packed(mine, theirs, *[torch.zeros_like(mine)] * 2)
