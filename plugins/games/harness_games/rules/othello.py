"""Othello (Reversi) on n x n cells: move a sets a disc on cell a, row by row, and turns what it encloses.

Who can turn nothing passes, move n²; where neither can, who has more discs wins. A position carries a fifth number, the
cells where who is to move may set a disc.

Discs are found in all eight directions at once, by shifts of bits. A disc on the edge is never enclosed across that
edge: it is left out, so that no shift runs from one end of a row into the next, and the sign of 64 bits harms nothing.
"""

import torch
from torch import Tensor

from harness_games.rules import bitboards
from harness_games.rules.bitboards import DRAWN, GOING_ON, constant, outcome, to_move


class Othello:
    """The functions of `harness.api.GameRules`, on n x n cells; n is even and at most 8."""

    def __init__(self, size: int) -> None:
        n = size
        self.BOARD = (n, n)
        self._cells = tuple(range(n * n))
        inside = range(1, n - 1)
        columns = _signed(sum(1 << n * row + column for row in range(n) for column in inside))
        rows = _signed(sum(1 << n * row + column for row in inside for column in range(n)))
        self._through = (columns, rows, columns & rows, columns & rows) * 2
        steps = (1, n, n - 1, n + 1)
        self._left, self._right = (*steps, 0, 0, 0, 0), (0, 0, 0, 0, *steps)
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
        moves = state[..., 4]
        none = (moves == 0).unsqueeze(-1)
        return torch.cat((bitboards.has(moves, self._cells).bool(), none), -1) & bitboards.going_on(state)

    def apply(self, state: Tensor, action: Tensor) -> Tensor:
        """Positions after discs, or passes."""
        mine, theirs, player = state[..., :3].unbind(-1)
        disc = (action < len(self._cells)).long() << action.clamp(max=len(self._cells) - 1)
        lines = self._lines(disc, theirs)
        turned = _union(lines * (self._shifted(lines) & mine).ne(0))
        mine, theirs = mine | disc | turned, theirs ^ turned
        sides = torch.stack((theirs, mine))
        next_moves, moves = self._moves(sides, sides.flip(0))
        counts = _count(sides)
        lead = (counts[1] - counts[0]) * (1 - 2 * player)  # of the first player
        told = torch.where((next_moves | moves) == 0, (lead.sign() + 3) % 3 + DRAWN, GOING_ON)
        return bitboards.packed(theirs, mine, 1 - player, told, next_moves)

    def observe(self, state: Tensor) -> Tensor:
        """Own discs, the other's, and legal moves: float32 [..., 3 n² + 1]."""
        return bitboards.observe(state, self._cells, self.legal(state))

    def position(self, observation: Tensor) -> Tensor:
        """The position that looks so, with the first player to move, while the game goes on."""
        return self._begun(*bitboards.stones(observation, self._cells))

    def _begun(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """Positions of these discs, with the first player to move."""
        return bitboards.packed(mine, theirs, *[torch.zeros_like(mine)] * 2, self._moves(mine, theirs))

    def _shifted(self, discs: Tensor) -> Tensor:
        """Sets [8, ...], each moved by a cell in its direction."""
        return (discs << _beside(self._left, discs)) >> _beside(self._right, discs)

    def _lines(self, ends: Tensor, enclosed: Tensor) -> Tensor:
        """Unbroken lines of ``enclosed`` from the cells of ``ends``, in each direction: [8, ...]."""
        enclosed = enclosed & _beside(self._through, ends.unsqueeze(0))
        lines = self._shifted(ends.unsqueeze(0)) & enclosed
        for _ in range(self.BOARD[0] - 3):
            lines = lines | (self._shifted(lines) & enclosed)
        return lines

    def _moves(self, mine: Tensor, theirs: Tensor) -> Tensor:
        """Empty cells at the other end of a line that a disc of mine begins."""
        free = ~(mine | theirs) & _signed((1 << len(self._cells)) - 1)
        return _union(self._shifted(self._lines(mine, theirs))) & free


def _beside(values: tuple[int, ...], sets: Tensor) -> Tensor:
    """Eight numbers, one for each of the sets [8, ...]."""
    return constant(values, sets.device).view(-1, *[1] * (sets.dim() - 1))


def _signed(bits: int) -> int:
    """The number that has these 64 bits as an int64."""
    return bits - (1 << 64) if bits >> 63 else bits


def _union(sets: Tensor) -> Tensor:
    """Of eight sets [8, ...]."""
    sets = sets[:4] | sets[4:]
    sets = sets[:2] | sets[2:]
    return sets[0] | sets[1]


def _count(sets: Tensor) -> Tensor:
    """How many bits are set, added in pairs, fours, eights and all."""
    pairs = sets - ((sets >> 1) & 0x5555555555555555)
    fours = (pairs & 0x3333333333333333) + ((pairs >> 2) & 0x3333333333333333)
    eights = (fours + (fours >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (eights * 0x0101010101010101) >> 56
