"""Variational autoencoders of frames, with a leading seed axis (Kingma & Welling, 2014, arXiv:1312.6114).

    code ~ N(μ, σ²) of the frame;    loss = −log p(frame | code) + KL[N(μ, σ²) ‖ N(0, 1)]

Every layer of the encoder halves the sides and doubles the channels, as in Ha & Schmidhuber (2018), until a side has
five pixels or fewer; the decoder goes the same way back. A pixel's brightness is told as a probability.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from harness_algorithms.blocks.convolutions import Convolution, Frames, StackedTorso, torso_of
from harness_algorithms.blocks.environment_model import Sight
from harness_algorithms.blocks.networks import StackedMLP, fan_in, stacked_mlp

SMALLEST = 5  # pixels of a side that no layer halves, unless it is the first
KERNEL, STRIDE, PADDING = 4, 2, 1  # pixels; of every layer, so that a side is halved


class Code(NamedTuple):
    """Independent normal laws of the elements of a code; fields [..., Z]."""

    mean: Tensor
    std: Tensor

    def drawn(self, normal: Tensor) -> Tensor:
        """Codes μ + σ ε for ε from N(0, 1), which gradients of μ and σ pass through."""
        return self.mean + self.std * normal


def kl_from_standard(code: Code) -> Tensor:
    """KL[N(μ, σ²) ‖ N(0, 1)] = ½ Σ (μ² + σ² − 1) − Σ log σ, in nats, [...]."""
    mean, std = code
    return (0.5 * (mean.square() + std.square() - 1) - std.log()).sum(-1)


def spread(now: Code, after: Code) -> Tensor:
    """The standard deviation of the change of drawn codes, [S, 1, Z], of laws [T, S, N, Z]."""
    mean, drawn = after.mean - now.mean, now.std.square() + after.std.square()
    rows, noise = (x.transpose(0, 1).flatten(1, 2).double() for x in (mean, drawn))
    return (rows.var(1, keepdim=True) + noise.mean(1, keepdim=True)).sqrt().float().clamp(min=1e-6)


class StackedDecoder:
    """S stacks of transposed convolutions, with ReLU between them: each layer doubles the sides.

    Args:
        channels: of what enters, of what leaves each layer.
        sides: H and W, pixels, of what enters and of what leaves each layer.
        flat: the parameters, [S, P]; the weight [in, out, kernel, kernel] and the bias [out] of every layer.
    """

    def __init__(self, channels: Sequence[int], sides: Sequence[Sequence[int]], flat: Tensor) -> None:
        self.channels, self.sides, self.flat = tuple(channels), tuple(sides), flat

    def shapes(self) -> list[tuple[int, ...]]:
        """Of weight and bias of every layer."""
        return [s for i, o in pairwise(self.channels) for s in ((i, o, KERNEL, KERNEL), (o,))]

    def layers_of(self, flat: Tensor) -> list[Tensor]:
        """Weights [S, in, out, kernel, kernel] and biases [S, out], alternating, as views of ``flat``."""
        shapes = self.shapes()
        parts = flat.split([math.prod(shape) for shape in shapes], 1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]

    def __call__(self, x: Tensor) -> Tensor:
        """What leaves the last layer, [S, B, C, H, W], for features [S, B, F]."""
        x = x.unflatten(2, (self.channels[0], *self.sides[0]))
        parts = self.layers_of(self.flat)
        last = len(self.sides) - 2
        for i, (weight, bias) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            odd = [after - STRIDE * before for before, after in zip(self.sides[i], self.sides[i + 1], strict=True)]
            x = _spread(x, weight, bias, odd)
            x = x if i == last else functional.relu_(x)
        return x


def _spread(x: Tensor, weight: Tensor, bias: Tensor, odd: Sequence[int]) -> Tensor:
    """One transposed convolution of every seed; seeds take turns on a CPU, as in `convolutions`.

    Args:
        x: [S, B, in, ...].
        weight: [S, in, out, kernel, kernel].
        bias: [S, out].
        odd: pixels by which each side is longer than twice what it was.
    """
    if not x.is_cuda:
        seeds = zip(x, weight, bias, strict=True)
        return torch.stack([functional.conv_transpose2d(*each, STRIDE, PADDING, odd) for each in seeds])
    groups = x.transpose(0, 1).flatten(1, 2)  # [B, S·in, ...]
    flat = weight.flatten(0, 1), bias.flatten()
    y = functional.conv_transpose2d(groups, *flat, STRIDE, PADDING, odd, groups=len(x))
    return y.unflatten(1, (len(x), -1)).transpose(0, 1)


class VAE:
    """S variational autoencoders.

    Attributes:
        size: Z, elements of a code.

    Args:
        sight: how frames become numbers.
        encoder: convolutions.
        to_code: from what they give to μ and log σ.
        from_code: from a code to what the decoder takes.
        decoder: to logits of the brightness of pixels.
    """

    def __init__(
        self, sight: Sight, encoder: StackedTorso, to_code: StackedMLP, from_code: StackedMLP, decoder: StackedDecoder
    ) -> None:
        self._sight, self.encoder, self.to_code = sight, encoder, to_code
        self.from_code, self.decoder = from_code, decoder
        self.size = from_code.sizes[0]

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, [S, ...] each."""
        return [self.encoder.flat, *self.to_code.parameters, *self.from_code.parameters, self.decoder.flat]

    def encode(self, frames: Tensor) -> Code:
        """The codes, [S, B, Z], of frames [S, B, ...] as the environment gives them."""
        return self._encoded(self._sight(frames))

    def _encoded(self, pixels: Tensor) -> Code:
        seen = self.encoder.frames
        mean, log_std = self.to_code(self.encoder(pixels.unflatten(2, (seen.channels, *seen.sides)))).chunk(2, 2)
        return Code(mean, log_std.exp())

    def decode(self, z: Tensor) -> Tensor:
        """Logits of the brightness of every pixel, [S, B, C, H, W], for codes [S, B, Z]."""
        return self.decoder(functional.relu(self.from_code(z)))

    def loss(self, frames: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of all pixels of a frame, and the divergence of its code; averages, in nats, [S] each.

        Args:
            frames: [S, B, ...].
            normal: ε, numbers from N(0, 1), [S, B, Z].
        """
        pixels = self._sight(frames)
        code = self._encoded(pixels)
        logits = self.decode(code.drawn(normal)).flatten(2)
        entropy = (1 - pixels) * logits - functional.logsigmoid(logits)  # −x log p − (1 − x) log(1 − p)
        return entropy.sum(2).mean(1), kl_from_standard(code).mean(1)


def vae(sight: Sight, channels: int, size: int, generators: Sequence[torch.Generator]) -> VAE:
    """One per generator.

    Args:
        sight: how frames become numbers.
        channels: that leave the encoder's first layer.
        size: Z, elements of a code.
        generators: one per seed.
    """
    frames = sight.frames
    assert frames is not None
    sides = [tuple(frames.sides)]
    while len(sides) == 1 or min(sides[-1]) > SMALLEST:
        sides.append(tuple(side // 2 for side in sides[-1]))
    widths = [channels * 2**i for i in range(len(sides) - 1)]
    layers = [Convolution(width, KERNEL, STRIDE, PADDING) for width in widths]
    encoder = torso_of(layers, Frames(frames.channels, frames.sides, False, 1), generators)
    to_code = stacked_mlp((encoder.num_features, 2 * size), generators)
    from_code = stacked_mlp((size, encoder.num_features), generators)
    return VAE(sight, encoder, to_code, from_code, _decoder([*widths[::-1], frames.channels], sides[::-1], generators))


def _decoder(
    channels: Sequence[int], sides: Sequence[Sequence[int]], generators: Sequence[torch.Generator]
) -> StackedDecoder:
    size = sum(math.prod(shape) for shape in StackedDecoder(channels, sides, torch.empty(0)).shapes())
    flat = torch.empty(len(generators), size, device=generators[0].device)
    decoder = StackedDecoder(channels, sides, flat.requires_grad_())
    parts = decoder.layers_of(flat.detach())
    for row, generator in enumerate(generators):
        for weight, bias in zip(parts[::2], parts[1::2], strict=True):
            fan_in(weight[row], bias[row], False, generator)
    return decoder
