"""Values that change with training progress."""

from dataclasses import dataclass

from harness.api import Count


@dataclass(frozen=True)
class Linear:
    """From ``start`` to ``end`` in a straight line over the first part of training, then ``end``."""

    start: float  # value at progress 0
    end: float  # value from progress `until` on
    until: float = 1.0  # share of the budget, in [0, 1]; 0 means `end` throughout

    def __post_init__(self) -> None:
        if not 0 <= self.until <= 1:
            raise ValueError(f"until is a share of the budget, in [0, 1], not {self.until!r}")
        if not (self.start >= 0 and self.end >= 0):
            raise ValueError(f"a schedule has no negative values, as {self.start!r} to {self.end!r}")

    def __call__(self, progress: float) -> float:
        """The value at ``progress`` in [0, 1]; exactly ``start`` at 0 and exactly ``end`` from ``until`` on."""
        if progress >= self.until:
            return self.end
        return self.start + (self.end - self.start) * (progress / self.until)


@dataclass(frozen=True)
class Length:
    """Steps of a rollout: ``first``, then in a straight line, rounded down, to ``last``."""

    first: Count = 1  # steps
    last: Count = 1  # steps
    start: int = 0  # real steps until which it is `first`
    end: int = 1  # real steps from which on it is `last`

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"start and end: numbers of steps, in this order, not {self.start} and {self.end}")

    def __call__(self, steps: int) -> int:
        """The length after so many real steps."""
        gone = min(max(steps - self.start, 0), self.end - self.start)
        return self.first + (self.last - self.first) * gone // (self.end - self.start)
