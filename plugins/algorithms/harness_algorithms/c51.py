"""C51, categorical deep Q-learning (Bellemare et al., 2017, arXiv:1707.06887, algorithm 1).

A network gives, for every action, the law of the return: probabilities p of fixed atoms z. Q is its mean. The
law is regressed, on replayed transitions, towards the one that the next law implies, moved and put back on
the atoms by the projection Φ:

    m = Φ(law of r + γ d Z⁻(s′, a*)),   a* = argmaxₐ′ Σ z p⁻(s′, a′),   loss = − Σ m log p(s, a)

d = 0 where the MDP terminated, else 1. The network Z⁻ that chooses a* and gives its law is one and the same, a copy
of Z frozen for `target_every` steps.

Departures from the paper: rewards are not clipped; frames are taken as the environment gives them; a perceptron
where observations are no frames. All seeds are trained in lockstep: a leading axis S throughout, the loss averaged
over the batch and summed over seeds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks import optim
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.laws import Support, chosen, cross_entropy, expectation
from harness_algorithms.blocks.networks import Network, copy_, frozen_copy
from harness_algorithms.blocks.projection import project
from harness_algorithms.blocks.q_learning import Transition, epsilon_greedy
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of C51."""

    discount: Fraction = 0.99  # γ, per step
    epsilon: Linear = Linear(1.0, 0.05, until=0.5)  # probability of a random action; until: of the budget
    support: Support = Support()  # must span the discounted returns

    hidden: tuple[Count, ...] = (120, 84)  # units of each hidden layer
    learning_rate: Fraction = 5e-4  # of Adam
    adam_epsilon: float = 0.01 / 32  # added to the root of the second moment
    batch_size: Count = 128  # transitions
    replay_capacity: Count = 10_000  # transitions
    learning_starts: int = 1_000  # steps; actions are uniformly random until then
    train_every: Count = 2  # steps
    updates: Count = 1  # optimiser steps, every `train_every` steps
    target_every: Count = 100  # steps: after k copies from 0, no value exceeds (1 − γᵏ) / (1 − γ) rewards
    max_gradient_norm: float | None = None  # of each seed's gradient; None for no limit


def target(frozen_next: Tensor, batch: Transition, support: Tensor, discount: float) -> Tensor:
    """The law of r + γ d Z⁻(s′, a*) on the atoms, a* greedy in Z⁻ itself; [S, B, M].

    Args:
        frozen_next: logits of Z⁻(s′, ·), [S, B, A, M].
        batch: the transitions, fields [S, B, ...].
        support: z, [M].
        discount: γ.
    """
    best = expectation(frozen_next, support).argmax(2)
    law = chosen(frozen_next, best).softmax(2)
    return project(law, batch.reward, discount * batch.discount, support)


def descend(
    z: Network, frozen_z: Network, optimizer: torch.optim.Optimizer, batch: Transition, support: Tensor, config: Config
) -> Tensor:
    """One step of Z down the gradient of the loss; returns the cross-entropies before, [S, B]."""
    with torch.no_grad():
        frozen_next = frozen_z(batch.next_obs).unflatten(2, (-1, len(support)))  # [S, B, A, M]
        law = target(frozen_next, batch, support, config.discount)
    logits = chosen(z(batch.obs).unflatten(2, (-1, len(support))), batch.action)
    loss = cross_entropy(logits, law)
    optim.descend(optimizer, loss.mean(1), config.max_gradient_norm)
    return loss.detach()


def train(trial: Trial, config: Config) -> None:
    """Act, store, replay; copy Z to Z⁻ now and then."""
    env = trial.make_lockstep_env()
    num_actions = int(env.single_action_space.n)
    support = config.support.on(trial.device)
    z = stacked_network(
        env.single_observation_space, config.hidden, num_actions * len(support), trial.generators("initialisation")
    )
    frozen_z = frozen_copy(z)
    optimizer = optim.adam(z.parameters, config.learning_rate, config.adam_epsilon)
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.batch_size, trial.generators("batches"))
    exploration = Uniforms(trial.generators("policy"), env.copies, 2)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return expectation(z(obs).unflatten(2, (num_actions, -1)), support).argmax(2)

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
                loss = descend(z, frozen_z, optimizer, replay.sample(), support, config)
            trial.log(loss=loss.mean(1))
        if trial.steps % config.target_every == 0:
            copy_(frozen_z, z)
