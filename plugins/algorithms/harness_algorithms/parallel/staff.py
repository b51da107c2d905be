"""Workers under a chief who does not wait for the slowest of them."""

from collections.abc import Generator
from typing import Any, NamedTuple, Protocol

from harness_algorithms.parallel.operations import Operation, Receive, Send

Stage = tuple[int, int]
"""How far the chief is: in which batch, and in which turn of it; turn 0 collects the batch."""


class Order(Protocol):
    """What the chief wants done."""

    @property
    def stage(self) -> Stage:
        """When it was given."""


class Answer(NamedTuple):
    """What a worker sends back for an order."""

    worker: int
    stage: Stage  # of the order
    told: Any


class Staff:
    """The workers as the chief sees them. Each that lives has one order, but for those whose answer was of use.

    Args:
        workers: on nodes from 0.
        dropped: how many the chief does not wait for.
    """

    def __init__(self, workers: int, dropped: int) -> None:
        self._idle = list(range(workers))
        self._enough = workers - dropped
        self.late = 0  # answers, so far

    def told(self, order: Order, collect: Order) -> Generator[Operation, Any, list[Any]]:
        """Enough answers to an order, the first ones, by worker. Whoever is late with an earlier one is told to go on.

        Args:
            order: for all who are idle.
            collect: for those who were late with an earlier batch, so that they have no share of this one.
        """
        for index in self._idle:
            yield Send(index, order)
        kept: dict[int, Any] = {}
        while len(kept) < self._enough:
            answer = yield Receive()
            if answer.stage == order.stage:
                kept[answer.worker] = answer.told
            else:
                self.late += 1
                yield Send(answer.worker, order if answer.stage[0] == order.stage[0] else collect)
        self._idle = sorted(kept)
        return [kept[index] for index in self._idle]
