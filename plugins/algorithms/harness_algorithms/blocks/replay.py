"""Replay memories with a leading seed axis."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from harness_algorithms.blocks.streams import Uniforms

Record = TypeVar("Record", bound=NamedTuple)


class Storage(Generic[Record]):
    """The latest records of every seed, each in a slot of its own.

    A record is a NamedTuple of tensors; the first one added fixes shapes, dtypes and device. Every field is
    stored as it is, images as bytes and a transition's successor included, so no rule about episode ends is
    needed here.

    Args:
        record: the class of the records.
        capacity: records kept per seed.
    """

    def __init__(self, record: type[Record], capacity: int) -> None:
        self._record = record
        self.capacity = capacity
        self._fields: list[Tensor] = []  # [S, capacity, ...] each
        self._first_rows = torch.empty(0)  # [S, 1], in the fields with the first two axes as one
        self._added = 0

    def __len__(self) -> int:
        """Records stored per seed."""
        return min(self._added, self.capacity)

    def add(self, record: Record) -> int:
        """Store one record per seed and environment copy, over the oldest ones once full.

        Args:
            record: fields [S, N, ...]; N divides the capacity.

        Returns:
            The first of the N adjacent slots, the same for all seeds.

        Raises:
            ValueError: N does not divide the capacity.
        """
        if not self._fields:
            self._allocate(record)
        copies = record[0].shape[1]
        slot = self._added % self.capacity
        for field, values in zip(self._fields, record, strict=True):
            field.narrow(1, slot, copies).copy_(values)
        self._added += copies
        return slot

    def take(self, slots: Tensor) -> Record:
        """The records in some slots of every seed: fields [S, B, ...].

        Args:
            slots: int64 [S, B].
        """
        rows = (slots + self._first_rows).flatten()
        fields = (field.flatten(0, 1).index_select(0, rows) for field in self._fields)
        return self._record._make(field.unflatten(0, slots.shape) for field in fields)

    def every(self) -> Record:
        """All stored records of every seed, by slot: fields [S, len, ...], views."""
        return self._record._make(field.narrow(1, 0, len(self)) for field in self._fields)

    def _allocate(self, record: Record) -> None:
        seeds, copies = record[0].shape[:2]
        if self.capacity % copies:
            raise ValueError(f"a capacity of {self.capacity} records is no multiple of {copies} copies")
        self._fields = [values.new_empty((seeds, self.capacity, *values.shape[2:])) for values in record]
        self._first_rows = torch.arange(seeds, device=record[0].device)[:, None] * self.capacity


class Replay(Generic[Record]):
    """The latest records of every seed, sampled uniformly with replacement.

    Args:
        record: the class of the records; see `Storage`.
        capacity: records kept per seed.
        batch_size: B, records per seed in a sample.
        generators: one per seed, on the records' device; nothing else may draw from them.
    """

    def __init__(
        self, record: type[Record], capacity: int, batch_size: int, generators: Sequence[torch.Generator]
    ) -> None:
        self._storage = Storage(record, capacity)
        self._uniforms = Uniforms(generators, batch_size)

    @property
    def capacity(self) -> int:
        """Records kept per seed."""
        return self._storage.capacity

    def __len__(self) -> int:
        """Records stored per seed."""
        return len(self._storage)

    def add(self, record: Record) -> None:
        """Store one record per seed and environment copy, over the oldest ones once full.

        Args:
            record: fields [S, N, ...]; N divides the capacity.

        Raises:
            ValueError: it does not.
        """
        self._storage.add(record)

    def sample(self) -> Record:
        """B stored records of every seed: fields [S, B, ...]."""
        slots = (self._uniforms() * len(self)).long()  # [S, B]; below len, as doubles round down there
        return self._storage.take(slots)
