"""V of world models (Ha & Schmidhuber, 2018): a short code for an observation, learned from observations alone.

Of vectors it is the deviation from the mean, and certain; of frames what a variational autoencoder makes of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import frames_of
from harness_algorithms.blocks.convolutions import unfit as no_frames
from harness_algorithms.blocks.environment_model import Sight
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.streams import Normals, Uniforms
from harness_algorithms.blocks.vae import VAE, Code, vae
from harness_algorithms.blocks.vectors import unfit_observations


@dataclass(frozen=True)
class Seeing:
    """Hyper-parameters of codes of frames; vectors have none."""

    size: Count = 32  # Z, elements of a code
    channels: Count = 32  # of the first layer
    updates: Count = 1_000
    batch_size: Count = 64  # frames
    learning_rate: Fraction = 1e-3  # of Adam


def unfit(observation_space: Any, action_space: Any) -> str:
    """Why there are no codes of such observations, if so; what `AlgorithmSpec.fits` wants."""
    why = no_frames(observation_space, action_space)
    return why if why or frames_of(observation_space) else unfit_observations(observation_space, action_space)


class Standard:
    """The deviation from the mean, in standard deviations; of the data it was last fitted to.

    Attributes:
        size: Z, elements of a code.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.mean: Tensor | float = 0.0
        self.std: Tensor | float = 1.0

    def fit(self, obs: Tensor) -> Tensor:
        """Take mean and deviation, [S, 1, D], from observations [T, S, N, D]; nothing is lost, [S]."""
        rows = obs.transpose(0, 1).flatten(1, 2)
        self.mean, self.std = rows.mean(1, keepdim=True), rows.std(1, keepdim=True).clamp(min=1e-6)
        return rows.new_zeros(len(rows))

    def __call__(self, obs: Tensor) -> Tensor:
        """The codes [..., S, B, D] of observations shaped alike."""
        return (obs - self.mean) / self.std

    def law(self, obs: Tensor) -> Code:
        """The same as a law, which is certain."""
        mean = self(obs)
        return Code(mean, torch.zeros_like(mean))


class Autoencoded:
    """The codes of frames.

    Attributes:
        size: Z, elements of a code.

    Args:
        network: what makes them.
        generators: one per seed, for batches and for draws of codes.
        how: its hyper-parameters.
    """

    def __init__(self, network: VAE, generators: Sequence[Sequence[torch.Generator]], how: Seeing) -> None:
        self.network, self.size = network, network.size
        self._how, (batches, draws) = how, generators
        self._pick, self._normals = Uniforms(batches, how.batch_size), Normals(draws, how.batch_size, network.size)

    def fit(self, obs: Tensor) -> Tensor:
        """Learn from frames [T, S, N, ...]; returns the last loss, [S]."""
        optimizer = adam(self.network.parameters, self._how.learning_rate)
        seeds, copies = torch.arange(obs.shape[1], device=obs.device)[:, None], obs.shape[2]
        loss = torch.zeros(obs.shape[1], device=obs.device)
        for _ in range(self._how.updates):
            row = (self._pick() * len(obs) * copies).long()
            entropy, divergence = self.network.loss(obs[row // copies, seeds, row % copies], self._normals())
            loss = entropy + divergence
            descend(optimizer, loss)
        return loss.detach()

    @torch.no_grad()
    def __call__(self, obs: Tensor) -> Tensor:
        """The means of the codes, [S, B, Z], of frames [S, B, ...]."""
        return self.network.encode(obs).mean

    @torch.no_grad()
    def law(self, obs: Tensor) -> Code:
        """The laws of the codes, [T, S, B, Z], of frames [T, S, B, ...]."""
        return Code(*(torch.stack(part) for part in zip(*map(self.network.encode, obs), strict=True)))


Codes = Standard | Autoencoded


def codes_for(trial: Trial, space: Any, how: Seeing) -> Codes:
    """What makes codes of observations in a space."""
    sight = Sight(space)
    if sight.frames is None:
        return Standard(sight.size)
    network = vae(sight, how.channels, how.size, trial.generators("autoencoder"))
    return Autoencoded(network, (trial.generators("frames"), trial.generators("codes")), how)
