"""A parameter server in shards, and the replicas of what it holds: stores and operations of the parallel runtime."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness_algorithms.blocks.networks import Network, flattened, frozen_copy, load_
from harness_algorithms.blocks.optim import adagrad_
from harness_algorithms.parallel.operations import Course, PullAll


class Parameters(NamedTuple):
    """What a shard answers."""

    flat: Tensor  # θ⁺, [S, P]
    version: Tensor  # updates that made it, [S]
    frozen_number: Tensor  # n: θ⁻ is θ⁺ after n N updates, [S]
    frozen: Tensor | None  # θ⁻, [S, P], if who asks has an older one


class Slope(NamedTuple):
    """What a learner pushes to a shard."""

    learner: int
    gradient: Tensor  # [S, P]
    loss: Tensor  # [S]
    usual: Tensor  # whether the loss passed the learner's filter, bool [S]
    version: Tensor  # of the θ it was taken at, [S]
    seconds: float  # since that was pulled; 0 unless anybody minds


class Shard:
    """A part of θ⁺ and all that is needed to learn it; nothing of it is shared with other shards.

    Args:
        flat: the initial parameters, [S, P].
        learners: how many push, numbered from 0.
        learning_rate: of AdaGrad.
        frozen_every: N, updates between two θ⁻.
        max_staleness: updates that a gradient may miss; None for no limit.
        max_seconds: from the pull of θ to the push of a gradient; None for no limit.
    """

    def __init__(
        self,
        flat: Tensor,
        learners: int,
        learning_rate: float,
        frozen_every: int,
        max_staleness: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self.flat = flat.clone()  # θ⁺, [S, P]
        self.squares = torch.zeros_like(flat)  # of AdaGrad
        self.frozen = flat.clone()  # θ⁻
        self.frozen_number = torch.zeros(len(flat), dtype=torch.int64)
        # Each learner counts in a row of its own: so nothing is lost, though nothing is locked.
        self.updates = torch.zeros(learners, len(flat), dtype=torch.int64)
        self.stale = torch.zeros_like(self.updates)  # gradients dropped here
        self.unusual = torch.zeros_like(self.updates)  # gradients dropped by learners
        self.staleness = torch.zeros(len(flat), dtype=torch.int64)  # of the last gradient
        self.loss = torch.zeros(len(flat))  # of the last gradient
        self._learning_rate = learning_rate
        self._frozen_every = frozen_every
        self._max_staleness = math.inf if max_staleness is None else max_staleness
        self._max_seconds = math.inf if max_seconds is None else max_seconds

    def pulled(self, asked: Tensor | None) -> Parameters:
        """θ⁺, and θ⁻ for a learner that has one of number ``asked``, [S]; None for an actor."""
        newer = asked is not None and bool((asked < self.frozen_number).any())
        frozen = self.frozen.clone() if newer else None
        return Parameters(self.flat.clone(), self.updates.sum(0), self.frozen_number.clone(), frozen)

    def pushed(self, message: Slope) -> None:
        """Descend a gradient for the seeds for which it is neither too old nor unusual."""
        version = self.updates.sum(0)
        staleness = version - message.version
        fresh = (staleness <= self._max_staleness) & (message.seconds <= self._max_seconds)
        taken = fresh & message.usual
        gradient = message.gradient if taken.all() else torch.where(taken[:, None], message.gradient, 0.0)
        adagrad_(self.flat, self.squares, gradient, self._learning_rate)
        self.updates[message.learner] += taken
        self.stale[message.learner] += message.usual & ~fresh
        self.unusual[message.learner] += ~message.usual
        self.staleness.copy_(staleness)
        self.loss.copy_(message.loss)
        number = (version + taken) // self._frozen_every
        due = number > self.frozen_number
        if due.any():
            self.frozen.copy_(torch.where(due[:, None], self.flat, self.frozen))
            self.frozen_number.copy_(torch.maximum(number, self.frozen_number))

    def status(self) -> Mapping[str, Tensor]:
        """How many updates there were and how many gradients were dropped; of the last one, its age and loss."""
        counts = {name: getattr(self, name).sum(0) for name in ("updates", "stale", "unusual")}
        return {**counts, "staleness": self.staleness, "loss": self.loss}


class Replica:
    """A node's copy of θ⁺, and of θ⁻ if it learns.

    Args:
        q: θ.
        shards: the stores that hold the parts of θ⁺, in order.
    """

    def __init__(self, q: Network, shards: Sequence[str]) -> None:
        self.q = q
        self.frozen_q = frozen_copy(q)
        self.shards = tuple(shards)
        parts = self.partition(flattened(q.parameters))
        seeds = len(parts[0])
        self.versions = [torch.zeros(seeds, dtype=torch.int64)] * len(shards)  # of θ, by shard
        self._frozen = list(parts)  # θ⁻, by shard
        self._numbers = [torch.full((seeds,), -1)] * len(shards)  # which θ⁻ that is

    def greedy(self, obs: Tensor) -> Tensor:
        """The best action of every copy by θ, [S, N], for obs [S, N, ...]."""
        with torch.no_grad():
            return self.q(obs).argmax(2)

    def partition(self, flat: Tensor) -> Sequence[Tensor]:
        """The parts of anything shaped like all parameters, [S, P], that belong to the shards."""
        return flat.tensor_split(len(self.shards), 1)

    def pull(self, learns: bool) -> Course:
        """Take over θ⁺, and θ⁻ where there is a newer one."""
        oldest = torch.stack(self._numbers).amin(0) if learns else None
        answers: list[Parameters] = yield PullAll(self.shards, oldest)
        load_(self.q.parameters, torch.cat([answer.flat for answer in answers], 1))
        self.versions = [answer.version for answer in answers]
        for i, answer in enumerate(answers):
            if answer.frozen is not None:
                newer = answer.frozen_number > self._numbers[i]
                self._frozen[i] = torch.where(newer[:, None], answer.frozen, self._frozen[i])
                self._numbers[i] = answer.frozen_number
        if any(answer.frozen is not None for answer in answers):
            load_(self.frozen_q.parameters, torch.cat(self._frozen, 1))


class ServedPolicy:
    """The policy that is evaluated: the best action by θ⁺.

    Args:
        q: takes over the parameters.
        shards: all of them, in order.
    """

    def __init__(self, q: Network, shards: Sequence[Shard]) -> None:
        self._q = q
        self._shards = shards

    def take_over(self) -> None:
        """Act by the parameters as they are now."""
        load_(self._q.parameters, torch.cat([shard.flat for shard in self._shards], 1))

    def reset(self, mask: Tensor) -> None:
        """Nothing is remembered."""

    def act(self, obs: Tensor) -> Tensor:
        """Actions [S, B] for obs [S, B, ...]."""
        with torch.no_grad():
            return self._q(obs).argmax(2)
