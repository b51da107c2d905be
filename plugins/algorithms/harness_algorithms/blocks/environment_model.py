"""A model of an environment: what is seen next, and the reward, for every discrete action; one model per seed.

Observations are told to it as numbers [S, B, D]: frames with channels first, divided by the brightest pixel, and
flattened; vectors as they are. Of frames it says how bright each pixel is, a probability; of vectors the change.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness_algorithms.blocks.convolutions import Convolution, Frames, StackedTorso, frames_of, torso_of
from harness_algorithms.blocks.networks import StackedMLP, stacked_mlp
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.streams import Uniforms

SURE = 3.0  # logit of a bright pixel before anything is learned: what is seen mostly stays


class Sight:
    """How observations of a space become numbers.

    Args:
        space: Gymnasium's Box of one observation.

    Attributes:
        frames: how they hold frames; None for vectors.
        binary: whether they are frames whose pixels are 0 or 1.
        size: D.
    """

    def __init__(self, space: Any) -> None:
        self.frames = frames_of(space)
        self.binary = space.dtype == np.bool_
        self.size = math.prod(space.shape)

    def __call__(self, obs: Tensor) -> Tensor:
        """Numbers [..., D] of observations [S, B, ...]."""
        if self.frames is None:
            return obs.flatten(2).float()
        x = obs.movedim(4, 2) if self.frames.channels_last else obs
        return x.flatten(2).float() / self.frames.brightest


class FrameModel:
    """Two layers of convolutions over frame and action, then a perceptron per pixel and one of their sum, the reward.

    A pixel is told by what lies within two of it, so that a rule that holds everywhere is learned once; the sum tells
    what is true of the whole frame.

    Args:
        sight: how observations become numbers.
        actions: A.
        channels: of the convolutions.
        generators: one per seed.
    """

    def __init__(self, sight: Sight, actions: int, channels: int, generators: Sequence[torch.Generator]) -> None:
        frames = sight.frames
        assert frames is not None
        layers = [Convolution(channels, 3, 1, 1)] * 2
        self._sight, self._actions, self._frames = sight, actions, frames
        entering = Frames(frames.channels + actions, frames.sides, False, 1)
        self.torso: StackedTorso = torso_of(layers, entering, generators)
        self.pixel: StackedMLP = stacked_mlp((channels, channels, frames.channels), generators)
        self.total: StackedMLP = stacked_mlp((channels, channels, 1), generators)
        self.parameters = [self.torso.flat, *self.pixel.parameters, *self.total.parameters]

    def __call__(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of pixels [S, B, D] and rewards [S, B], of numbers [S, B, D] and actions, int64 [S, B]."""
        channels, (height, width) = self._frames.channels, self._frames.sides
        planes = functional.one_hot(action, self._actions).to(x.dtype)[..., None, None]
        planes = planes.expand(*action.shape, self._actions, height, width)
        entering = torch.cat([x.unflatten(2, (channels, height, width)), planes], 2)
        features = self.torso(entering).unflatten(2, (-1, height * width))  # [S, B, channels, pixels]
        pixels = self.pixel(features.transpose(2, 3).flatten(1, 2))  # [S, B · pixels, C]
        change = pixels.unflatten(1, (-1, height * width)).transpose(2, 3).flatten(2)
        return SURE * (2 * x - 1) + change, self.total(features.sum(3)).squeeze(2)

    @torch.no_grad()
    def predict(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen next, [S, B, D], and rewards [S, B]; of binary frames the likelier value of every pixel."""
        logits, reward = self(x, action)
        return (logits > 0).to(x.dtype) if self._sight.binary else (logits / 2).tanh() / 2 + 0.5, reward

    def loss(self, x: Tensor, action: Tensor, next_x: Tensor, reward: Tensor) -> Tensor:
        """Cross-entropy of all pixels of a frame, in nats, plus the squared error of the reward; averages, [S]."""
        logits, told = self(x, action)
        pixels = (1 - next_x) * logits - functional.logsigmoid(logits)  # −x log p − (1 − x) log(1 − p)
        return (pixels.sum(2) + (told - reward).square()).mean(1)


class VectorModel:
    """A perceptron from observation and action to the change of the observation, and the reward.

    Args:
        sight: how observations become numbers.
        actions: A.
        units: of its two hidden layers.
        generators: one per seed.
    """

    def __init__(self, sight: Sight, actions: int, units: int, generators: Sequence[torch.Generator]) -> None:
        self._actions = actions
        sizes = (sight.size + actions, units, units, sight.size + 1)
        self.network: StackedMLP = stacked_mlp(sizes, generators)
        self.parameters = self.network.parameters

    def __call__(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Observations next, [S, B, D], and rewards [S, B]."""
        chosen = functional.one_hot(action, self._actions).to(x.dtype)
        out = self.network(torch.cat([x, chosen], 2))
        return x + out[..., :-1], out[..., -1]

    @torch.no_grad()
    def predict(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen next, [S, B, D], and rewards [S, B]."""
        return self(x, action)

    def loss(self, x: Tensor, action: Tensor, next_x: Tensor, reward: Tensor) -> Tensor:
        """Squared error of an observation, plus that of the reward; averages, [S]."""
        told, paid = self(x, action)
        return ((told - next_x).square().sum(2) + (paid - reward).square()).mean(1)


EnvironmentModel = FrameModel | VectorModel


def environment_model(
    sight: Sight, actions: int, units: int, generators: Sequence[torch.Generator]
) -> EnvironmentModel:
    """The model for a space of observations; ``units`` are channels, where there are frames."""
    kind = VectorModel if sight.frames is None else FrameModel
    return kind(sight, actions, units, generators)


def fit(
    model: EnvironmentModel,
    sight: Sight,
    transitions: Sequence[Tensor],
    pick: Uniforms,
    updates: int,
    learning_rate: float,
) -> Tensor:
    """Train a model by Adam on batches drawn with replacement; returns the last losses, [S].

    Args:
        model: what learns.
        sight: how observations become numbers.
        transitions: s, a, s′ and r, [S, M, ...] each.
        pick: a stream of [S, batch] per call.
        updates: steps of Adam.
        learning_rate: of Adam.
    """
    optimizer = adam(model.parameters, learning_rate)
    seeds = torch.arange(len(transitions[0]), device=transitions[0].device)[:, None]
    loss = transitions[0].new_zeros(len(seeds))
    for _ in range(updates):
        rows = seeds, (pick() * transitions[0].shape[1]).long()
        obs, action, next_obs, reward = (column[rows] for column in transitions)
        loss = model.loss(sight(obs), action, sight(next_obs), reward)
        descend(optimizer, loss)
    return loss.detach()
