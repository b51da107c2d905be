"""Random state that an evaluation leaves as it was: the global one of the libraries, and the generators of a trial."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from harness.measuring import seeding


class Generators:
    """The torch generators of a trial: for every stream that was asked for by its tag, one per seed."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self._seeds, self._device = seeds, device
        self._made: dict[str, list[torch.Generator]] = {}
        self._part: tuple[str | int, ...] = ()  # of each stream that is drawn from now

    def of(self, tag: str) -> list[torch.Generator]:
        """Those of a stream; the same objects on every call."""
        if tag not in self._made:
            self._made[tag] = [torch.Generator(self._device) for _ in self._seeds]
            self._begin(tag)
        return self._made[tag]

    def _begin(self, *tags: str) -> None:
        for tag in tags:
            for seed, generator in zip(self._seeds, self._made[tag], strict=True):
                generator.manual_seed(seeding.integer(seed, tag, *self._part))

    @contextmanager
    def evaluating(self, index: int) -> Iterator[Callable[[], None]]:
        """Give an evaluation a part of every stream for itself; yields what goes to the beginning of that part.

        So what a policy draws does not depend on the length of earlier evaluations, which is that of the longest
        episode of all seeds. At the end all goes on where it was, the global state of Python, NumPy and torch, too.
        """
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002, since libraries draw from it
        cpu = torch.get_rng_state()
        cuda = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        kept = [(generator, generator.get_state()) for made in self._made.values() for generator in made]
        self._part = seeding.EVALUATION, index
        try:
            yield lambda: self._begin(*self._made)
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            torch.set_rng_state(cpu)
            if cuda is not None:
                torch.cuda.set_rng_state(cuda, self._device)
            self._part = ()
            self._begin(*self._made)  # those that were made meanwhile
            for generator, state in kept:
                generator.set_state(state)
