"""The episodes that copies of an environment are in: how much they have returned, and when they began."""

from collections.abc import Callable
from typing import Any

Ended = Callable[[int, float, int, bool, bool], None]  # row, return, length, terminated, truncated


class Ledger:
    """Return and length of the episode that each of some copies is in; one that ends is reported.

    Copies step together, so that a length is a difference of times. ``returns`` is a number, a NumPy array or a
    tensor, and so is what is added to it; indexed in one row, it has an entry per copy.
    """

    __slots__ = ("_ended", "began", "returns", "time")

    def __init__(self, returns: Any, copies: int, ended: Ended) -> None:
        self.returns = returns  # of the episodes so far: zeros
        self.time = 0  # steps of every copy since it was made
        self.began = [0] * copies  # the time at which each copy's episode began
        self._ended = ended  # is told of every episode that ends, with the row of its copy

    def step(self, rewards: Any) -> None:
        """Add the rewards of one step of every copy."""
        self.returns += rewards
        self.time += 1

    def end(self, row: int, value: float, terminated: bool, truncated: bool) -> None:
        """Report the episode of a copy, whose return is told, and begin another."""
        length, self.began[row] = self.time - self.began[row], self.time
        self._ended(row, value, length, bool(terminated), bool(truncated))
