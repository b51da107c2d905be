"""CMA-ES (Hansen, 2016, arXiv:1604.00772) by the `cma` library, one instance per seed."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

with warnings.catch_warnings():  # the library sets filters for the whole process, here and at work
    import cma  # type: ignore[import-untyped]


class Evolution:
    """S evolution strategies that maximise, each of them a function of its own generator alone.

    Args:
        size: P, parameters of a candidate; the first mean is 0.
        deviation: σ of the first candidates.
        population: candidates of a generation.
        generators: one per seed; nothing else may draw from them.
    """

    def __init__(self, size: int, deviation: float, population: int, generators: Sequence[torch.Generator]) -> None:
        self._device = generators[0].device
        with warnings.catch_warnings():
            self._strategies = [_strategy(size, deviation, population, generator) for generator in generators]
        self._asked: list[Any] = []

    def ask(self) -> Tensor:
        """The candidates of a generation, float32 [S, population, P]."""
        with warnings.catch_warnings():
            self._asked = [strategy.ask() for strategy in self._strategies]
        return self._tensor(self._asked)

    def tell(self, fitness: Tensor) -> None:
        """What the candidates that were asked for last achieved, [S, population]; more is better."""
        with warnings.catch_warnings():
            for strategy, asked, row in zip(self._strategies, self._asked, (-fitness).tolist(), strict=True):
                strategy.tell(asked, row)

    def mean(self) -> Tensor:
        """The means of the distributions that candidates are drawn from, float32 [S, P]."""
        return self._tensor([strategy.mean for strategy in self._strategies])

    def _tensor(self, rows: Any) -> Tensor:
        return torch.as_tensor(np.array(rows), dtype=torch.float32, device=self._device)


def _strategy(size: int, deviation: float, population: int, generator: torch.Generator) -> Any:
    # Without a seed of its own (NaN) and with this source of numbers, it leaves NumPy's global stream alone.
    options = {"popsize": population, "verbose": -9, "seed": np.nan, "randn": _normals(generator)}
    return cma.CMAEvolutionStrategy(np.zeros(size), deviation, options)


def _normals(generator: torch.Generator) -> Callable[..., Any]:
    def draw(*shape: int) -> Any:
        return torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float64).cpu().numpy()

    return draw
