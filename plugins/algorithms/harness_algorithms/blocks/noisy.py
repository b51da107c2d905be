"""Noisy perceptrons with a leading seed axis (Fortunato et al., 2018, arXiv:1706.10295), factorised Gaussian noise.

Every weight and every bias learns how much noise it is given:

    w = μ + σ ⊙ ε,   ε = f(ε_out) f(ε_in)ᵀ for a layer's weight and f(ε_out) for its bias,   f(x) = sgn(x) √|x|

with a normal number per input and one per output. The noise is an argument: who calls says whether it is drawn
anew, and without it the network is the plain perceptron of the means.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from harness_algorithms.blocks.networks import Activation, StackedMLP, fan_in


class NoisyMLP:
    """S multilayer perceptrons of one shape, all of whose layers are noisy.

    Args:
        sizes: units of every layer, from inputs to outputs.
        flat: the parameters, [S, 2, P]: μ and σ, each laid out as in `StackedMLP`.
        activation: between layers, "relu" or "tanh".
    """

    def __init__(self, sizes: Sequence[int], flat: Tensor, activation: Activation = "relu") -> None:
        self.sizes = tuple(sizes)
        self.flat = flat
        self.activation = activation
        self._factors = [units for layer in pairwise(self.sizes) for units in layer]

    @property
    def parameters(self) -> list[Tensor]:
        """The one tensor of all parameters, [S, 2, P]."""
        return [self.flat]

    @property
    def noise_size(self) -> int:
        """Normal numbers one evaluation needs per seed: one per input and per output of every layer."""
        return sum(self._factors)

    def __call__(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Outputs [S, B, out] of one perceptron per seed, the same for its whole batch.

        Args:
            x: [S, B, ...], whose trailing axes are flattened.
            noise: from N(0, 1), [S, noise_size]; None for none.
        """
        mean, scale = self.flat.unbind(1)
        weights = mean if noise is None else torch.addcmul(mean, scale, self.factorised(noise))
        return StackedMLP(self.sizes, weights, self.activation)(x)

    def factorised(self, noise: Tensor) -> Tensor:
        """The ε of every parameter, [S, P].

        Args:
            noise: from N(0, 1), [S, noise_size].
        """
        factors = (noise.sign() * noise.abs().sqrt()).split(self._factors, 1)
        parts = []
        for entering, leaving in zip(factors[::2], factors[1::2], strict=True):
            parts += [(leaving.unsqueeze(2) * entering.unsqueeze(1)).flatten(1), leaving]
        return torch.cat(parts, 1)

    def copy(self) -> "NoisyMLP":
        """The same perceptrons with parameters of their own, which autograd does not follow."""
        return NoisyMLP(self.sizes, self.flat.detach().clone(), self.activation)


def noisy_mlp(
    sizes: Sequence[int], generators: Sequence[torch.Generator], activation: Activation = "relu", scale: float = 0.5
) -> NoisyMLP:
    """One network per generator, initialised from it alone, on its device: μ from U(−1/√in, 1/√in), σ = σ₀/√in.

    Args:
        sizes: units of every layer, from inputs to outputs.
        generators: one per seed.
        activation: between layers, "relu" or "tanh".
        scale: σ₀.
    """
    size = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    flat = torch.empty(len(generators), 2, size, device=generators[0].device)
    for row, generator in zip(flat.split(1), generators, strict=True):
        means, scales = (StackedMLP(sizes, part, activation) for part in row.unbind(1))
        for i, inputs in enumerate(sizes[:-1]):
            fan_in(means.weights[i][0], means.biases[i][0], i == len(sizes) - 2, generator)
            scales.weights[i].fill_(scale / math.sqrt(inputs))
            scales.biases[i].fill_(scale / math.sqrt(inputs))
    return NoisyMLP(sizes, flat.requires_grad_(), activation)
