"""Vanilla policy gradient (Sutton et al., 2000, NIPS 12; Schulman et al., 2016, arXiv:1506.02438).

After every rollout of a stochastic policy π, the policy takes one step up

    ĝ = E[∇ log π(a|s) Â],    Âₜ = Σᵢ (γλ)ⁱ δₜ₊ᵢ,    δ = r + γ d v(s′) − v(s),    d = 0 where the MDP terminated

where elsewhere d = 1; and a value function v is regressed, for many steps, on the discounted rewards that followed. λ
trades the bias of v against the variance of sampled rewards. Where an episode is cut, by a time limit or by the
rollout's end, v(s′) stands for the rewards that were not seen.

Departures from the papers, as in OpenAI's Spinning Up: Adam ascends, for plain steps and, in v, a trust region;
advantages are standardised over the rollout; states are not weighted by γᵗ. All seeds are trained in lockstep: a
leading axis S throughout, losses averaged over the batch and summed over seeds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.networks import Activation, Network
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.policies import Policy, stochastic_policy
from harness_algorithms.blocks.regression import regress
from harness_algorithms.blocks.returns import discounted_returns, gae, standardised
from harness_algorithms.blocks.rollouts import Rollout, by_seed, by_time, collect


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of the vanilla policy gradient.

    A rollout moves the policy once, so 100,000 steps are some fifty updates. Spinning Up's step size of 3e-4 and its
    rollouts of 4,000 (preset `tutorial`) belong to its budgets of millions: after 25 updates it has learned next to
    nothing, and plain REINFORCE, whose default is 1e-2, looked better for that alone. Of 3e-3, 5e-3 and 1e-2 at
    rollouts of 1,024 and 2,048 steps, this one ends highest on CartPole.
    """

    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 0.97  # λ of the advantages

    copies: Count = 8  # N, environments stepped together
    rollout_length: Count = 256  # T, steps of each copy between updates

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float = -0.5  # of continuous actions at the start, log σ; learned, the same in every state

    learning_rate: Fraction = 5e-3  # of π's Adam
    value_learning_rate: Fraction = 1e-2  # of v's Adam
    value_updates: Count = 20  # optimiser steps of v per rollout, each on all of it


class Batch(NamedTuple):
    """A rollout as learning sees it; fields [S, B, ...] with B = T · N.

    Attributes:
        obs: s.
        action: a as sampled, not clipped.
        advantage: Â, standardised.
        target: the discounted rewards that followed, what v(s) should be.
    """

    obs: Tensor
    action: Tensor
    advantage: Tensor
    target: Tensor


@torch.no_grad()
def batch_of(rollout: Rollout, v: Network, config: Config) -> Batch:
    """The rollout with its advantages and returns, which no gradient passes through."""
    obs, next_obs = by_seed(rollout.obs), by_seed(rollout.next_obs)
    value, next_value = (by_time(v(x).squeeze(2), config.copies) for x in (obs, next_obs))  # [T, S, N]
    discount = config.discount * rollout.discount
    advantage = gae(rollout.reward, discount, rollout.ended, value, next_value, config.lambda_)
    target = discounted_returns(rollout.reward, discount, rollout.ended, next_value)
    return Batch(obs, by_seed(rollout.action), standardised(by_seed(advantage), 1), by_seed(target))


def policy_loss(policy: Policy, batch: Batch) -> Tensor:
    """−E[log π(a|s) Â], [S], whose gradient is −ĝ."""
    return -(policy(batch.obs).log_prob(batch.action) * batch.advantage).mean(1)


def train(trial: Trial, config: Config) -> None:
    """Act for a while in all copies; take one step with the policy, many with the value function; forget."""
    env = trial.make_lockstep_env(config.copies)
    spaces = env.single_observation_space, env.single_action_space
    initialisation = trial.generators("initialisation")
    policy = stochastic_policy(*spaces, config.hidden, initialisation, config.activation, log_std=config.log_std)
    v = stacked_network(spaces[0], config.hidden, 1, initialisation, config.activation)
    optimizer = adam(policy.parameters, config.learning_rate)
    value_optimizer = adam(v.parameters, config.value_learning_rate)
    noise = policy.noise(trial.generators("policy"), config.copies)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return policy.bounded(policy(obs).mode)

    trial.policy = act
    obs = env.reset()
    while trial.within_budget:
        rollout, obs = collect(env, policy, noise, obs, config.rollout_length)
        batch = batch_of(rollout, v, config)
        loss = policy_loss(policy, batch)
        descend(optimizer, loss)
        for _ in range(config.value_updates):
            value_loss = regress(v, value_optimizer, batch.obs, batch.target)
        trial.log(policy_loss=loss, value_loss=value_loss)
