"""Stochastic policies with a leading seed axis, for discrete and for continuous actions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from harness_algorithms.blocks.convolutions import StackedCNN, stacked_network
from harness_algorithms.blocks.distributions import Categorical, DiagonalGaussian
from harness_algorithms.blocks.networks import Activation, Initial, StackedMLP, fan_in
from harness_algorithms.blocks.streams import Normals, Uniforms

LEAST_DEVIATION = 0.1


class CategoricalPolicy:
    """π(·|s) over A discrete actions; the network's outputs are logits."""

    entropy_weight = 0.01  # of a bonus, unless asked for another: A3C's and PPO's on Atari

    def __init__(self, network: StackedMLP | StackedCNN) -> None:
        self.network = network

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, [S, ...] each."""
        return self.network.parameters

    def __call__(self, obs: Tensor) -> Categorical:
        """The distribution over actions, [S, B], at obs [S, B, ...]."""
        return Categorical(self.network(obs))

    def at(self, parameters: Sequence[Tensor], obs: Tensor) -> Categorical:
        """The distribution at other parameters, in their dtype, differentiable twice in them."""
        return Categorical(self.network.at(parameters, obs))

    def noise(self, generators: Sequence[torch.Generator], copies: int) -> Uniforms:
        """The stream of what `Categorical.sample` wants, [S, N] per call."""
        return Uniforms(generators, copies)

    def bounded(self, action: Tensor) -> Tensor:
        """The action as the environment takes it: the same."""
        return action

    def frozen(self) -> "CategoricalPolicy":
        """The same policy with parameters of its own, which do not learn."""
        return CategoricalPolicy(self.network.copy())


class GaussianPolicy:
    """π(·|s) over A real actions, a normal one whose deviation does not depend on s.

    Args:
        network: its outputs are means.
        log_std: log σ, [S, 1, A].
        low: least actions, [A].
        high: largest actions, [A].
    """

    entropy_weight = 0.0  # likewise: PPO's on MuJoCo. Log σ has no upper end, so any weight raises it in every update

    def __init__(self, network: StackedMLP | StackedCNN, log_std: Tensor, low: Tensor, high: Tensor) -> None:
        self.network = network
        self.log_std = log_std
        self.low = low
        self.high = high

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, [S, ...] each."""
        return [*self.network.parameters, self.log_std]

    def __call__(self, obs: Tensor) -> DiagonalGaussian:
        """The distribution over actions, [S, B, A], at obs [S, B, ...]."""
        return DiagonalGaussian(self.network(obs), self.log_std)

    def at(self, parameters: Sequence[Tensor], obs: Tensor) -> DiagonalGaussian:
        """The distribution at other parameters, in their dtype, differentiable twice in them."""
        *network, log_std = parameters
        return DiagonalGaussian(self.network.at(network, obs), log_std)

    def noise(self, generators: Sequence[torch.Generator], copies: int) -> Normals:
        """The stream of what `DiagonalGaussian.sample` wants, [S, N, A] per call."""
        return Normals(generators, copies, len(self.low))

    def bounded(self, action: Tensor) -> Tensor:
        """The action as the environment takes it: clipped to its bounds. What is scored is the unclipped one."""
        return action.clamp(self.low, self.high)

    def frozen(self) -> "GaussianPolicy":
        """The same policy with parameters of its own, which do not learn."""
        return GaussianPolicy(self.network.copy(), self.log_std.detach().clone(), self.low, self.high)


class LayeredGaussianPolicy:
    """π(·|s) over A real actions, a normal one of which both numbers are outputs of the network, x and y.

        μ = middle + half the range · tanh(x),   σ = softplus(y) + 0.1

    So it is in M. Zhou's tutorial, script 8, which scores the action as clipped; ours is scored as sampled.

    Args:
        network: its outputs are all x and all y, 2 A.
        low: least actions, [A].
        high: largest actions, [A].
    """

    entropy_weight = 0.0

    def __init__(self, network: StackedMLP | StackedCNN, low: Tensor, high: Tensor) -> None:
        self.network = network
        self.low = low
        self.high = high

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, [S, ...] each."""
        return self.network.parameters

    def __call__(self, obs: Tensor) -> DiagonalGaussian:
        """The distribution over actions, [S, B, A], at obs [S, B, ...]."""
        return self._of(self.network(obs))

    def at(self, parameters: Sequence[Tensor], obs: Tensor) -> DiagonalGaussian:
        """The distribution at other parameters, in their dtype, differentiable twice in them."""
        return self._of(self.network.at(parameters, obs))

    def _of(self, outputs: Tensor) -> DiagonalGaussian:
        x, y = outputs.chunk(2, -1)
        mean = (self.low + self.high) / 2 + (self.high - self.low) / 2 * x.tanh()
        return DiagonalGaussian(mean, (LEAST_DEVIATION - logsigmoid(-y)).log())  # −log σ(−y) is softplus(y)

    def noise(self, generators: Sequence[torch.Generator], copies: int) -> Normals:
        """The stream of what `DiagonalGaussian.sample` wants, [S, N, A] per call."""
        return Normals(generators, copies, len(self.low))

    def bounded(self, action: Tensor) -> Tensor:
        """The action as the environment takes it: clipped to its bounds. What is scored is the unclipped one."""
        return action.clamp(self.low, self.high)

    def frozen(self) -> "LayeredGaussianPolicy":
        """The same policy with parameters of its own, which do not learn."""
        return LayeredGaussianPolicy(self.network.copy(), self.low, self.high)


Policy = CategoricalPolicy | GaussianPolicy | LayeredGaussianPolicy


def entropy_weight(asked: float | None, policy: Policy) -> float:
    """c_e of a bonus c_e H[π(·|s)]: what is asked for, else that of the kind of policy."""
    return policy.entropy_weight if asked is None else asked


def stochastic_policy(
    observation_space: Any,
    action_space: Any,
    hidden: Sequence[int],
    generators: Sequence[torch.Generator],
    activation: Activation = "tanh",
    initial: Initial = fan_in,
    log_std: float | None = 0.0,
) -> Policy:
    """The policy for a pair of spaces: categorical for Discrete actions, Gaussian for a Box of one axis.

    Args:
        observation_space: Gymnasium's space of one observation.
        action_space: Gymnasium's space of one action.
        hidden: units of each hidden layer.
        generators: one per seed, for the initial parameters.
        activation: between layers, "relu" or "tanh".
        initial: fills a layer.
        log_std: initial log σ of a Gaussian policy, the same in every state; None for one of layers.

    Raises:
        ValueError: the actions are a Box of several axes, or one without bounds.
    """
    if hasattr(action_space, "n"):
        outputs = int(action_space.n)
        return CategoricalPolicy(stacked_network(observation_space, hidden, outputs, generators, activation, initial))
    if len(action_space.shape) != 1 or not action_space.is_bounded():
        raise ValueError(f"{action_space}: a bounded Box of one axis is wanted")
    device, (size,) = generators[0].device, action_space.shape
    low, high = (torch.as_tensor(b, device=device) for b in (action_space.low, action_space.high))
    outputs = 2 * size if log_std is None else size
    network = stacked_network(observation_space, hidden, outputs, generators, activation, initial)
    if log_std is None:
        return LayeredGaussianPolicy(network, low, high)
    deviations = torch.full((len(generators), 1, size), log_std, device=device, requires_grad=True)
    return GaussianPolicy(network, deviations, low, high)
