"""Neural networks with a leading seed axis: S of them, independent of each other, evaluated as one."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor


class StackedMLP:
    """S multilayer perceptrons of one shape, with ReLU between layers; network s sees only row s of its input.

    It can be differentiated by autograd, or by hand with `activations` and `backward_`, which takes two thirds
    of the time: batches are small, so autograd's bookkeeping weighs as much as the products.

    Attributes:
        weights: [S, out, in] for each layer.
        biases: [S, out, 1] for each layer.
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        self.weights = list(weights)
        self.biases = list(biases)

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, [S, ...] each."""
        return [*self.weights, *self.biases]

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs [S, B, out] for inputs [S, B, ...], whose trailing axes are flattened."""
        return self.activations(x)[-1].mT

    def activations(self, x: Tensor) -> list[Tensor]:
        """What enters every layer, and last the output: [S, units, B] each.

        The batch is the last axis, so that products with a layer of few units, such as one per action, are wide
        in memory: they are several times faster.

        Args:
            x: inputs [S, B, ...].
        """
        layers = [x.flatten(2).float().mT.contiguous()]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layers.append(torch.baddbmm(bias, weight, layers[-1]).relu_())
        return [*layers, torch.baddbmm(self.biases[-1], self.weights[-1], layers[-1])]

    @torch.no_grad()
    def backward_(self, activations: Sequence[Tensor], gradient: Tensor) -> None:
        """Set ``grad`` of all parameters by the chain rule.

        Args:
            activations: what `activations` gave for the parameters as they are; overwritten.
            gradient: ∂ loss / ∂ output, [S, B, out].
        """
        gradient = gradient.mT.contiguous()  # [S, out, B]
        for i in reversed(range(len(self.weights))):
            entering = activations[i]
            self.weights[i].grad = torch.bmm(gradient, entering.mT)
            self.biases[i].grad = gradient.sum(2, keepdim=True)
            if i > 0:
                relu_slope = entering.sign_()  # since what left a ReLU is never negative
                gradient = torch.bmm(self.weights[i].mT, gradient).mul_(relu_slope)


def stacked_mlp(sizes: Sequence[int], generators: Sequence[torch.Generator]) -> StackedMLP:
    """One network per generator, initialised from it alone, on its device.

    Weights and biases are drawn from U(−1/√in, 1/√in), as by `torch.nn.Linear`.

    Args:
        sizes: units of every layer, from inputs to outputs.
        generators: one per seed.
    """

    def uniform(bound: float, *shape: int) -> Tensor:
        rows = [torch.rand(shape, generator=g, device=g.device) for g in generators]
        return (bound * (2 * torch.stack(rows) - 1)).requires_grad_()

    layers = [(inputs, outputs, 1 / math.sqrt(inputs)) for inputs, outputs in pairwise(sizes)]
    weights = [uniform(bound, outputs, inputs) for inputs, outputs, bound in layers]
    biases = [uniform(bound, outputs, 1) for _, outputs, bound in layers]
    return StackedMLP(weights, biases)


def frozen_copy(network: StackedMLP) -> StackedMLP:
    """A network with the same parameters that does not learn."""
    weights, biases = ([p.detach().clone() for p in part] for part in (network.weights, network.biases))
    return StackedMLP(weights, biases)


@torch.no_grad()
def copy_(target: StackedMLP, source: StackedMLP) -> None:
    """Overwrite the parameters of ``target`` by those of ``source``."""
    for old, new in zip(target.parameters, source.parameters, strict=True):
        old.copy_(new)
