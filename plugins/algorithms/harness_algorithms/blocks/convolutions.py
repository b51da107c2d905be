"""Convolutional networks with a leading seed axis, and the choice of a network for a space of observations."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness_algorithms.blocks.networks import Activation, Initial, Network, StackedMLP, fan_in, stacked_mlp


class Convolution(NamedTuple):
    """One layer."""

    channels: int  # that leave it
    kernel: int  # pixels
    stride: int  # pixels


NATURE = (Convolution(32, 8, 4), Convolution(64, 4, 2), Convolution(64, 3, 1))  # Mnih et al., 2015, for 84 x 84
SMALL = (Convolution(16, 3, 1),)  # Young & Tian, 2019 (MinAtar, arXiv:1903.03176), for 10 x 10
SMALLEST_FOR_NATURE = 36  # pixels; below, its last layer would see nothing


def is_image(space: Any) -> bool:
    """Whether observations are stacks of frames, uint8 [C, H, W]."""
    return space.dtype == np.uint8 and len(space.shape) == 3


class StackedTorso:
    """S stacks of convolutions with ReLU after each; features [S, B, F] for frames [S, B, C, H, W], bytes or reals.

    Pixels are divided by 255.

    Args:
        layers: from the frames on.
        channels: C.
        flat: the parameters, [S, P]; the weight [out, in, kernel, kernel] and the bias [out] of every layer.
    """

    def __init__(self, layers: Sequence[Convolution], channels: int, flat: Tensor) -> None:
        self.layers = tuple(layers)
        self.flat = flat
        self._channels = (channels, *(layer.channels for layer in layers))

    def shapes(self) -> list[tuple[int, ...]]:
        """Of weight and bias of every layer."""
        sizes = zip(pairwise(self._channels), self.layers, strict=True)
        return [s for (i, o), layer in sizes for s in ((o, i, layer.kernel, layer.kernel), (o,))]

    def layers_of(self, flat: Tensor) -> list[Tensor]:
        """Weights [S, out, in, kernel, kernel] and biases [S, out], alternating, as views of ``flat``."""
        shapes = self.shapes()
        parts = flat.split([math.prod(shape) for shape in shapes], 1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]

    def __call__(self, frames: Tensor) -> Tensor:
        """Features [S, B, F]."""
        return self.at(self.flat, frames)

    def at(self, flat: Tensor, frames: Tensor) -> Tensor:
        """Features at other parameters [S, P], in their dtype."""
        x = frames.to(flat.dtype) / 255
        parts = self.layers_of(flat)
        for layer, weight, bias in zip(self.layers, parts[::2], parts[1::2], strict=True):
            x = functional.relu_(_convolved(x, weight, bias, layer.stride))
        return x.flatten(2)

    @torch.no_grad()
    def num_features(self, shape: Sequence[int]) -> int:
        """F, for frames of shape [C, H, W]."""
        return self(torch.zeros(len(self.flat), 1, *shape, device=self.flat.device)).shape[2]

    def copy(self) -> "StackedTorso":
        """The same torsos with parameters of their own, which autograd does not follow."""
        return StackedTorso(self.layers, self._channels[0], self.flat.detach().clone())


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """One layer of every seed, [S, B, out, ...] of x [S, B, in, ...].

    On a GPU seeds are groups of one convolution. On a CPU they take turns, which is as fast, and faster for large
    frames: of groups, the library chooses code by how many there are.
    """
    if not x.is_cuda:
        return torch.stack([functional.conv2d(*each, stride) for each in zip(x, weight, bias, strict=True)])
    groups = x.transpose(0, 1).flatten(1, 2)  # [B, S·in, ...]
    y = functional.conv2d(groups, weight.flatten(0, 1), bias.flatten(), stride, groups=len(x))
    return y.unflatten(1, (len(x), -1)).transpose(0, 1)


class StackedCNN:
    """S convolutional torsos, each with a perceptron on top. It implements `networks.Network`."""

    def __init__(self, torso: StackedTorso, head: StackedMLP) -> None:
        self.torso = torso
        self.head = head

    @property
    def parameters(self) -> list[Tensor]:
        """Of the torsos and of the perceptrons, [S, P] each."""
        return [self.torso.flat, *self.head.parameters]

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs [S, B, out] for frames [S, B, C, H, W]."""
        return self.head(self.torso(x))

    def at(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs at other parameters, in their dtype, differentiable twice; see `StackedMLP.at`."""
        torso, *head = parameters
        return self.head.at(head, self.torso.at(torso, x))

    def record(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs, and the same attached to autograd's graph."""
        with torch.enable_grad():
            output = self(x)
        return output.detach(), output

    def backward_(self, tape: Tensor, gradient: Tensor) -> None:
        """Set ``grad`` of the parameters from ∂ loss / ∂ output, shaped like the output."""
        for parameter in self.parameters:
            parameter.grad = None
        tape.backward(gradient)

    def copy(self) -> "StackedCNN":
        """The same network with parameters of its own, which autograd does not follow."""
        return StackedCNN(self.torso.copy(), self.head.copy())


def stacked_torso(
    shape: Sequence[int], generators: Sequence[torch.Generator], initial: Initial = fan_in
) -> StackedTorso:
    """One torso per generator for frames of shape [C, H, W]: Nature's, or MinAtar's for small frames."""
    layers = NATURE if min(shape[1:]) >= SMALLEST_FOR_NATURE else SMALL
    sized = StackedTorso(layers, shape[0], torch.empty(0))
    size = sum(math.prod(s) for s in sized.shapes())
    flat = torch.empty(len(generators), size, device=generators[0].device)
    torso = StackedTorso(layers, shape[0], flat.requires_grad_())
    parts = torso.layers_of(flat.detach())
    for row, generator in enumerate(generators):
        for weight, bias in zip(parts[::2], parts[1::2], strict=True):
            initial(weight[row], bias[row], False, generator)
    return torso


def stacked_network(
    space: Any,
    hidden: Sequence[int],
    outputs: int,
    generators: Sequence[torch.Generator],
    activation: Activation = "relu",
    initial: Initial = fan_in,
) -> Network:
    """The network for a space of observations: convolutions first where they are stacks of frames.

    Args:
        space: Gymnasium's Box of one observation.
        hidden: units of each hidden layer of the perceptron.
        outputs: units of its last layer.
        generators: one per seed.
        activation: between the perceptron's layers, "relu" or "tanh".
        initial: fills a layer.
    """
    if not is_image(space):
        return stacked_mlp((math.prod(space.shape), *hidden, outputs), generators, activation, 1, initial)
    torso = stacked_torso(space.shape, generators, initial)
    sizes = (torso.num_features(space.shape), *hidden, outputs)
    return StackedCNN(torso, stacked_mlp(sizes, generators, activation, 1, initial))
