"""Proximal policy optimisation with a clipped objective (Schulman et al., 2017, arXiv:1707.06347).

N copies of the environment take T steps with one stochastic policy π_old. Then π, from π_old on, and a value function v
take many steps of gradient descent on minibatches of that rollout, on

    −min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â) + c_v (v(s) − G)² − c_e H[π(·|s)],
    ρ = π(a|s) / π_old(a|s),    G = Â + v_old(s)

The clipped term gives no reason to move ρ further than ε from 1, so the rollout can be used several times. Advantages Â
(generalised, of λ), targets G and π_old are computed once per rollout and then stay as they are.

Departures from the paper, as in the authors' code ("The 37 implementation details of PPO", Huang et al., 2022):
advantages are standardised in every minibatch, by the population's deviation; gradients are limited in norm; initial
weights are orthogonal; Adam's ε is 1e−5. π and v share no layers. The value loss is not clipped. All seeds are
trained in lockstep: a leading axis S throughout, losses averaged over the batch and summed over seeds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.networks import Activation, Network, orthogonal
from harness_algorithms.blocks.optim import adam, descend, set_learning_rate
from harness_algorithms.blocks.policies import Policy, entropy_weight, stochastic_policy
from harness_algorithms.blocks.returns import standardised
from harness_algorithms.blocks.rollouts import Rollout, advantages, by_seed, collect, minibatches
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms

ADAM_EPSILON = 1e-5


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of PPO."""

    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 0.95  # λ of the advantages
    clip: Linear = Linear(0.2, 0.2)  # ε

    copies: Count = 8  # N, environments stepped together
    rollout_length: Count = 128  # T, steps of each copy between updates
    passes: Count = 4  # over each rollout
    minibatches: Count = 4  # per pass; their number divides T · N

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float = 0.0  # of continuous actions at the start, log σ; learned, the same in every state

    learning_rate: Linear = Linear(2.5e-4, 0.0)  # of Adam
    standardised_advantages: bool = True  # to mean 0 and deviation 1, in each minibatch
    value_weight: float = 0.5  # c_v
    entropy_weight: float | None = None  # c_e; None for 0.01 of discrete actions and 0 of continuous ones
    max_gradient_norm: float | None = 0.5  # of each seed's gradient, over π and v; None for no limit


class Batch(NamedTuple):
    """A rollout as learning sees it; fields [S, B, ...] with B = T · N, or fewer in a minibatch.

    Attributes:
        obs: s.
        action: a as sampled, not clipped.
        log_prob: log π_old(a|s).
        advantage: Â.
        target: G, what v(s) should be.
    """

    obs: Tensor
    action: Tensor
    log_prob: Tensor
    advantage: Tensor
    target: Tensor


class Terms(NamedTuple):
    """The parts of the loss, [S] each: averages over the batch.

    Attributes:
        policy: −min(ρ Â, clip(ρ) Â).
        value: (v(s) − G)².
        entropy: H[π(·|s)], in nats.
    """

    policy: Tensor
    value: Tensor
    entropy: Tensor


@torch.no_grad()
def batch_of(rollout: Rollout, policy: Policy, v: Network, config: Config) -> Batch:
    """The rollout with its advantages, targets and log-probabilities, which no gradient passes through."""
    obs, action = by_seed(rollout.obs), by_seed(rollout.action)
    advantage, value = advantages(rollout, v, config.discount, config.lambda_)
    return Batch(obs, action, policy(obs).log_prob(action), advantage, advantage + value)


def clipped_objective(log_ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â), elementwise (equation 7).

    Args:
        log_ratio: log ρ.
        advantage: Â.
        clip: ε.
    """
    ratio = log_ratio.exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def terms(policy: Policy, v: Network, batch: Batch, clip: float) -> Terms:
    """What the loss is made of."""
    distribution = policy(batch.obs)
    log_ratio = distribution.log_prob(batch.action) - batch.log_prob
    return Terms(
        policy=-clipped_objective(log_ratio, batch.advantage, clip).mean(1),
        value=(v(batch.obs).squeeze(2) - batch.target).square().mean(1),
        entropy=distribution.entropy().mean(1),
    )


def update(
    policy: Policy,
    v: Network,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    shuffle: Uniforms,
    config: Config,
    clip: float,
) -> Terms:
    """Several passes over a rollout; returns the loss's parts in the last minibatch.

    Args:
        policy: π, still π_old.
        v: the value function.
        optimizer: of both.
        batch: the rollout.
        shuffle: a stream of [S, B] per call.
        config: the hyper-parameters.
        clip: ε.
    """
    for _ in range(config.passes):
        for part in minibatches(batch, config.minibatches, shuffle):
            if config.standardised_advantages:
                part = part._replace(advantage=standardised(part.advantage, 1))
            parts = terms(policy, v, part, clip)
            bonus = entropy_weight(config.entropy_weight, policy) * parts.entropy
            loss = parts.policy + config.value_weight * parts.value - bonus
            descend(optimizer, loss, config.max_gradient_norm)
    return Terms._make(part.detach() for part in parts)


def train(trial: Trial, config: Config) -> None:
    """Act for a while in all copies; learn from that several times over; forget it."""
    env = trial.make_lockstep_env(config.copies)
    spaces = env.single_observation_space, env.single_action_space
    initialisation = trial.generators("initialisation")
    policy = stochastic_policy(
        *spaces, config.hidden, initialisation, config.activation, orthogonal(0.01), config.log_std
    )
    v = stacked_network(spaces[0], config.hidden, 1, initialisation, config.activation, orthogonal(1.0))
    optimizer = adam([*policy.parameters, *v.parameters], config.learning_rate.start, ADAM_EPSILON)
    noise = policy.noise(trial.generators("policy"), config.copies)
    shuffle = Uniforms(trial.generators("batches"), config.rollout_length * config.copies)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return policy.bounded(policy(obs).mode)

    trial.policy = act
    obs = env.reset()
    while trial.within_budget:
        rollout, obs = collect(env, policy, noise, obs, config.rollout_length)
        set_learning_rate(optimizer, config.learning_rate(trial.progress))
        batch = batch_of(rollout, policy, v, config)
        parts = update(policy, v, optimizer, batch, shuffle, config, config.clip(trial.progress))
        trial.log(policy_loss=parts.policy, value_loss=parts.value, entropy=parts.entropy)
