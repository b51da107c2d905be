"""The machines that a virtual backend imagines."""

import random
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

Seconds = Annotated[float, Ge(0)]
Index = Annotated[int, Ge(0)]


@dataclass(frozen=True)
class Cluster:
    """Times of a cluster in virtual seconds, and what is wrong with its nodes.

    Nodes are numbered as the algorithm says, from 0. Of pairs, the first is a node.
    """

    step_seconds: Seconds = 1e-3  # an environment step with the choice of its action
    work_seconds: Seconds = 1e-3  # a gradient, or another unit of work
    hop_seconds: Seconds = 1e-4  # a message on its way
    serve_seconds: Seconds = 2e-5  # a store with one pull or push; it serves one at a time
    jitter: Annotated[float, Ge(0)] = 0.1  # steps and work take up to this share longer or shorter, at random
    slow: tuple[tuple[Index, float], ...] = ()  # how many times longer steps and work take there
    corrupted: tuple[tuple[Index, float], ...] = ()  # by what its rewards are multiplied, as its role sees them
    corrupted_from: Seconds = 0.0  # when that begins
    deaths: tuple[tuple[Index, Seconds], ...] = ()  # when a node dies, with all that it had not sent

    def __post_init__(self) -> None:
        if self.jitter >= 1:
            raise ValueError(f"jitter is a share below 1, not {self.jitter!r}")
        if any(factor <= 0 for _, factor in self.slow):
            raise ValueError(f"slow: what takes that many times longer is above 0, unlike {self.slow!r}")

    def pace(self, node: int) -> "Pace":
        """How long things take there."""
        return Pace(self, node)


class Pace:
    """How long what a node does takes, time after time. The same for every seed, which share one course of events."""

    def __init__(self, cluster: Cluster, node: int) -> None:
        self._factor = dict(cluster.slow).get(node, 1.0)
        self._jitter = cluster.jitter
        self._random = random.Random(node)

    def __call__(self, seconds: float) -> float:
        """The seconds that take so long on an ordinary node without jitter."""
        return seconds * self._factor * (1 + self._jitter * (2 * self._random.random() - 1))
