"""What several roles of one process wait for, computed at once.

A role that acts in virtual time needs its action only when its step is taken, and its gradient only when that is done.
Meanwhile others come to want theirs, of parameters of their own. All that is computed in one go, with the roles side by
side on the seed axis: so each gets what it would get alone, bit for bit. Where a role has a process of its own, it is
alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Later(Generic[Value]):
    """A value that is computed when it is first asked for."""

    def __init__(self, together: "Together[Value]", arguments: Any) -> None:
        self.arguments = arguments
        self.values: list[Value] = []  # one, once it is computed
        self._together = together

    def __call__(self) -> Value:
        """The value."""
        if not self.values:
            self._together.compute()
        return self.values[0]


class Together(Generic[Value]):
    """A function that is computed for all who have asked, once one of them needs its value.

    Args:
        function: gives a value for each of several tuples of arguments.
        most: that are computed at once.
    """

    def __init__(self, function: Callable[[Sequence[Any]], Sequence[Value]], most: int) -> None:
        self._function = function
        self._most = most
        self._asked: list[Later[Value]] = []

    def later(self, *arguments: Any) -> Later[Value]:
        """Ask for the value for some arguments, which must not change any more."""
        self._asked.append(Later(self, arguments))
        return self._asked[-1]

    def compute(self) -> None:
        """Compute what was asked for."""
        everything, self._asked = self._asked, []
        for first in range(0, len(everything), self._most):
            asked = everything[first : first + self._most]
            for each, value in zip(asked, self._function([each.arguments for each in asked]), strict=True):
                each.values.append(value)
