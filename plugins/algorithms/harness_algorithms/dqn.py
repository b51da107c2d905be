"""Deep Q-network (Mnih et al., 2015, doi:10.1038/nature14236).

A network Q acts ε-greedily and is regressed, on transitions replayed in random order, towards

    y = r + γ d maxₐ′ Q⁻(s′, a′),   d = 0 where the MDP terminated, else 1

Replay breaks the correlation of successive steps and uses each of them many times. Q⁻ is a copy of Q, frozen
for `target_every` steps, so that the regression does not chase itself.

Departures from the paper: Adam for RMSProp; rewards are not clipped; frames are taken as the environment gives them;
a perceptron where observations are no frames. Clipping errors to [−1, 1] is the Huber loss. All seeds are trained
in lockstep: a leading axis S throughout, the loss averaged over the batch and summed over seeds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.losses import huber, huber_gradient
from harness_algorithms.blocks.networks import Network, copy_, frozen_copy
from harness_algorithms.blocks.optim import adam, clip_gradients_
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of DQN."""

    discount: float = 0.99  # γ, per step
    epsilon: Linear = Linear(1.0, 0.05, until=0.5)  # probability of a random action; until: of the budget

    hidden: tuple[int, ...] = (120, 84)  # units of each hidden layer
    learning_rate: float = 2.5e-4  # of Adam
    batch_size: int = 128  # transitions
    replay_capacity: int = 10_000  # transitions
    learning_starts: int = 1_000  # steps; actions are uniformly random until then
    train_every: int = 1  # steps
    updates: int = 1  # optimiser steps, every `train_every` steps
    target_every: int = 500  # steps
    max_gradient_norm: float | None = None  # of each seed's gradient; None for no limit


class Transition(NamedTuple):
    """What one step showed; fields [S, N, ...] when stored, [S, B, ...] when sampled.

    Attributes:
        obs: s.
        action: a, int64.
        reward: r.
        discount: d, 0 where the MDP terminated, else 1; so a time limit keeps 1.
        next_obs: s′, before any reset.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    next_obs: Tensor


def td_error(values: Tensor, next_values: Tensor, batch: Transition, discount: float) -> Tensor:
    """R + γ d maxₐ′ Q⁻(s′, a′) − Q(s, a), [S, B].

    Args:
        values: Q(s, ·), [S, B, A].
        next_values: Q⁻(s′, ·), [S, B, A].
        batch: the transitions, fields [S, B, ...].
        discount: γ.
    """
    chosen = values.gather(2, batch.action.unsqueeze(2)).squeeze(2)
    return batch.reward + discount * batch.discount * next_values.amax(2) - chosen


def loss(error: Tensor) -> Tensor:
    """The Huber loss of TD errors [S, B], averaged over the batch; [S]."""
    return huber(error).mean(1)


def loss_gradient(error: Tensor, action: Tensor, num_actions: int) -> Tensor:
    """∂ loss / ∂ Q(s, ·), [S, B, A]: only the value of the action taken has one.

    Args:
        error: TD errors, [S, B].
        action: a, [S, B].
        num_actions: A.
    """
    slope = -huber_gradient(error) / error.shape[1]
    return error.new_zeros(*error.shape, num_actions).scatter_(2, action.unsqueeze(2), slope.unsqueeze(2))


def epsilon_greedy(greedy: Tensor, num_actions: int, epsilon: float, uniforms: Tensor) -> Tensor:
    """A uniformly random action with probability ε, else the greedy one; int64 [S, N].

    Args:
        greedy: int64 [S, N].
        num_actions: A.
        epsilon: probability of ignoring ``greedy``.
        uniforms: from U[0, 1), [S, N, 2]: the first number decides whether, the second which.
    """
    whether, which = uniforms.unbind(2)
    return torch.where(whether < epsilon, (which * num_actions).long(), greedy)


@torch.no_grad()
def descend(
    q: Network, frozen_q: Network, optimizer: torch.optim.Optimizer, batch: Transition, config: Config
) -> Tensor:
    """One step of Q down the gradient of the loss; returns the TD errors before, [S, B]."""
    values, tape = q.record(batch.obs)  # [S, B, A]
    error = td_error(values, frozen_q(batch.next_obs), batch, config.discount)
    q.backward_(tape, loss_gradient(error, batch.action, values.shape[2]))
    if config.max_gradient_norm is not None:
        clip_gradients_(q.parameters, config.max_gradient_norm)
    optimizer.step()
    return error


def train(trial: Trial, config: Config) -> None:
    """Act, store, replay; copy Q to Q⁻ now and then."""
    env = trial.make_lockstep_env()
    num_actions = int(env.single_action_space.n)
    q = stacked_network(
        env.single_observation_space, config.hidden, num_actions, trial.generators("initialisation")
    )
    frozen_q = frozen_copy(q)
    optimizer = adam(q.parameters, config.learning_rate)
    replay = Replay(Transition, config.replay_capacity, config.batch_size, trial.generators("batches"))
    exploration = Uniforms(trial.generators("policy"), env.copies, 2)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return q(obs).argmax(2)

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
            trial.log(loss=loss(error))
        if trial.steps % config.target_every == 0:
            copy_(frozen_q, q)
