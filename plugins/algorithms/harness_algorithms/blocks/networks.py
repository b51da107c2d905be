"""Neural networks with a leading seed axis: S of them, independent of each other, evaluated as one."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


class StackedMLP:
    """S multilayer perceptrons of one shape, with ReLU between layers; network s sees only row s of its input.

    Attributes:
        parameters: weight [S, out, in] and bias [S, out, 1] of each layer in turn.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs [S, B, out] for inputs [S, B, ...], whose trailing axes are flattened."""
        # Inside, the batch is the last axis: products with a layer of few units, such as one per action,
        # are then wide in memory and several times faster.
        hidden = x.flatten(2).float().mT.contiguous()  # [S, in, B]
        *inner, last_weight, last_bias = self.parameters
        for weight, bias in zip(inner[::2], inner[1::2], strict=True):
            hidden = torch.baddbmm(bias, weight, hidden).relu_()  # [S, units, B]
        return torch.baddbmm(last_bias, last_weight, hidden).mT


def stacked_mlp(sizes: Sequence[int], generators: Sequence[torch.Generator]) -> StackedMLP:
    """One network per generator, initialised from it alone, on its device.

    Weights and biases are drawn from U(−1/√in, 1/√in), as by `torch.nn.Linear`.

    Args:
        sizes: units of every layer, from inputs to outputs.
        generators: one per seed.
    """
    parameters = []
    for inputs, outputs in pairwise(sizes):
        for shape in ((outputs, inputs), (outputs, 1)):
            uniform = [torch.rand(shape, generator=g, device=g.device) for g in generators]
            scaled = (2 * torch.stack(uniform) - 1) / math.sqrt(inputs)  # [S, *shape]
            parameters.append(scaled.requires_grad_())
    return StackedMLP(parameters)


def frozen_copy(network: StackedMLP) -> StackedMLP:
    """A network with the same parameters that does not learn."""
    return StackedMLP([parameter.detach().clone() for parameter in network.parameters])


def copy_(target: StackedMLP, source: StackedMLP) -> None:
    """Overwrite the parameters of ``target`` by those of ``source``."""
    with torch.no_grad():
        for old, new in zip(target.parameters, source.parameters, strict=True):
            old.copy_(new)
