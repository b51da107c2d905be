"""Random numbers with a leading seed axis, each seed's from a stream of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 256  # calls served by one draw: a generator's call costs far more than the numbers it gives


class Uniforms:
    """Numbers from U[0, 1), float64, of one fixed shape per call.

    What seed s gets is a function of its generator alone, never of the seeds beside it.

    Args:
        generators: one per seed; nothing else may draw from them.
        shape: of the numbers of one seed and one call.
    """

    def __init__(self, generators: Sequence[torch.Generator], *shape: int) -> None:
        self._generators = generators
        self._shape = shape
        self._drawn: list[Tensor] = []

    def __call__(self) -> Tensor:
        """The next numbers, [S, *shape]."""
        if not self._drawn:
            block = [
                torch.rand((BLOCK, *self._shape), generator=g, device=g.device, dtype=torch.float64)
                for g in self._generators
            ]
            self._drawn = list(torch.stack(block, 1).flip(0))  # a list is popped from its end
        return self._drawn.pop()
