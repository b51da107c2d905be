"""Advantage actor-critic, synchronous (A2C, after A3C: Mnih et al., 2016, arXiv:1602.01783).

N copies of the environment take T steps with one stochastic policy π. Then π and a value function v take one step
of gradient descent, together, on

    −log π(a|s) Â + c_v (G − v(s))² − c_e H[π(·|s)],    G = Σᵢ γⁱ rᵢ + γⁿ v(s′ₙ),    Â = G − v(s)

where G runs to the end of the rollout or of the episode, and the last value is left out only where the MDP terminated.

Departures from the paper: copies step together instead of asynchronously, as its authors did later; π and v share
no layers; no recurrent variant; G may be a λ-return; initial weights are orthogonal, gradients limited in norm, and the
learning rate stays as it is unless asked for. RMSProp is torch's, which divides by √E[g²] + ε and starts the
average at 0; TensorFlow's, which older code relied on, divides by √(E[g²] + ε) and starts at 1, so that its first
steps are some ten times smaller for the same learning rate. All seeds are trained in lockstep: a leading axis S
throughout, losses averaged over the batch and summed over seeds.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.networks import Activation, Network, orthogonal
from harness_algorithms.blocks.optim import descend, rmsprop, set_learning_rate
from harness_algorithms.blocks.policies import Policy, entropy_weight, stochastic_policy
from harness_algorithms.blocks.rollouts import Rollout, advantages, by_seed, collect
from harness_algorithms.blocks.schedules import Linear


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of A2C."""

    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 1.0  # λ of the returns; 1 for the published ones

    copies: Count = 16  # N, environments stepped together
    rollout_length: Count = 5  # T, steps of each copy between updates

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float = 0.0  # of continuous actions at the start, log σ; learned, the same in every state

    learning_rate: Linear = Linear(7e-4, 7e-4)  # of RMSProp
    rms_decay: float = 0.99  # per update, of RMSProp's average of squared gradients
    rms_epsilon: float = 1e-5  # added to RMSProp's root
    value_weight: float = 0.5  # c_v
    entropy_weight: float | None = None  # c_e; None for 0.01 of discrete actions and 0 of continuous ones
    max_gradient_norm: float | None = 0.5  # of each seed's gradient, over π and v; None for no limit


class Batch(NamedTuple):
    """A rollout as learning sees it; fields [S, B, ...] with B = T · N.

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
        policy: −log π(a|s) Â.
        value: (G − v(s))².
        entropy: H[π(·|s)], in nats.
    """

    policy: Tensor
    value: Tensor
    entropy: Tensor


@torch.no_grad()
def batch_of(rollout: Rollout, v: Network, config: Config) -> Batch:
    """The rollout with its advantages and returns, which no gradient passes through."""
    advantage, value = advantages(rollout, v, config.discount, config.lambda_)
    return Batch(by_seed(rollout.obs), by_seed(rollout.action), advantage, advantage + value)


def terms(policy: Policy, v: Network, batch: Batch) -> Terms:
    """What the loss is made of."""
    distribution = policy(batch.obs)
    return Terms(
        policy=-(distribution.log_prob(batch.action) * batch.advantage).mean(1),
        value=(batch.target - v(batch.obs).squeeze(2)).square().mean(1),
        entropy=distribution.entropy().mean(1),
    )


def update(policy: Policy, v: Network, optimizer: torch.optim.Optimizer, batch: Batch, config: Config) -> Terms:
    """One step of π and v down the gradient of the loss; returns its parts before."""
    parts = terms(policy, v, batch)
    bonus = entropy_weight(config.entropy_weight, policy) * parts.entropy
    loss = parts.policy + config.value_weight * parts.value - bonus
    descend(optimizer, loss, config.max_gradient_norm)
    return Terms._make(part.detach() for part in parts)


def train(trial: Trial, config: Config) -> None:
    """Act for a few steps in all copies; learn from them once; forget them."""
    env = trial.make_lockstep_env(config.copies)
    spaces = env.single_observation_space, env.single_action_space
    initialisation = trial.generators("initialisation")
    policy = stochastic_policy(
        *spaces, config.hidden, initialisation, config.activation, orthogonal(0.01), config.log_std
    )
    v = stacked_network(spaces[0], config.hidden, 1, initialisation, config.activation, orthogonal(1.0))
    optimizer = rmsprop(
        [*policy.parameters, *v.parameters], config.learning_rate.start, config.rms_decay, config.rms_epsilon
    )
    noise = policy.noise(trial.generators("policy"), config.copies)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return policy.bounded(policy(obs).mode)

    trial.policy = act
    obs = env.reset()
    while trial.within_budget:
        rollout, obs = collect(env, policy, noise, obs, config.rollout_length)
        set_learning_rate(optimizer, config.learning_rate(trial.progress))
        parts = update(policy, v, optimizer, batch_of(rollout, v, config), config)
        trial.log(policy_loss=parts.policy, value_loss=parts.value, entropy=parts.entropy)
