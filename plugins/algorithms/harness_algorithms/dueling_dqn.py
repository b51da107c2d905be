"""Dueling DQN (Wang et al., 2016, arXiv:1511.06581), on Double DQN or DQN.

Features of the state feed two streams, its value and the advantages of the actions, so that what all actions
share is learned from each of them:

    Q(s, a) = V(s) + A(s, a) − meanₐ′ A(s, a′)

The mean makes V and A unique: V is then the mean of Q over actions. To act, A is enough. Q is regressed as by Double
DQN, or as by DQN:

    y = r + γ d Q⁻(s′, argmaxₐ′ Q(s′, a′))  or  r + γ d maxₐ′ Q⁻(s′, a′),   d = 0 where the MDP terminated, else 1
    loss = mean huber(δ),   δ = y − Q(s, a),   huber(δ) = δ² / 2 where |δ| ≤ κ, else κ (|δ| − κ/2)

The gradient into the features, the sum of two streams', is multiplied by 1/√2.

Departures from the paper: Adam for RMSProp; a perceptron for the features where observations are no frames. The paper
clips rewards and errors to [−1, 1]; here neither is clipped unless κ is given. All seeds are trained in lockstep: a
leading axis S throughout, the loss averaged over the batch and summed over seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks import optim
from harness_algorithms.blocks.convolutions import StackedTorso, stacked_torso
from harness_algorithms.blocks.losses import huber
from harness_algorithms.blocks.networks import StackedMLP, copy_, frozen_copy, stacked_mlp
from harness_algorithms.blocks.q_learning import Transition, double_td_error, dueling_values, epsilon_greedy
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Dueling DQN."""

    discount: Fraction = 0.99  # γ, per step
    double: bool = True  # whether Q chooses a′, as in Double DQN, or Q⁻, as in DQN
    epsilon: Linear = Linear(1.0, 0.05, until=0.5)  # probability of a random action; until: of the budget

    shared: tuple[int, ...] = (120,)  # units of each layer under both streams; frames have convolutions instead
    stream: tuple[int, ...] = (84,)  # units of each hidden layer of either stream
    learning_rate: Fraction = 5e-4  # of Adam
    batch_size: Count = 128  # transitions
    replay_capacity: Count = 10_000  # transitions
    learning_starts: int = 1_000  # steps; actions are uniformly random until then
    train_every: Count = 1  # steps
    updates: Count = 1  # optimiser steps, every `train_every` steps
    target_every: Count = 100  # steps: after k copies from 0, no value exceeds (1 − γᵏ) / (1 − γ) rewards
    huber_threshold: float | None = None  # κ, a return: gradients of larger errors are clipped to it; None for no limit
    max_gradient_norm: float | None = 10.0  # of each seed's gradient; None for no limit

    def __post_init__(self) -> None:
        if not self.shared:
            raise ValueError("shared: at least one layer is wanted")


class DuelingNetwork:
    """S networks of two streams over common features.

    Args:
        torso: features [S, B, F] of observations [S, B, ...], before or after their ReLU.
        value: the stream of V, with one output.
        advantage: the stream of A, with one output per action.
    """

    def __init__(self, torso: StackedMLP | StackedTorso, value: StackedMLP, advantage: StackedMLP) -> None:
        self.torso = torso
        self.value = value
        self.advantage = advantage

    @property
    def parameters(self) -> list[Tensor]:
        """Of torsos and streams, [S, P] each."""
        return [self.torso.flat, self.value.flat, self.advantage.flat]

    def features(self, x: Tensor) -> Tensor:
        """What both streams see, [S, B, F]; the gradient that comes back is multiplied by 1/√2."""
        features = self.torso(x).relu()
        if features.requires_grad:
            features.register_hook(lambda gradient: gradient / math.sqrt(2))
        return features

    def __call__(self, x: Tensor) -> Tensor:
        """Q(s, ·), [S, B, A], for observations [S, B, ...]."""
        features = self.features(x)
        return dueling_values(self.value(features), self.advantage(features))

    def advantages(self, x: Tensor) -> Tensor:
        """A(s, ·), [S, B, A], whose order is that of Q(s, ·)."""
        return self.advantage(self.features(x))

    def copy(self) -> "DuelingNetwork":
        """The same networks with parameters of their own, which autograd does not follow."""
        return DuelingNetwork(self.torso.copy(), self.value.copy(), self.advantage.copy())


def dueling_network(
    space: Any, config: Config, num_actions: int, generators: Sequence[torch.Generator]
) -> DuelingNetwork:
    """One network per generator, initialised from it alone, for a space of observations."""
    torso: StackedMLP | StackedTorso | None
    torso, features = stacked_torso(space, generators)
    if torso is None:
        torso, features = stacked_mlp((features, *config.shared), generators), config.shared[-1]
    value, advantage = (stacked_mlp((features, *config.stream, outputs), generators) for outputs in (1, num_actions))
    return DuelingNetwork(torso, value, advantage)


def descend(
    q: DuelingNetwork, frozen_q: DuelingNetwork, optimizer: torch.optim.Optimizer, batch: Transition, config: Config
) -> Tensor:
    """One step of Q down the gradient of the loss; returns the TD errors before, [S, B]."""
    with torch.no_grad():
        frozen_next = frozen_q(batch.next_obs)  # [S, B, A]
        next_values = q(batch.next_obs) if config.double else frozen_next
    error = double_td_error(q(batch.obs), next_values, frozen_next, batch, config.discount)
    optim.descend(optimizer, huber(error, config.huber_threshold).mean(1), config.max_gradient_norm)
    return error.detach()


def train(trial: Trial, config: Config) -> None:
    """Act, store, replay; copy Q to Q⁻ now and then."""
    env = trial.make_lockstep_env()
    num_actions = int(env.single_action_space.n)
    q = dueling_network(env.single_observation_space, config, num_actions, trial.generators("initialisation"))
    frozen_q = frozen_copy(q)
    optimizer = optim.adam(q.parameters, config.learning_rate)
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.batch_size, trial.generators("batches"))
    exploration = Uniforms(trial.generators("policy"), env.copies, 2)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return q.advantages(obs).argmax(2)

    trial.policy = act
    obs = env.reset()
    while trial.within_budget:
        learning = trial.steps >= config.learning_starts
        epsilon = config.epsilon(trial.progress) if learning else 1.0
        action = epsilon_greedy(act(obs), num_actions, epsilon, exploration())
        step = env.step(action)
        replay.add(Transition(obs, action, step.reward, step.discount, step.next_obs))
        obs = step.obs
        if learning and trial.steps % config.train_every == 0:
            for _ in range(config.updates):
                error = descend(q, frozen_q, optimizer, replay.sample(), config)
            trial.log(loss=huber(error, config.huber_threshold).mean(1))
        if trial.steps % config.target_every == 0:
            copy_(frozen_q, q)
