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
    padding: int = 0  # pixels of 0 put around what enters


class Frames(NamedTuple):
    """What an observation that is a stack of frames looks like."""

    channels: int  # C
    sides: Sequence[int]  # H and W, pixels
    channels_last: bool  # [H, W, C], not [C, H, W]
    brightest: int  # value of a pixel: 255 of bytes, 1 of booleans


NATURE = (Convolution(32, 8, 4), Convolution(64, 4, 2), Convolution(64, 3, 1))  # Mnih et al., 2015, for 84 x 84
SMALL = (Convolution(16, 3, 1),)  # Young & Tian, 2019 (MinAtar, arXiv:1903.03176), for 10 x 10
SMALLEST_FOR_NATURE = 36  # pixels; below, its last layer would see nothing


def frames_of(space: Any) -> Frames | None:
    """How a space of bytes or booleans with three axes holds frames; None for vectors, tables and reals.

    Channels are the first or the last axis, whichever is the shortest of the three.

    Raises:
        ValueError: that cannot be told, the sides are shorter than a convolution, or there are more axes.
    """
    if len(space.shape) < 3 or space.dtype not in (np.uint8, np.bool_):
        return None
    layouts = {False: space.shape, True: (space.shape[-1], *space.shape[:-1])}
    for channels_last, (channels, *sides) in layouts.items():
        if len(sides) == 2 and min(sides) >= SMALL[0].kernel and min(sides) > channels:
            return Frames(channels, sides, channels_last, 255 if space.dtype == np.uint8 else 1)
    raise ValueError(
        f"observations of {space.dtype} {[*space.shape]} are no frames [C, H, W] or [H, W, C] with fewer channels than "
        f"pixels on a side, at least {SMALL[0].kernel}: add a wrapper to the environment's description that makes them "
        "so, or gymnasium.wrappers.FlattenObservation"
    )


def unfit(observation_space: Any, action_space: Any) -> str:
    """Why no network can be had for such observations, if so; what `AlgorithmSpec.fits` wants."""
    try:
        frames_of(observation_space)
    except ValueError as error:
        return str(error)
    return ""


class StackedTorso:
    """S stacks of convolutions with ReLU after each; features [S, B, F] for frames, [S, B, C, H, W] or [S, B, H, W, C].

    Pixels are divided by the brightest one.

    Args:
        layers: from the frames on.
        frames: what goes in.
        flat: the parameters, [S, P]; the weight [out, in, kernel, kernel] and the bias [out] of every layer.
    """

    def __init__(self, layers: Sequence[Convolution], frames: Frames, flat: Tensor) -> None:
        self.layers = tuple(layers)
        self.frames = frames
        self.flat = flat

    def shapes(self) -> list[tuple[int, ...]]:
        """Of weight and bias of every layer."""
        channels = (self.frames.channels, *(layer.channels for layer in self.layers))
        sizes = zip(pairwise(channels), self.layers, strict=True)
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
        x = frames.movedim(4, 2) if self.frames.channels_last else frames
        x = x.contiguous()  # so the kernel, and its rounding, is that of channels first
        x = x.to(flat.dtype) / self.frames.brightest
        parts = self.layers_of(flat)
        for layer, weight, bias in zip(self.layers, parts[::2], parts[1::2], strict=True):
            x = functional.relu_(_convolved(x, weight, bias, layer))
        return x.flatten(2)

    @property
    def num_features(self) -> int:
        """F."""
        height, width = self.frames.sides
        for layer in self.layers:
            seen = (side + 2 * layer.padding - layer.kernel for side in (height, width))
            height, width = (reach // layer.stride + 1 for reach in seen)
        return self.layers[-1].channels * height * width

    def copy(self) -> "StackedTorso":
        """The same torsos with parameters of their own, which autograd does not follow."""
        return StackedTorso(self.layers, self.frames, self.flat.detach().clone())


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, layer: Convolution) -> Tensor:
    """One layer of every seed, [S, B, out, ...] of x [S, B, in, ...].

    On a GPU seeds are groups of one convolution. On a CPU they take turns, which is as fast, and faster for large
    frames: of groups, the library chooses code by how many there are.
    """
    if not x.is_cuda:
        seeds = zip(x, weight, bias, strict=True)
        return torch.stack([functional.conv2d(*each, layer.stride, layer.padding) for each in seeds])
    groups = x.transpose(0, 1).flatten(1, 2)  # [B, S·in, ...]
    weight, bias = weight.flatten(0, 1), bias.flatten()
    y = functional.conv2d(groups, weight, bias, layer.stride, layer.padding, groups=len(x))
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
        """Outputs [S, B, out] for frames [S, B, ...]."""
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
    space: Any, generators: Sequence[torch.Generator], initial: Initial = fan_in
) -> tuple[StackedTorso | None, int]:
    """One torso per generator for a space of frames, Nature's or for small ones MinAtar's; and its features.

    Of a space that holds no frames, there is no torso, and the features are the numbers in an observation.
    """
    if (frames := frames_of(space)) is None:
        return None, math.prod(space.shape)
    layers = NATURE if min(frames.sides) >= SMALLEST_FOR_NATURE else SMALL
    torso = torso_of(layers, frames, generators, initial)
    return torso, torso.num_features


def torso_of(
    layers: Sequence[Convolution], frames: Frames, generators: Sequence[torch.Generator], initial: Initial = fan_in
) -> StackedTorso:
    """One torso of these layers per generator."""
    size = sum(math.prod(s) for s in StackedTorso(layers, frames, torch.empty(0)).shapes())
    flat = torch.empty(len(generators), size, device=generators[0].device)
    torso = StackedTorso(layers, frames, flat.requires_grad_())
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
    torso, features = stacked_torso(space, generators, initial)
    head = stacked_mlp((features, *hidden, outputs), generators, activation, 1, initial)
    return head if torso is None else StackedCNN(torso, head)
