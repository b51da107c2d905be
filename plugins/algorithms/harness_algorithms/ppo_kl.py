"""Proximal policy optimisation with an adaptive penalty (Schulman et al., 2017, arXiv:1707.06347, section 4).

PPO without clipping: from π_old on, π and a value function v take many steps of gradient descent on minibatches of one
rollout of π_old, on

    −ρ Â + β KL(π_old(·|s) ‖ π(·|s)) + c_v (v(s) − G)² − c_e H[π(·|s)],
    ρ = π(a|s) / π_old(a|s),    G = Â + v_old(s)

After the passes, d = E[KL(π_old ‖ π)] over the rollout is compared with a target: β is halved where d < target / 1.5
and doubled where d > 1.5 target. It persists from rollout to rollout, and every seed has its own.

Departures from the paper: those of `ppo`; and β stays within bounds, those of Morvan Zhou's tutorial, so that it can
always come back. Where asked for, a seed's π rests for the remaining passes once it is several targets away from π_old
(Heess et al., 2017, arXiv:1707.02286, and the tutorial); v goes on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.distributions import Categorical, DiagonalGaussian
from harness_algorithms.blocks.networks import Activation, Network, orthogonal
from harness_algorithms.blocks.optim import Adam, adam, descend, resting, set_learning_rate
from harness_algorithms.blocks.policies import Policy, stochastic_policy
from harness_algorithms.blocks.returns import standardised
from harness_algorithms.blocks.rollouts import Rollout, advantages, by_seed, collect, minibatches
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms

ADAM_EPSILON = 1e-5
LEAST_BETA, MOST_BETA = 1e-4, 10.0
Distribution = Categorical | DiagonalGaussian


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of PPO with an adaptive penalty."""

    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 0.95  # λ of the advantages
    target_kl: float = 0.01  # in nats, of one rollout's updates
    beta: float = 1.0  # β at the start
    stop_at: float | None = None  # of `target_kl`, in a minibatch: π then waits for the next rollout; None for never

    copies: Count = 8  # N, environments stepped together
    rollout_length: Count = 128  # T, steps of each copy between updates
    passes: Count = 10  # over each rollout
    minibatches: Count = 4  # per pass; their number divides T · N

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float = 0.0  # of continuous actions at the start, log σ; learned, the same in every state

    learning_rate: Linear = Linear(1e-3, 1e-3)  # of Adam; β has nothing to do where steps are small
    standardised_advantages: bool = True  # to mean 0 and deviation 1, in each minibatch
    value_weight: float = 0.5  # c_v
    entropy_weight: float = 0.0  # c_e
    max_gradient_norm: float | None = 0.5  # of each seed's gradient, over π and v; None for no limit


class Batch(NamedTuple):
    """A rollout as learning sees it; fields [S, B, ...] with B = T · N, or fewer in a minibatch.

    Attributes:
        obs: s.
        action: a as sampled, not clipped.
        advantage: Â.
        target: G, what v(s) should be.
    """

    obs: Tensor
    action: Tensor
    advantage: Tensor
    target: Tensor


class Terms(NamedTuple):
    """The parts of the loss, [S] each: averages over the batch.

    Attributes:
        policy: −ρ Â.
        kl: KL(π_old(·|s) ‖ π(·|s)), in nats.
        value: (v(s) − G)².
        entropy: H[π(·|s)], in nats.
    """

    policy: Tensor
    kl: Tensor
    value: Tensor
    entropy: Tensor


@torch.no_grad()
def batch_of(rollout: Rollout, v: Network, config: Config) -> Batch:
    """The rollout with its advantages and targets, which no gradient passes through."""
    advantage, value = advantages(rollout, v, config.discount, config.lambda_)
    return Batch(by_seed(rollout.obs), by_seed(rollout.action), advantage, advantage + value)


def terms(distribution: Distribution, old: Distribution, v: Network, batch: Batch) -> Terms:
    """What the loss is made of.

    Args:
        distribution: π(·|s) in the batch.
        old: π_old(·|s), which does not learn.
        v: the value function.
        batch: some of the rollout.
    """
    ratio = (distribution.log_prob(batch.action) - old.log_prob(batch.action)).exp()
    return Terms(
        policy=-(ratio * batch.advantage).mean(1),
        kl=old.kl(distribution).mean(1),
        value=(v(batch.obs).squeeze(2) - batch.target).square().mean(1),
        entropy=distribution.entropy().mean(1),
    )


def adapted(beta: Tensor, kl: Tensor, target: float, beyond: float = 1.5, factor: float = 2.0) -> Tensor:
    """The penalty for the next rollout, [S].

    Args:
        beta: β, [S].
        kl: d, the mean divergence of the updates made with it, [S].
        target: what d should be.
        beyond: how many times more, or less, than that it must be for β to change.
        factor: by which β changes.
    """
    beta = torch.where(kl < target / beyond, beta / factor, torch.where(kl > target * beyond, beta * factor, beta))
    return beta.clamp(LEAST_BETA, MOST_BETA)


def update(
    policy: Policy, v: Network, optimizer: Adam, batch: Batch, shuffle: Uniforms, beta: Tensor, config: Config
) -> Terms:
    """Several passes over a rollout; returns the loss's parts over all of it, afterwards.

    Args:
        policy: π, still π_old.
        v: the value function.
        optimizer: of both.
        batch: the rollout.
        shuffle: a stream of [S, B] per call.
        beta: β, [S].
        config: the hyper-parameters.
    """
    old = policy.frozen()
    near = torch.ones_like(beta, dtype=torch.bool)
    for _ in range(config.passes):
        for part in minibatches(batch, config.minibatches, shuffle):
            if config.standardised_advantages:
                part = part._replace(advantage=standardised(part.advantage, 1))
            parts = terms(policy(part.obs), old(part.obs), v, part)
            loss = parts.policy + beta * parts.kl
            loss = loss + config.value_weight * parts.value - config.entropy_weight * parts.entropy
            if config.stop_at is None:
                descend(optimizer, loss, config.max_gradient_norm)
            else:
                near &= parts.kl <= config.stop_at * config.target_kl
                with resting(optimizer, policy.parameters, ~near):
                    descend(optimizer, loss, config.max_gradient_norm)
    with torch.no_grad():
        return terms(policy(batch.obs), old(batch.obs), v, batch)


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
    beta = torch.full((env.num_seeds,), config.beta, device=trial.device)
    obs = env.reset()
    while trial.within_budget:
        rollout, obs = collect(env, policy, noise, obs, config.rollout_length)
        set_learning_rate(optimizer, config.learning_rate(trial.progress))
        parts = update(policy, v, optimizer, batch_of(rollout, v, config), shuffle, beta, config)
        trial.log(kl=parts.kl, beta=beta, value_loss=parts.value, entropy=parts.entropy)
        beta = adapted(beta, parts.kl, config.target_kl)
