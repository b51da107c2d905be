"""Replay memory with a leading seed axis."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from harness_algorithms.blocks.streams import Uniforms

Record = TypeVar("Record", bound=NamedTuple)


class Replay(Generic[Record]):
    """The latest records of every seed, sampled uniformly with replacement.

    A record is a NamedTuple of tensors; the first one added fixes shapes, dtypes and device. Every field is
    stored as it is, a transition's successor included, so no rule about episode ends is needed here.

    Args:
        record: the class of the records.
        capacity: records kept per seed.
        batch_size: B, records per seed in a sample.
        generators: one per seed, on the records' device; nothing else may draw from them.
    """

    def __init__(
        self, record: type[Record], capacity: int, batch_size: int, generators: Sequence[torch.Generator]
    ) -> None:
        self._record = record
        self.capacity = capacity
        self._uniforms = Uniforms(generators, batch_size)
        self._shape = (len(generators), batch_size)
        seeds = torch.arange(len(generators), device=generators[0].device)
        self._first_rows = seeds[:, None] * capacity  # [S, 1]
        self._fields: list[Tensor] = []  # [S, capacity, ...] each
        self._added = 0

    def __len__(self) -> int:
        """Records stored per seed."""
        return min(self._added, self.capacity)

    def add(self, record: Record) -> None:
        """Store one record per seed and environment copy, over the oldest ones once full.

        Args:
            record: fields [S, N, ...]; N divides the capacity.

        Raises:
            ValueError: it does not.
        """
        if not self._fields:
            self._allocate(record)
        copies = record[0].shape[1]
        slot = self._added % self.capacity
        for field, values in zip(self._fields, record, strict=True):
            field.narrow(1, slot, copies).copy_(values)
        self._added += copies

    def sample(self) -> Record:
        """B stored records of every seed: fields [S, B, ...]."""
        index = (self._uniforms() * len(self)).long()  # [S, B]; below len, as doubles round down there
        rows = (index + self._first_rows).flatten()
        fields = (field.flatten(0, 1).index_select(0, rows) for field in self._fields)
        return self._record._make(field.unflatten(0, self._shape) for field in fields)

    def _allocate(self, record: Record) -> None:
        seeds, copies = record[0].shape[:2]
        if self.capacity % copies:
            raise ValueError(f"a capacity of {self.capacity} records is no multiple of {copies} copies")
        self._fields = [values.new_empty((seeds, self.capacity, *values.shape[2:])) for values in record]
