"""Prioritized experience replay (Schaul et al., 2016, arXiv:1511.05952), proportional, on Double DQN or DQN.

A transition i that surprised is replayed more often; weights correct the bias that this brings:

    Pᵢ = pᵢ / Σ p,   pᵢ = (|δᵢ| + ε)^α,   wᵢ = (N Pᵢ)^−β / max w,   loss = mean wᵢ huber(δᵢ)
    δ = r + γ d Q⁻(s′, argmaxₐ′ Q(s′, a′)) − Q(s, a),   d = 0 where the MDP terminated, else 1;   or DQN's
    huber(δ) = δ² / 2 where |δ| ≤ κ, else κ (|δ| − κ/2)

β rises to 1, as the bias matters most near convergence. Priorities come from δ alone, never from w δ. The largest w is
that of the batch, as in DeepMind's code: with an ε this small, the memory's would be that of a record without error,
and all others next to nothing (docs/decisions/0019).

Departures from the paper: as in `double_dqn`: Adam for RMSProp; rewards are not clipped, so neither are errors, unless
κ, nor those that priorities come from, unless `largest_error` says so. All seeds are trained in lockstep: a leading
axis S throughout, the loss summed over seeds.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.losses import huber
from harness_algorithms.blocks.networks import Network, copy_, frozen_copy
from harness_algorithms.blocks.optim import adam, clip_gradients_
from harness_algorithms.blocks.prioritized import PrioritizedReplay
from harness_algorithms.blocks.q_learning import Transition, double_td_error, epsilon_greedy, huber_loss_gradient
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Double DQN with prioritized replay."""

    discount: Fraction = 0.99  # γ, per step
    double: bool = True  # whether Q chooses a′, as in Double DQN, or Q⁻, as in DQN
    epsilon: Linear = Linear(1.0, 0.05, until=0.5)  # probability of a random action; until: of the budget

    hidden: tuple[Count, ...] = (120, 84)  # units of each hidden layer
    learning_rate: Fraction = 2.5e-4  # of Adam
    batch_size: Count = 128  # transitions
    replay_capacity: Count = 10_000  # transitions
    learning_starts: int = 1_000  # steps; actions are uniformly random until then
    train_every: Count = 1  # steps
    updates: Count = 1  # optimiser steps, every `train_every` steps
    target_every: Count = 100  # steps: after k copies from 0, no value exceeds (1 − γᵏ) / (1 − γ) rewards
    huber_threshold: float | None = None  # κ, a return: gradients of larger errors are clipped to it; None for no limit
    max_gradient_norm: float | None = None  # of each seed's gradient; None for no limit

    alpha: float = 0.6  # α: 0 replays uniformly, 1 in proportion to |δ| + ε
    beta: Linear = Linear(0.4, 1.0)  # β: 0 corrects no bias, 1 all; until: of the steps after `learning_starts`
    priority_epsilon: float = 1e-6  # ε, in the unit of δ: small beside errors that still matter; as in Baselines
    largest_error: float | None = None  # limit of |δ| + ε in a priority; None for no limit
    weight_scale: Literal["memory", "batch"] = "batch"  # where max w is taken; "batch" as in DQN Zoo


@torch.no_grad()
def descend(
    q: Network, frozen_q: Network, optimizer: torch.optim.Optimizer, batch: Transition, weight: Tensor, config: Config
) -> Tensor:
    """One step of Q down the gradient of the loss with weights [S, B]; returns the TD errors before, [S, B]."""
    values, tape = q.record(batch.obs)  # [S, B, A]
    frozen_next = frozen_q(batch.next_obs)
    next_values = q(batch.next_obs) if config.double else frozen_next
    error = double_td_error(values, next_values, frozen_next, batch, config.discount)
    q.backward_(tape, huber_loss_gradient(error, batch.action, values.shape[2], config.huber_threshold, weight))
    if config.max_gradient_norm is not None:
        clip_gradients_(q.parameters, config.max_gradient_norm)
    optimizer.step()
    return error


def train(trial: Trial, config: Config) -> None:
    """Act, store, replay what surprised; copy Q to Q⁻ now and then."""
    env = trial.make_lockstep_env()
    num_actions = int(env.single_action_space.n)
    q = stacked_network(env.single_observation_space, config.hidden, num_actions, trial.generators("initialisation"))
    frozen_q = frozen_copy(q)
    optimizer = adam(q.parameters, config.learning_rate)
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = PrioritizedReplay(
        Transition,
        capacity,
        config.batch_size,
        trial.generators("batches"),
        alpha=config.alpha,
        epsilon=config.priority_epsilon,
        largest_error=config.largest_error,
        weight_scale=config.weight_scale,
    )
    exploration = Uniforms(trial.generators("policy"), env.copies, 2)

    @torch.no_grad()
    def values_of(obs: Tensor) -> Tensor:
        return q(obs)  # [S, N, A]

    trial.policy = lambda obs: values_of(obs).argmax(2)
    obs = env.reset()
    while trial.within_budget:
        learning = trial.steps >= config.learning_starts
        epsilon = config.epsilon(trial.progress) if learning else 1.0
        values = values_of(obs)
        action = epsilon_greedy(values.argmax(2), num_actions, epsilon, exploration())
        step = env.step(action)
        replay.add(Transition(obs, action, step.reward, step.discount, step.next_obs))
        obs = step.obs
        if learning and trial.steps % config.train_every == 0:
            learned = (trial.steps - config.learning_starts) / max(1, trial.budget - config.learning_starts)
            for _ in range(config.updates):
                index, weight, batch = replay.sample(config.beta(learned))
                error = descend(q, frozen_q, optimizer, batch, weight, config)
                replay.update(index, error)
            trial.log(loss=huber(error, config.huber_threshold).mean(1), max_value=values.amax(2).mean(1))
        if trial.steps % config.target_every == 0:
            copy_(frozen_q, q)
