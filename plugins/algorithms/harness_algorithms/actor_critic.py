"""One-step actor-critic (Konda & Tsitsiklis, 2000, NIPS 12; Sutton & Barto, 2018, section 13.5).

After every single step, the error of the critic v moves both it and the actor π:

    δ = r + γ d v(s′) − v(s),    d = 0 where the MDP terminated, else 1
    v: down the gradient of δ², v(s′) held fixed;    π: up ∇ log π(a|s) δ, δ held fixed

So learning waits for no episode to end. But successive steps resemble each other, and nothing here breaks that up as
replay or many copies would: the method is known to be unstable, and is the baseline that later ones improve on.

Departures from the book: Adam for plain steps; no γᵗ on the actor's steps; no eligibility traces; an entropy bonus
where asked for. With several copies a step is the mean over them. All seeds are trained in lockstep: a leading axis S
throughout, losses averaged over copies and summed over seeds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.distributions import Categorical, DiagonalGaussian
from harness_algorithms.blocks.networks import Activation
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.policies import stochastic_policy


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of the one-step actor-critic."""

    discount: Fraction = 0.99  # γ, per step
    copies: Count = 1  # N, environments stepped together

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float | None = 0.0  # of continuous actions at the start, log σ, the same in every state; None for layers

    learning_rate: Fraction = 1e-4  # of the actor's Adam
    value_learning_rate: Fraction = 1e-3  # of the critic's Adam: the actor follows a critic that is nearly right
    entropy_weight: float = 0.0  # of H[π(·|s)], in the actor's loss


def td_error(value: Tensor, next_value: Tensor, reward: Tensor, discount: Tensor) -> Tensor:
    """δ = r + γ d v(s′) − v(s), [S, N].

    Args:
        value: v(s), [S, N].
        next_value: v(s′), [S, N]; no gradient passes through it.
        reward: r, [S, N].
        discount: γ d, [S, N].
    """
    return reward + discount * next_value.detach() - value


def actor_loss(
    distribution: Categorical | DiagonalGaussian, action: Tensor, error: Tensor, entropy_weight: float
) -> Tensor:
    """−log π(a|s) δ − c H[π(·|s)], averaged over copies; [S].

    Args:
        distribution: π(·|s), over [S, N].
        action: a as sampled, not clipped.
        error: δ, [S, N]; no gradient passes through it.
        entropy_weight: c.
    """
    gain = distribution.log_prob(action) * error.detach() + entropy_weight * distribution.entropy()
    return -gain.mean(1)


def train(trial: Trial, config: Config) -> None:
    """Act once, learn once."""
    env = trial.make_lockstep_env(config.copies)
    spaces = env.single_observation_space, env.single_action_space
    initialisation = trial.generators("initialisation")
    actor = stochastic_policy(*spaces, config.hidden, initialisation, config.activation, log_std=config.log_std)
    critic = stacked_network(spaces[0], config.hidden, 1, initialisation, config.activation)
    actor_optimizer = adam(actor.parameters, config.learning_rate)
    critic_optimizer = adam(critic.parameters, config.value_learning_rate)
    noise = actor.noise(trial.generators("policy"), config.copies)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return actor.bounded(actor(obs).mode)

    trial.policy = act
    obs = env.reset()
    while trial.within_budget:
        distribution = actor(obs)
        action = distribution.sample(noise()).detach()
        step = env.step(actor.bounded(action))
        with torch.no_grad():
            next_value = critic(step.next_obs).squeeze(2)
        error = td_error(critic(obs).squeeze(2), next_value, step.reward, config.discount * step.discount)
        descend(critic_optimizer, error.square().mean(1))
        descend(actor_optimizer, actor_loss(distribution, action, error, config.entropy_weight))
        trial.log(value_loss=error.square().mean(1))
        obs = step.obs
