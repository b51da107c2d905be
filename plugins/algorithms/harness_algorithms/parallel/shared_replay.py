"""A replay memory that many write to and many sample from: a store of the parallel runtime."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness_algorithms.blocks.q_learning import Transition
from harness_algorithms.parallel.operations import Course, Pull, Push


class SharedReplay:
    """The latest transitions of some writers, each in a part of its own, so that nobody needs a lock.

    It has no generator: whoever samples hands in the noise. A transition that is sampled at the moment at which its
    writer, in a process of its own, overwrites it as the oldest may come out as some of each.

    Args:
        example: a transition, fields [S, 1, ...]; fixes shapes and dtypes.
        capacity: transitions per writer and seed.
        writers: how many there are, numbered from 0.
        least: transitions that must have been stored, by all writers, before the last one for anything to be sampled.
    """

    def __init__(self, example: Transition, capacity: int, writers: int, least: int = 0) -> None:
        slots = capacity * writers
        fields = (values.new_zeros(len(values), slots, *values.shape[2:]) for values in example)
        self.obs, self.action, self.reward, self.discount, self.next_obs = fields
        self.added = torch.zeros(writers, dtype=torch.int64)  # transitions so far
        self._first_rows = torch.arange(len(example.obs))[:, None] * slots
        self._capacity = capacity
        self._least = least

    @property
    def _fields(self) -> Transition:
        return Transition(self.obs, self.action, self.reward, self.discount, self.next_obs)

    def pushed(self, message: tuple[int, Transition]) -> None:
        """Store the transition, fields [S, 1, ...], of a writer, over its oldest one once its part is full."""
        writer, transition = message
        row = writer * self._capacity + int(self.added[writer]) % self._capacity
        for field, values in zip(self._fields, transition, strict=True):
            field.select(1, row).copy_(values.select(1, 0))
        self.added[writer] += 1  # last, so that nobody samples what is not there yet

    def pulled(self, asked: Tensor) -> Transition | None:
        """Stored transitions, fields [S, B, ...], uniformly with replacement; None while there are too few.

        Args:
            asked: numbers from U[0, 1), float64 [S, B].
        """
        if int(self.added.sum()) <= self._least:
            return None
        stored = self.added.clamp(max=self._capacity)
        slots = (asked * stored.sum()).long()  # below the sum, as doubles round down there
        if len(stored) > 1:
            ends = stored.cumsum(0)
            writer = torch.searchsorted(ends, slots, right=True)
            slots = slots + (writer * self._capacity - (ends - stored)[writer])
        rows = (slots + self._first_rows).flatten()
        taken = (field.flatten(0, 1).index_select(0, rows) for field in self._fields)
        return Transition._make(field.unflatten(0, slots.shape) for field in taken)

    def status(self) -> Mapping[str, Tensor]:
        """Nothing worth keeping."""
        return {}


def shared_replay(space: Any, seeds: int, capacity: int, writers: int, least: int) -> SharedReplay:
    """The memory for observations of Gymnasium's ``space`` and discrete actions; see `SharedReplay`."""
    dtype = np.dtype(np.float32) if space.dtype.kind == "f" else space.dtype
    obs = torch.from_numpy(np.zeros((1, 1, *space.shape), dtype)).expand(seeds, *[-1] * (1 + len(space.shape)))
    number = torch.zeros(seeds, 1)
    return SharedReplay(Transition(obs, number.long(), number, number, obs), capacity, writers, least)


def keep(memory: str | SharedReplay, writer: int, transition: Transition) -> Course:
    """Store a transition in a memory elsewhere, or on this node, which takes no time."""
    if isinstance(memory, str):
        yield Push(memory, (writer, transition))
    else:
        memory.pushed((writer, transition))


def sample(memory: str | SharedReplay, noise: Tensor) -> Course:
    """A batch of a memory elsewhere, or on this node; None while there is too little."""
    if isinstance(memory, str):
        return (yield Pull(memory, noise))
    return memory.pulled(noise)
