"""Deep Q-network (Mnih et al., 2015, doi:10.1038/nature14236).

A network Q acts ε-greedily and is regressed, on transitions replayed in random order, towards

    y = r + γ d maxₐ′ Q⁻(s′, a′),   d = 0 where the MDP terminated, else 1
    loss = mean huber(δ),   δ = y − Q(s, a),   huber(δ) = δ² / 2 where |δ| ≤ κ, else κ (|δ| − κ/2)

`descend` follows its gradient, ∂ loss / ∂ Q(s, a) = −δ clipped to [−κ, κ], over the number of transitions. Replay
breaks the correlation of successive steps and uses each of them many times. Q⁻ is a copy of Q, frozen for
`target_every` steps, so that the regression does not chase itself.

Departures from the paper: Adam for RMSProp; frames are taken as the environment gives them; a perceptron where
observations are no frames. The paper clips rewards and errors to [−1, 1]; here neither is clipped unless κ is given
(docs/decisions/0007). All seeds are trained in lockstep: a leading axis S throughout, the loss averaged over the batch
and summed over seeds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.losses import huber
from harness_algorithms.blocks.networks import Network, copy_, frozen_copy
from harness_algorithms.blocks.optim import adam, clip_gradients_
from harness_algorithms.blocks.q_learning import Transition, epsilon_greedy, huber_loss_gradient, td_error
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of DQN."""

    discount: Fraction = 0.99  # γ, per step
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


@torch.no_grad()
def descend(
    q: Network, frozen_q: Network, optimizer: torch.optim.Optimizer, batch: Transition, config: Config
) -> Tensor:
    """One step of Q down the gradient of the loss; returns the TD errors before, [S, B]."""
    values, tape = q.record(batch.obs)  # [S, B, A]
    error = td_error(values, frozen_q(batch.next_obs), batch, config.discount)
    q.backward_(tape, huber_loss_gradient(error, batch.action, values.shape[2], config.huber_threshold))
    if config.max_gradient_norm is not None:
        clip_gradients_(q.parameters, config.max_gradient_norm)
    optimizer.step()
    return error


def train(trial: Trial, config: Config) -> None:
    """Act, store, replay; copy Q to Q⁻ now and then."""
    env = trial.make_lockstep_env()
    num_actions = int(env.single_action_space.n)
    q = stacked_network(env.single_observation_space, config.hidden, num_actions, trial.generators("initialisation"))
    frozen_q = frozen_copy(q)
    optimizer = adam(q.parameters, config.learning_rate)
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.batch_size, trial.generators("batches"))
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
            for _ in range(config.updates):
                error = descend(q, frozen_q, optimizer, replay.sample(), config)
            trial.log(loss=huber(error, config.huber_threshold).mean(1), max_value=values.amax(2).mean(1))
        if trial.steps % config.target_every == 0:
            copy_(frozen_q, q)
