"""QR-DQN, deep Q-learning of the quantiles of the return (Dabney et al., 2018, arXiv:1710.10044, algorithm 1).

A network gives, for every action, M quantiles θ of the return, at the midpoints τ̂ᵢ = (i − ½) / M of M equal parts
of probability. Q is their mean. They are moved, on replayed transitions, by the quantile Huber loss ρ of all pairs:

    yⱼ = r + γ d θ⁻ⱼ(s′, a*),   a* = argmaxₐ′ meanⱼ θ⁻ⱼ(s′, a′),   loss = Σᵢ meanⱼ ρ_τ̂ᵢ(yⱼ − θᵢ(s, a))

d = 0 where the MDP terminated, else 1; θ⁻ is a copy of θ, frozen for `target_every` steps. Unlike C51's atoms,
quantiles go where the returns are, and no range need be known.

Departures from the paper: rewards are not clipped; frames are taken as the environment gives them; a perceptron
where observations are no frames; fewer quantiles unless asked for, as pairs grow with their square. All seeds are
trained in lockstep: a leading axis S throughout, the loss averaged over the batch and summed over seeds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks import optim
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.laws import chosen
from harness_algorithms.blocks.losses import quantile_huber
from harness_algorithms.blocks.networks import Network, copy_, frozen_copy
from harness_algorithms.blocks.q_learning import Transition, epsilon_greedy
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of QR-DQN."""

    discount: Fraction = 0.99  # γ, per step
    epsilon: Linear = Linear(1.0, 0.05, until=0.5)  # probability of a random action; until: of the budget
    quantiles: Count = 25  # M, of each action
    huber_threshold: float = 1.0  # κ > 0, a return: ρ is linear beyond; where it is large, ρ finds expectiles

    hidden: tuple[Count, ...] = (120, 84)  # units of each hidden layer
    learning_rate: Fraction = 1e-3  # of Adam
    adam_epsilon: float = 0.01 / 32  # added to the root of the second moment
    batch_size: Count = 128  # transitions
    replay_capacity: Count = 10_000  # transitions
    learning_starts: int = 1_000  # steps; actions are uniformly random until then
    train_every: Count = 2  # steps
    updates: Count = 1  # optimiser steps, every `train_every` steps
    target_every: Count = 100  # steps: after k copies from 0, no value exceeds (1 − γᵏ) / (1 − γ) rewards
    max_gradient_norm: float | None = None  # of each seed's gradient; None for no limit


def midpoints(quantiles: int, device: torch.device) -> Tensor:
    """τ̂ᵢ = (i − ½) / M for i = 1, ..., M, [M]: where quantiles approximate a law best (lemma 2)."""
    return (torch.arange(quantiles, device=device) + 0.5) / quantiles


def target(frozen_next: Tensor, batch: Transition, discount: float) -> Tensor:
    """R + γ d θ⁻(s′, a*), a* greedy in θ⁻ itself; [S, B, M].

    Args:
        frozen_next: θ⁻(s′, ·), [S, B, A, M].
        batch: the transitions, fields [S, B, ...].
        discount: γ.
    """
    best = frozen_next.mean(3).argmax(2)
    return batch.reward[..., None] + discount * batch.discount[..., None] * chosen(frozen_next, best)


def quantile_loss(theta: Tensor, goal: Tensor, threshold: float) -> Tensor:
    """Σᵢ meanⱼ ρ_τ̂ᵢ(goalⱼ − θᵢ), [S, B].

    Args:
        theta: θ(s, a), [S, B, M].
        goal: y, [S, B, M].
        threshold: κ.
    """
    error = goal.unsqueeze(2) - theta.unsqueeze(3)  # [S, B, M of θ, M of y]
    return quantile_huber(error, midpoints(theta.shape[2], theta.device), threshold).mean(3).sum(2)


def descend(
    theta: Network, frozen_theta: Network, optimizer: torch.optim.Optimizer, batch: Transition, config: Config
) -> Tensor:
    """One step of θ down the gradient of the loss; returns the losses before, [S, B]."""
    with torch.no_grad():
        frozen_next = frozen_theta(batch.next_obs).unflatten(2, (-1, config.quantiles))  # [S, B, A, M]
        goal = target(frozen_next, batch, config.discount)
    values = chosen(theta(batch.obs).unflatten(2, (-1, config.quantiles)), batch.action)
    loss = quantile_loss(values, goal, config.huber_threshold)
    optim.descend(optimizer, loss.mean(1), config.max_gradient_norm)
    return loss.detach()


def train(trial: Trial, config: Config) -> None:
    """Act, store, replay; copy θ to θ⁻ now and then."""
    env = trial.make_lockstep_env()
    num_actions = int(env.single_action_space.n)
    theta = stacked_network(
        env.single_observation_space, config.hidden, num_actions * config.quantiles, trial.generators("initialisation")
    )
    frozen_theta = frozen_copy(theta)
    optimizer = optim.adam(theta.parameters, config.learning_rate, config.adam_epsilon)
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.batch_size, trial.generators("batches"))
    exploration = Uniforms(trial.generators("policy"), env.copies, 2)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return theta(obs).unflatten(2, (num_actions, -1)).mean(3).argmax(2)

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
                loss = descend(theta, frozen_theta, optimizer, replay.sample(), config)
            trial.log(loss=loss.mean(1))
        if trial.steps % config.target_every == 0:
            copy_(frozen_theta, theta)
