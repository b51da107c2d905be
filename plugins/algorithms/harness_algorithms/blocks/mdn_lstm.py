"""A recurrent mixture-density network, p(z′ | z, a, h), with a leading seed axis (Ha & Schmidhuber, 2018, eq. of M).

Every element of z′ has a mixture of Gaussians of its own, as in the authors' code. It is of the change z′ − z.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness_algorithms.blocks.networks import StackedMLP, stacked_mlp
from harness_algorithms.blocks.recurrent import StackedLSTM, State, stacked_lstm

END_WEIGHT = 10.0  # what an end counts where a step without one counts 1, as in the authors' code for Doom


class Mixture(NamedTuple):
    """Mixtures of Gaussians, one per element; fields [..., D, components]."""

    logits: Tensor
    mean: Tensor
    log_std: Tensor


class Predicted(NamedTuple):
    """What follows a step."""

    change: Mixture  # of z′ − z
    reward: Tensor  # [...]
    end_logit: Tensor  # [...]; log-odds of a termination


def negative_log_likelihood(mixture: Mixture, value: Tensor) -> Tensor:
    """−log p(value), summed over elements, [...], for values [..., D]."""
    scaled = (value.unsqueeze(-1) - mixture.mean) * (-mixture.log_std).exp()
    log_density = -0.5 * scaled.square() - mixture.log_std - 0.5 * math.log(2 * math.pi)
    return -(mixture.logits.log_softmax(-1) + log_density).logsumexp(-1).sum(-1)


def cooled(mixture: Mixture, temperature: float) -> Mixture:
    """The mixture at temperature τ: logits over τ, σ times √τ."""
    log_std = mixture.log_std + 0.5 * math.log(temperature)
    return Mixture(mixture.logits / temperature, mixture.mean, log_std)


def sample(mixture: Mixture, uniform: Tensor, normal: Tensor) -> Tensor:
    """A draw, [..., D], from U[0, 1) and N(0, 1) numbers of that shape: they choose a component, and in it a value."""
    chances = mixture.logits.double().softmax(-1).cumsum(-1)
    component = (uniform.unsqueeze(-1) >= chances[..., :-1]).sum(-1, keepdim=True)
    mean, log_std = (part.gather(-1, component).squeeze(-1) for part in mixture[1:])
    return mean + log_std.exp() * normal


class MDNLSTM:
    """S memories that foretell z′, reward and termination."""

    def __init__(self, memory: StackedLSTM, head: StackedMLP, size: int, mixtures: int) -> None:
        self.memory = memory
        self.head = head
        self.size = size
        self.mixtures = mixtures

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, [S, ...] each."""
        return [*self.memory.parameters, *self.head.parameters]

    def step(self, z: Tensor, action: Tensor, state: State) -> State:
        """The memory after a step: z [S, B, D], actions [S, B, A]."""
        return self.memory(torch.cat([z, action], 2), state)

    def predict(self, h: Tensor) -> Predicted:
        """What follows, by the memory's output *after* the step, [S, B, units]."""
        out = self.head(h)
        parts = out[..., :-2].reshape(*out.shape[:-1], 3, self.size, self.mixtures).unbind(-3)
        return Predicted(Mixture(*parts), out[..., -2], out[..., -1])

    def loss(self, z: Tensor, action: Tensor, change: Tensor, reward: Tensor, end: Tensor, ended: Tensor) -> Tensor:
        """The loss per seed, [S], of sequences with T steps, which begin with an empty memory.

        −log p(z′ − z) + (r − r̂)² + an end's cross-entropy, over D + 2: a longer z does not make its gradients longer.

        Args:
            z: [T, S, B, D].
            action: [T, S, B, A].
            change: z′ − z, [T, S, B, D], of the true successor.
            reward: [T, S, B].
            end: whether it terminated, float [T, S, B].
            ended: whether the episode ended in any way, bool [T, S, B]; the memory is emptied there.
        """
        outputs, _, _ = self.memory.unroll(torch.cat([z, action], 3), self.memory.initial(z.shape[2]), ended)
        steps = len(z)
        predicted = self.predict(outputs.transpose(0, 1).flatten(1, 2))  # [S, T·B, ...]
        change, reward, end = (x.transpose(0, 1).flatten(1, 2) for x in (change, reward, end))
        logit = predicted.end_logit
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(logit, end, reduction="none")
        cost = negative_log_likelihood(predicted.change, change) + (predicted.reward - reward).square()
        total = cost + (1 + (END_WEIGHT - 1) * end) * entropy
        return total.sum(1) / (steps * z.shape[2] * (self.size + 2))


def mdn_lstm(size: int, action_size: int, units: int, mixtures: int, generators: Sequence[torch.Generator]) -> MDNLSTM:
    """One per generator: D = ``size``, A = ``action_size``, and so many units and components of every mixture."""
    memory = stacked_lstm(size + action_size, units, generators)
    head = stacked_mlp((units, 3 * size * mixtures + 2), generators)
    return MDNLSTM(memory, head, size, mixtures)
