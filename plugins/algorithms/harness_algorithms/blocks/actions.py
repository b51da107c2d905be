"""Continuous actions: their bounds, and noise that explores."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from harness_algorithms.blocks.streams import Normals

THETA = 0.15  # how fast Ornstein-Uhlenbeck noise returns to 0, per unit of time; Lillicrap et al., 2016
INTERVAL = 0.01  # units of time per step, as in the implementations that published results come from


class Bounds:
    """Between numbers in [−1, 1], which networks give and see, and an environment's actions or observations.

    Attributes:
        size: A, numbers in one of them.

    Args:
        space: a bounded Box of reals.
        device: of the actions.

    Raises:
        ValueError: the space is something else.
    """

    def __init__(self, space: Any, device: torch.device) -> None:
        if space.dtype.kind != "f" or not space.is_bounded():
            raise ValueError(f"{space}: a bounded Box of reals is wanted")
        self.low, self.high = (
            torch.as_tensor(bound, dtype=torch.float32, device=device).flatten() for bound in (space.low, space.high)
        )
        self.size = len(self.low)
        self._shape = space.shape

    def scaled(self, action: Tensor) -> Tensor:
        """The environment's action [..., *shape] for one in [−1, 1], [..., A]; exact at both ends."""
        shape = (*action.shape[:-1], *self._shape)
        return torch.lerp(self.low, self.high, (action + 1) / 2).reshape(shape)

    def unscaled(self, numbers: Tensor) -> Tensor:
        """What in [−1, 1], [..., A], stands for an environment's numbers, [..., *shape]."""
        flat = numbers.reshape(*numbers.shape[: numbers.dim() - len(self._shape)], self.size)
        return 2 * (flat - self.low) / (self.high - self.low) - 1


def unchanged(numbers: Tensor) -> Tensor:
    """The same, where nothing is to be scaled."""
    return numbers


def explored(action: Tensor, noise: Tensor) -> Tensor:
    """The action with noise, kept in [−1, 1]; shaped like both."""
    return (action + noise).clamp(-1, 1)


class WhiteNoise:
    """Independent numbers from N(0, 1).

    Args:
        generators: one per seed; nothing else may draw from them.
        shape: of one seed's numbers, [N, A].
    """

    def __init__(self, generators: Sequence[torch.Generator], *shape: int) -> None:
        self._normals = Normals(generators, *shape)

    def __call__(self, begins: Tensor) -> Tensor:
        """The noise of the next step, [S, N, A].

        Args:
            begins: whether this step is an episode's first, bool [S, N]; it does not matter here.
        """
        return self._normals()


class OrnsteinUhlenbeckNoise:
    """A random walk that is drawn to 0: x ← x − θ x δ + √δ ε with ε from N(0, 1); at an episode's start, x = 0.

    Successive numbers are alike, so a force keeps its direction long enough to move something heavy. Its standard
    deviation rises from √δ = 0.1 at the first step to 1/√(2θ) = 1.8.

    Args:
        generators: one per seed; nothing else may draw from them.
        shape: of one seed's numbers, [N, A].
    """

    def __init__(self, generators: Sequence[torch.Generator], *shape: int) -> None:
        self._normals = Normals(generators, *shape)
        self._last = torch.zeros(len(generators), *shape, device=generators[0].device)

    def __call__(self, begins: Tensor) -> Tensor:
        """The noise of the next step, [S, N, A].

        Args:
            begins: whether this step is an episode's first, bool [S, N].
        """
        kept = (1 - THETA * INTERVAL) * self._last.masked_fill(begins.unsqueeze(2), 0.0)
        self._last = kept + math.sqrt(INTERVAL) * self._normals()
        return self._last


NoiseName = Literal["normal", "ornstein-uhlenbeck"]
NOISES = {"normal": WhiteNoise, "ornstein-uhlenbeck": OrnsteinUhlenbeckNoise}
