"""Othello (Reversi) on n x n cells: move a sets a disc on cell a, row by row, and turns what it encloses.

Who can turn nothing passes, move n²; where neither can, who has more discs wins. A position carries a fifth number, the
cells where who is to move may set a disc.

Lines of discs are found by shifts of bits, a direction after the other. A disc on the edge is never enclosed across
that edge: it is left out, so that no shift runs from one end of a row into the next, and the sign of 64 bits harms
nothing.
"""

import numpy as np
import torch
from torch import Tensor

from harness_games.rules import bitboards, loops
from harness_games.rules.bitboards import looped, outcome, to_move, told


class Othello:
    """The functions of `harness.api.GameRules`, on n x n cells; n is even and at most 8."""

    def __init__(self, size: int) -> None:
        n = size
        self.BOARD = (n, n)
        self._cells = bitboards.bits(tuple(range(n * n)))
        inside = range(1, n - 1)
        columns = _signed(sum(1 << n * row + column for row in range(n) for column in inside))
        rows = _signed(sum(1 << n * row + column for row in inside for column in range(n)))
        through = (columns, rows, columns & rows, columns & rows)
        steps = tuple(zip((1, n, n - 1, n + 1), through, strict=True))
        # bits to the left, to the right, and the cells that may lie in the middle of a line: int64 [8, 3]
        directions = [(step, 0, cells) for step, cells in steps] + [(0, step, cells) for step, cells in steps]
        self._board = np.array(directions, np.int64), n, _signed((1 << n * n) - 1)
        half = n // 2
        self._start = (
            1 << n * (half - 1) + half | 1 << n * half + half - 1,  # the first player's
            1 << n * (half - 1) + half - 1 | 1 << n * half + half,
        )

    to_move = staticmethod(to_move)
    outcome = staticmethod(outcome)

    def initial(self, shape: tuple[int, ...]) -> Tensor:
        """Boards with two discs of each player, [*shape, 5]."""
        return self._begun(*(torch.full(shape, discs) for discs in self._start))

    def legal(self, state: Tensor) -> Tensor:
        """Cells that enclose something, and passing where there is none: bool [..., n² + 1]."""
        return looped(loops.discs_to_set, state, row=len(self._cells) + 1, dtype=np.bool_)

    def apply(self, state: Tensor, action: Tensor) -> Tensor:
        """Positions after discs, or passes."""
        return looped(loops.turn, state, action, *self._board, row=5, dtype=np.int64)

    def observe(self, state: Tensor) -> Tensor:
        """Own discs, the other's, and legal moves: float32 [..., 3 n² + 1]."""
        return bitboards.observe(state, self._cells, self.legal(state))

    def played_out(self, state: Tensor, seed: Tensor) -> Tensor:
        """The first player's outcomes of random games from positions, float32 [...], by seeds int64 [...]."""
        ended = looped(loops.turn_at_random, state, seed, *self._board, row=1, dtype=np.int64)
        return told(ended.squeeze(-1))

    def position(self, observation: Tensor) -> Tensor:
        """The position that looks so, with the first player to move, while the game goes on."""
        return self._begun(*bitboards.stones(observation, self._cells))

    def _begun(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """Positions of these discs, with the first player to move."""
        begun = torch.stack((mine, theirs, *[torch.zeros_like(mine)] * 3), -1)
        return looped(loops.with_places, begun, *self._board, row=5, dtype=np.int64)


def _signed(bits: int) -> int:
    """The number that has these 64 bits as an int64."""
    return bits - (1 << 64) if bits >> 63 else bits
