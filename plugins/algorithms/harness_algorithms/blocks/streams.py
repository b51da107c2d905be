"""Random numbers with a leading seed axis, each seed's from a stream of its own."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

BLOCK = 256  # calls served by one draw: a generator's call costs far more than the numbers it gives
MOST = 2**15  # numbers of one seed drawn at once, unless one call wants more


class _Stream:
    """Numbers of one fixed shape per call, many calls' worth drawn at once."""

    def __init__(
        self, draw: Callable[..., Tensor], dtype: torch.dtype, generators: Sequence[torch.Generator], shape: Any
    ) -> None:
        self._draw = draw
        self._dtype = dtype
        self._generators = generators
        self._shape = shape
        self._calls = max(1, min(BLOCK, MOST // max(1, math.prod(shape))))
        self._drawn: list[Tensor] = []

    def __call__(self) -> Tensor:
        """The next numbers, [S, *shape]."""
        if not self._drawn:
            block = [
                self._draw((self._calls, *self._shape), generator=g, device=g.device, dtype=self._dtype)
                for g in self._generators
            ]
            self._drawn = list(torch.stack(block, 1).flip(0))  # a list is popped from its end
        return self._drawn.pop()


class Uniforms(_Stream):
    """Numbers from U[0, 1), float64, of one fixed shape per call.

    What seed s gets is a function of its generator alone, never of the seeds beside it.

    Args:
        generators: one per seed; nothing else may draw from them.
        shape: of the numbers of one seed and one call.
    """

    def __init__(self, generators: Sequence[torch.Generator], *shape: int) -> None:
        super().__init__(torch.rand, torch.float64, generators, shape)


class Normals(_Stream):
    """Numbers from N(0, 1), float32, of one fixed shape per call; otherwise as `Uniforms`."""

    def __init__(self, generators: Sequence[torch.Generator], *shape: int) -> None:
        super().__init__(torch.randn, torch.float32, generators, shape)
