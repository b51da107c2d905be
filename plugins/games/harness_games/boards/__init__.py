"""The games once more, for one board and in Python's whole numbers: what environments and their opponents play on.

One ply here costs some microseconds, in the functions of tensors a hundred; those are for many boards at once. Tests
play both, and OpenSpiel's, side by side.
"""

from abc import ABC, abstractmethod
from random import Random
from typing import Any

import numpy as np

Position = tuple[int, ...]  # the stones of who is to move, a bit per cell, those of the other, and what else there is
Observation = np.ndarray[Any, np.dtype[np.float32]]


class Board(ABC):
    """A game's rules.

    Attributes:
        moves: how many there are, legal or not.
        cells: the bits of a player's stones, in the order in which they are observed.
        columns: how many cells a row of the board has.
        start: the position at the beginning.
    """

    moves: int
    cells: tuple[int, ...]
    columns: int
    start: Position

    @abstractmethod
    def legal(self, position: Position) -> list[int]:
        """Moves that are allowed while the game goes on."""

    @abstractmethod
    def after(self, position: Position, move: int) -> Position:
        """The position after a legal move, seen by the other player."""

    @abstractmethod
    def outcome(self, position: Position) -> int | None:
        """Who is to move has won (1), drawn (0) or lost (-1); None while the game goes on."""

    def turned(self, position: Position) -> Position:
        """The same stones, seen by the other player."""
        mine, theirs, *more = position
        return theirs, mine, *more

    def cells_of(self, position: Position) -> tuple[int, ...]:
        """The bits in the order in which who is to move sees them."""
        return self.cells

    def observe(self, position: Position, over: bool) -> Observation:
        """Own stones, the other's and legal moves, none when it is over: what the functions of tensors show."""
        cells = self.cells_of(position)
        allowed = () if over else self.legal(position)
        legal = np.zeros(self.moves)
        legal[[*allowed]] = 1
        stones = [stones >> cell & 1 for stones in position[:2] for cell in cells]
        return np.concatenate((stones, legal)).astype(np.float32)

    def drawn(self, first: int, second: int) -> str:
        """The stones of both players as text: X of the first, O of the second, a line per row."""
        marks = ["X" if first >> cell & 1 else "O" if second >> cell & 1 else "." for cell in self.cells]
        return "\n".join(" ".join(marks[i : i + self.columns]) for i in range(0, len(marks), self.columns))

    def played_out(self, position: Position, chance: Random) -> int:
        """The outcome for who is to move, when both go on at random."""
        side, draw = 1, chance.random
        while (told := self.outcome(position)) is None:
            legal = self.legal(position)
            position = self.after(position, legal[int(draw() * len(legal))])
            side = -side
        return side * told
