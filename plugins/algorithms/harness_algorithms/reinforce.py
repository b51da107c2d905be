"""REINFORCE (Williams, 1992, doi:10.1007/BF00992696), with three weightings of the score.

After every rollout of a stochastic policy π, the policy takes one step up an estimate of the return's gradient

    ĝ = E[∇ log π(aₜ|sₜ) Ψₜ],    Ψₜ = R  or  Gₜ  or  Gₜ − v(sₜ)

where R is the whole episode's discounted return and Gₜ that from step t on. All three have the same mean (at γ = 1: see
below): rewards that came before an action, and any function of the state, add noise and no more. The weighting is part
of the estimator as a number is: it changes Ψ, and which steps have one where an episode is cut, but neither the loss
nor how the policy is moved, so the three are presets of one file.

Where an episode is cut, the rewards that would have followed are not seen. With a value function, v(s′) stands for
them. Without one, there are two cuts. Steps of an episode that the rollout's end cuts are left out of the update (what
remains of the episode begins the next rollout, as an episode of its own): rollouts should be several episodes long, as
long episodes are left out more often than short ones. A time limit counts as the episode's end, because leaving
those episodes out would leave only failures, where a limit is success.

Departures from the paper: Adam for plain steps; an update per rollout, averaged over its steps, not one per episode;
Gₜ counts its discounts from t, so that for γ < 1 late steps weigh more than in the gradient, as in all modern code;
v is regressed, where the paper's baseline is a running mean. All seeds are trained in lockstep: a leading axis S
throughout, losses averaged over steps and summed over seeds.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.networks import Activation, Network
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.policies import Policy, stochastic_policy
from harness_algorithms.blocks.regression import regress
from harness_algorithms.blocks.returns import discounted_returns, standardised
from harness_algorithms.blocks.rollouts import Rollout, by_seed, by_time, collect


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of REINFORCE."""

    weighting: Literal["full_return", "reward_to_go", "baseline"] = "baseline"  # Ψ
    discount: Fraction = 0.99  # γ, per step
    standardised_weights: bool = False  # Ψ, to mean 0 and deviation 1 over the steps of an update

    copies: Count = 1  # N, environments stepped together
    rollout_length: Count = 2_000  # T, steps of each copy between updates

    hidden: tuple[Count, ...] = (32,)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float = -0.5  # of continuous actions at the start, log σ; learned, the same in every state

    learning_rate: Fraction = 1e-2  # of π's Adam
    value_learning_rate: Fraction = 1e-2  # of v's Adam; of no effect without a baseline, as is the next
    value_updates: Count = 40  # optimiser steps of v per rollout, each on all of it


class Batch(NamedTuple):
    """A rollout as learning sees it; fields [S, B, ...] with B = T · N.

    Attributes:
        obs: s.
        action: a as sampled, not clipped.
        weight: Ψ; 0 in steps left out.
        used: bool, false in steps left out.
        target: G, what v(s) should be.
    """

    obs: Tensor
    action: Tensor
    weight: Tensor
    used: Tensor
    target: Tensor


def reward_to_go(reward: Tensor, discount: Tensor, ended: Tensor) -> Tensor:
    """Gₜ = rₜ + γₜ Gₜ₊₁ to the episode's end of either kind, [T, ...]; arguments as of `discounted_returns`."""
    return discounted_returns(reward, discount, ended, torch.zeros_like(discount))


def full_return(reward: Tensor, discount: Tensor, ended: Tensor) -> Tensor:
    """R in all steps of its episode, [T, ...]: G of the episode's first step in the rollout."""
    first = torch.ones_like(ended)
    first[1:] = ended[:-1]
    rows = torch.arange(len(ended), device=ended.device).view(-1, *[1] * (ended.dim() - 1))
    latest = torch.where(first, rows, 0).cummax(0).values  # the row at which its episode began
    return reward_to_go(reward, discount, ended).gather(0, latest)


def complete(ended: Tensor) -> Tensor:
    """Which steps belong to an episode that ends within the rollout, bool [T, ...]."""
    return ended.flip(0).cummax(0).values.flip(0)


@torch.no_grad()
def batch_of(rollout: Rollout, v: Network | None, config: Config) -> Batch:
    """The rollout with its weights, which no gradient passes through.

    Args:
        rollout: fields [T, S, N, ...].
        v: the baseline, None for the weightings without.
        config: the hyper-parameters.
    """
    obs = by_seed(rollout.obs)
    rewards = rollout.reward, config.discount * rollout.discount, rollout.ended
    if v is not None:
        next_value = by_time(v(by_seed(rollout.next_obs)).squeeze(2), config.copies)
        target = by_seed(discounted_returns(*rewards, next_value))
        weight, used = target - v(obs).squeeze(2), torch.ones_like(target, dtype=torch.bool)
    else:
        target = by_seed(reward_to_go(*rewards))
        weight = by_seed(full_return(*rewards)) if config.weighting == "full_return" else target
        used = by_seed(complete(rollout.ended))
    if config.standardised_weights:
        weight = standardised(weight, 1, used)
    return Batch(obs, by_seed(rollout.action), weight * used, used, target)


def policy_loss(policy: Policy, batch: Batch) -> Tensor:
    """−E[log π(a|s) Ψ] over the steps that are used, [S], whose gradient is −ĝ; 0 for a seed without any."""
    log_prob = policy(batch.obs).log_prob(batch.action)
    return -(log_prob * batch.weight).sum(1) / batch.used.sum(1).clamp(min=1)


def train(trial: Trial, config: Config) -> None:
    """Act for a while in all copies; take one step with the policy, some with its baseline; forget."""
    env = trial.make_lockstep_env(config.copies)
    spaces = env.single_observation_space, env.single_action_space
    initialisation = trial.generators("initialisation")
    policy = stochastic_policy(*spaces, config.hidden, initialisation, config.activation, log_std=config.log_std)
    optimizer = adam(policy.parameters, config.learning_rate)
    noise = policy.noise(trial.generators("policy"), config.copies)
    v = None
    if config.weighting == "baseline":
        v = stacked_network(spaces[0], config.hidden, 1, initialisation, config.activation)
        value_optimizer = adam(v.parameters, config.value_learning_rate)

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
        trial.log(policy_loss=loss, used=batch.used.float().mean(1))
        if v is not None:
            for _ in range(config.value_updates):
                value_loss = regress(v, value_optimizer, batch.obs, batch.target)
            trial.log(value_loss=value_loss)
