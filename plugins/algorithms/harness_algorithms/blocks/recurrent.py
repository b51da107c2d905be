"""Memory with a leading seed axis: long short-term memory, S independent ones evaluated as one."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from harness_algorithms.blocks.networks import product

State = tuple[Tensor, Tensor]
"""What a memory holds: its output and its cell, [S, B, units] each."""


class StackedLSTM:
    """S layers of long short-term memory (Hochreiter & Schmidhuber, 1997, with the forget gates of Gers et al., 2000).

        i, f, g, o = W [x, h] + b;    c ← σ(f) c + σ(i) tanh(g);    h ← σ(o) tanh(c)

    Args:
        inputs: size of x.
        units: size of h and c.
        flat: the parameters, [S, P]; per seed W, [4 units, inputs + units], in the order i, f, g, o, and b.
    """

    def __init__(self, inputs: int, units: int, flat: Tensor) -> None:
        self.inputs = inputs
        self.units = units
        self.flat = flat

    @property
    def parameters(self) -> list[Tensor]:
        """The one tensor of all parameters, [S, P]."""
        return [self.flat]

    def initial(self, batch: int) -> State:
        """The empty memory of B copies."""
        empty = self.flat.new_zeros(len(self.flat), batch, self.units)
        return empty, empty

    def __call__(self, x: Tensor, state: State) -> State:
        """The memory after x, [S, B, ...], whose trailing axes are flattened."""
        h, c = state
        size = 4 * self.units * (self.inputs + self.units)
        weight = self.flat[:, :size].view(-1, 4 * self.units, self.inputs + self.units)
        entering = torch.cat([x.flatten(2).float(), h], 2)
        gates = product(entering, weight.mT, self.flat[:, None, size:])
        i, f, g, o = gates.chunk(4, 2)
        c = _sigmoid(f) * c + _sigmoid(i) * g.tanh()
        return _sigmoid(o) * c.tanh(), c

    def unroll(self, x: Tensor, state: State, ended: Tensor) -> tuple[Tensor, Tensor, State]:
        """The memory along T steps, and what to go on from; it is emptied where an episode has ended.

        Args:
            x: [T, S, N, ...].
            state: before the first step.
            ended: bool [T, S, N]; the episode ended with that step.

        Returns:
            h and c after each step, [T, S, N, units], before they are emptied; the memory to go on from.
        """
        outputs, cells = [], []
        for row, end in zip(x, ended, strict=True):
            state = self(row, state)
            outputs.append(state[0])
            cells.append(state[1])
            state = forget(state, end)
        return torch.stack(outputs), torch.stack(cells), state


def forget(state: State, where: Tensor) -> State:
    """The memory, emptied where the mask, bool [S, B], is true."""
    h, c = (torch.where(where.unsqueeze(2), 0.0, part) for part in state)
    return h, c


def _sigmoid(x: Tensor) -> Tensor:
    """σ(x) = (1 + tanh(x / 2)) / 2, by a function whose last bits do not depend on what stands beside a number."""
    return (x / 2).tanh() * 0.5 + 0.5


def stacked_lstm(inputs: int, units: int, generators: Sequence[torch.Generator]) -> StackedLSTM:
    """One memory per generator: weights from U(−1/√units, 1/√units), as by `torch.nn.LSTM`; forget biases are 1.

    Args:
        inputs: size of what enters.
        units: of the memory.
        generators: one per seed.
    """
    size, bound = 4 * units * (inputs + units + 1), 1 / math.sqrt(units)
    flat = torch.empty(len(generators), size, device=generators[0].device)
    for row, generator in zip(flat, generators, strict=True):
        row.uniform_(-bound, bound, generator=generator)
    flat[:, -4 * units :] = 0
    flat[:, -3 * units : -2 * units] = 1  # Jozefowicz et al., 2015
    return StackedLSTM(inputs, units, flat.requires_grad_())
