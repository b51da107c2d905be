"""Neural networks with a leading seed axis: S of them, independent of each other, evaluated as one.

Every network keeps its parameters as rows of one leaf tensor, [S, P]. So an optimiser, a gradient norm per seed and a
moving average are a few operations whatever the number of layers, and a flat vector of parameters costs nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor


def tanh_(x: Tensor) -> Tensor:
    """tanh(x) = 2σ(2x) − 1, to 2e−7 of 1; overwrites x. On a CPU torch's σ is nine times as fast as its tanh."""
    return torch.rsub(_sigmoid_(x.mul_(2)), -1, alpha=-2)


LANES = 32  # floats that torch computes at once, or a multiple of how many


def _sigmoid_(x: Tensor) -> Tensor:
    """σ(x), whatever stands beside a number; overwrites x, which is dense in memory.

    On a CPU the last numbers, too few to be computed at once, are rounded otherwise: they are computed among zeros.
    """
    count = x.numel() % LANES
    if not count or x.is_cuda:
        return x.sigmoid_()
    last = x.as_strided((count,), (1,), x.storage_offset() + x.numel() - count)
    computed = torch.nn.functional.pad(last, (0, LANES - count)).sigmoid_()
    x.sigmoid_()
    last.copy_(computed[:count])
    return x


Activation = Literal["relu", "tanh"]
ACTIVATIONS = {"relu": torch.relu_, "tanh": tanh_}
BACKWARD_ = {  # ∂ loss / ∂ input of an activation, over that of its output
    "relu": lambda gradient, output: torch.ops.aten.threshold_backward.grad_input(
        gradient, output, 0, grad_input=gradient
    ),
    "tanh": lambda gradient, output: torch.ops.aten.tanh_backward.grad_input(gradient, output, grad_input=gradient),
}

WIDE = 16  # a batch from which on it is the last axis in memory

Initial = Callable[[Tensor, Tensor, bool, torch.Generator], None]
"""Fills the weight [out, in, ...] and the bias [out] of one layer; the flag says whether it is the last one."""


class Network(Protocol):
    """What algorithms need of a network.

    ``record`` and ``backward_`` do what autograd does, in two thirds of the time.
    """

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, leaf tensors [S, ...]."""

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs [S, B, out] for inputs [S, B, ...], differentiable by autograd."""

    def record(self, x: Tensor) -> tuple[Tensor, Any]:
        """Outputs [S, B, out] that autograd does not follow, and what ``backward_`` needs."""

    def backward_(self, tape: Any, gradient: Tensor) -> None:
        """Set ``grad`` of the parameters from ∂ loss / ∂ output, [S, B, out]."""

    def copy(self) -> Self:
        """The same network with parameters of its own, which autograd does not follow."""


def fan_in(weight: Tensor, bias: Tensor, last: bool, generator: torch.Generator) -> None:
    """Weights and biases from U(−1/√in, 1/√in), as by `torch.nn.Linear` and `torch.nn.Conv2d`."""
    bound = 1 / math.sqrt(weight[0].numel())
    weight.uniform_(-bound, bound, generator=generator)
    bias.uniform_(-bound, bound, generator=generator)


def orthogonal(output_gain: float, hidden_gain: float = math.sqrt(2)) -> Initial:
    """Orthogonal weights times a gain and biases of 0 (Saxe et al., 2014, arXiv:1312.6120)."""

    def initial(weight: Tensor, bias: Tensor, last: bool, generator: torch.Generator) -> None:
        torch.nn.init.orthogonal_(weight, output_gain if last else hidden_gain, generator=generator)
        bias.zero_()

    return initial


class StackedMLP:
    """S multilayer perceptrons of one shape; network s sees only row s of its input.

    With ``members`` K > 1, every seed has K perceptrons that see the same input, and outputs are [S, K, B, out].

    Args:
        sizes: units of every layer, from inputs to outputs.
        flat: the parameters, [S, P]; per seed the members one after the other, in each the weight [out, in] and
            the bias [out] of every layer.
        activation: between layers, "relu" or "tanh".
        members: K.
    """

    def __init__(self, sizes: Sequence[int], flat: Tensor, activation: Activation = "relu", members: int = 1) -> None:
        self.sizes = tuple(sizes)
        self.flat = flat
        self.activation = activation
        self.members = members
        self._shape = (flat.shape[0], members) if members > 1 else (flat.shape[0],)
        self.weights, self.biases = self.layers_of(flat.detach())

    @property
    def parameters(self) -> list[Tensor]:
        """The one tensor of all parameters, [S, P]."""
        return [self.flat]

    def layers_of(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Views of anything shaped like the parameters: weights [S·K, out, in] and biases [S·K, out, 1]."""
        rows = flat.view(flat.shape[0] * self.members, -1)
        weights, biases, at = [], [], 0
        for inputs, outputs in pairwise(self.sizes):
            weights.append(rows[:, at : at + inputs * outputs].view(-1, outputs, inputs))
            at += inputs * outputs
            biases.append(rows[:, at : at + outputs].view(-1, outputs, 1))
            at += outputs
        return weights, biases

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs [S, B, out], or [S, K, B, out], for inputs [S, B, ...], whose trailing axes are flattened."""
        if torch.is_grad_enabled() and (self.flat.requires_grad or x.requires_grad):
            return _Perceptron.apply(self.flat, x, self)
        return self.record(x)[0]

    def at(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs at other parameters, in their dtype, as autograd's own operations: differentiable twice.

        Args:
            parameters: shaped like `parameters`.
            x: [S, B, ...].
        """
        weights, biases = self.layers_of(parameters[0])
        activate = {"relu": torch.relu, "tanh": torch.tanh}[self.activation]
        entering = x.flatten(2).to(parameters[0].dtype).mT  # [S, in, B]
        if self.members > 1:
            entering = entering.unsqueeze(1).expand(-1, self.members, -1, -1).flatten(0, 1)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            entering = activate(product(weight, entering, bias))
        output = product(weights[-1], entering, biases[-1]).mT
        return output.unflatten(0, self._shape) if self.members > 1 else output

    @torch.no_grad()
    def record(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The outputs, and what entered every layer: [S·K, units, B] each."""
        entering = x.flatten(2).float().mT  # [S, in, B]
        if self.members > 1:
            entering = entering.unsqueeze(1).expand(-1, self.members, -1, -1).flatten(0, 1)
        activate = ACTIVATIONS[self.activation]
        tape = [entering.contiguous() if entering.shape[2] >= WIDE else entering]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            tape.append(activate(_affine(bias, weight, tape[-1])))
        output = _affine(self.biases[-1], self.weights[-1], tape[-1]).mT
        return (output.unflatten(0, self._shape) if self.members > 1 else output), tape

    @torch.no_grad()
    def backward_(self, tape: Sequence[Tensor], gradient: Tensor) -> None:
        """Set ``grad`` of the parameters from ∂ loss / ∂ output, shaped like the output."""
        self.flat.grad, _ = self.gradients(tape, gradient, to_input=False)

    def gradients(
        self, tape: Sequence[Tensor], gradient: Tensor, to_input: bool, to_parameters: bool = True
    ) -> tuple[Tensor | None, Tensor | None]:
        """∂ loss / ∂ parameters, [S, P], and ∂ loss / ∂ input, [S, B, in], by the chain rule; None where not wanted."""
        if self.members > 1:
            gradient = gradient.flatten(0, 1)
        gradient = gradient.mT.contiguous()  # [S·K, out, B]
        flat = torch.empty_like(self.flat) if to_parameters else None
        slopes = None if flat is None else self.layers_of(flat)
        for i in reversed(range(len(self.weights))):
            if slopes is not None:
                product(gradient, tape[i].mT, out=slopes[0][i])
                torch.sum(gradient, 2, keepdim=True, out=slopes[1][i])
            if i > 0:
                gradient = BACKWARD_[self.activation](product(self.weights[i].mT, gradient), tape[i])
        if not to_input:
            return flat, None
        gradient = product(self.weights[0].mT, gradient)  # [S·K, in, B]
        return flat, gradient.unflatten(0, (-1, self.members)).sum(1).mT

    def copy(self) -> "StackedMLP":
        """The same perceptrons with parameters of their own, which autograd does not follow."""
        return StackedMLP(self.sizes, self.flat.detach().clone(), self.activation, self.members)


def product(a: Tensor, b: Tensor, bias: Tensor | None = None, out: Tensor | None = None) -> Tensor:
    """A product of matrices per seed, plus ``bias``: [S, m, n] of [S, m, k] and [S, k, n], into ``out`` if given.

    On a CPU a seed's bits are the same in any row, whatever S, if MKL does not go by where matrices lie, as the harness
    asks of it. Of vectors MKL makes one product by other code than several, so it is asked for two; and for none in
    place. That k = 1 counts too is for the gradient by autograd, which is a product with a vector.
    """
    if a.is_cuda or 1 not in (*a.shape[1:], b.shape[2]):
        return torch.bmm(a, b, out=out) if bias is None else torch.baddbmm(bias, a, b, out=out)
    a, b, size = _unambiguous(a), _unambiguous(b), len(a)
    if size == 1:
        a, b = a.expand(2, -1, -1), b.expand(2, -1, -1)
    value = torch.bmm(a, b) if bias is None else torch.baddbmm(bias, a, b)
    value = value[:size]
    return value if out is None else out.copy_(value)


def _unambiguous(x: Tensor) -> Tensor:
    """The same with strides that follow from the others where an axis has one element, whose stride may be anything."""
    for axis in (1, 2):
        if x.shape[axis] == 1:
            x = x.squeeze(axis).unsqueeze(axis)
    return x


def _affine(bias: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    """W x + b, [S, out, B], for x [S, in, B].

    Which axis is the last in memory decides how fast that is, by up to seven times: the batch where it is wide, since a
    layer may have few units, such as one per action; the units where few copies of an environment are acted in.
    """
    if x.shape[2] >= WIDE:
        return product(weight, x, bias)
    return product(x.mT, weight.mT, bias.mT).mT


class _Perceptron(torch.autograd.Function):
    """A whole perceptron as one node of autograd's graph. It cannot be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, x: Tensor, network: StackedMLP) -> Tensor:
        output, tape = network.record(x)
        ctx.network, ctx.shape = network, x.shape
        ctx.save_for_backward(*tape)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        to_parameters, to_input, _ = ctx.needs_input_grad
        flat, inputs = ctx.network.gradients(ctx.saved_tensors, gradient, to_input, to_parameters)
        return flat, None if inputs is None else inputs.reshape(ctx.shape), None


def stacked_mlp(
    sizes: Sequence[int],
    generators: Sequence[torch.Generator],
    activation: Activation = "relu",
    members: int = 1,
    initial: Initial = fan_in,
) -> StackedMLP:
    """One network per generator, initialised from it alone, on its device.

    Args:
        sizes: units of every layer, from inputs to outputs.
        generators: one per seed.
        activation: between layers, "relu" or "tanh".
        members: K, perceptrons per seed.
        initial: fills a layer.
    """
    size = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    flat = torch.empty(len(generators), members * size, device=generators[0].device)
    network = StackedMLP(sizes, flat.requires_grad_(), activation, members)
    for row, generator in enumerate(g for g in generators for _ in range(members)):
        for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            initial(weight[row], bias[row, :, 0], i == len(sizes) - 2, generator)
    return network


def frozen_copy(network: Network) -> Any:
    """A network with the same parameters that does not learn."""
    return network.copy()


@torch.no_grad()
def copy_(target: Network, source: Network) -> None:
    """Overwrite the parameters of ``target`` by those of ``source``."""
    for old, new in zip(target.parameters, source.parameters, strict=True):
        old.copy_(new)


@torch.no_grad()
def polyak_update_(target: Network, source: Network, tau: float) -> None:
    """θ⁻ ← (1 − τ) θ⁻ + τ θ."""
    for old, new in zip(target.parameters, source.parameters, strict=True):
        old.lerp_(new, tau)


def flattened(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors [S, ...] as rows of one, [S, P]."""
    return torch.cat([tensor.detach().flatten(1) for tensor in tensors], 1)


def parts(parameters: Sequence[Tensor], flat: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Every parameter, and its part of something [S, P] that has a number for each of all parameters."""
    sizes = [parameter[0].numel() for parameter in parameters]
    for parameter, part in zip(parameters, flat.split(sizes, 1), strict=True):
        yield parameter, part.view_as(parameter)


@torch.no_grad()
def load_(parameters: Sequence[Tensor], flat: Tensor) -> None:
    """Overwrite parameters by what `flattened` made of others."""
    for parameter, part in parts(parameters, flat):
        parameter.copy_(part)


@contextmanager
def frozen(network: Network) -> Iterator[None]:
    """Let gradients pass through a network and none reach its parameters."""
    for parameter in network.parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in network.parameters:
            parameter.requires_grad_()
