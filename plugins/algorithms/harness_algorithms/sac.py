"""Soft actor-critic (Haarnoja et al., 2018, arXiv:1801.01290), with a learned temperature (arXiv:1812.05905).

The return to maximise includes α times the entropy of the policy. Two critics are regressed, on transitions replayed
in random order, towards

    y = r + γ d (minₖ Qₖ⁻(s′, a′) − α log π(a′|s′)),   a′ from π(·|s′), the current policy

where d = 0 if the MDP terminated, else 1, and Qₖ⁻ follows Qₖ slowly. The policy, a Gaussian squashed by tanh,
minimises E[α log π(a|s) − minₖ Qₖ(s, a)], differentiated through its sample a; α minimises E[−log α (log π(a|s) + H̄)],
so it falls while the entropy is above H̄.

Departures from the paper: none of 1812.05905 but that log α replaces α in its loss and that the first actions are
uniform, both as in the authors' program.
All seeds are trained in lockstep: a leading axis S throughout, losses [S].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.actions import Bounds
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.critics import Critic, Transition, critic_loss, stacked_critic
from harness_algorithms.blocks.distributions import TanhGaussian
from harness_algorithms.blocks.networks import Network, frozen, frozen_copy, polyak_update_
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.streams import Normals, Uniforms

LOG_STD = (-20.0, 2.0)  # limits of the logarithm of the Gaussian's standard deviation


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of SAC; actions are meant as scaled to [−1, 1]."""

    discount: Fraction = 0.99  # γ, per step
    temperature: float = 1.0  # α at the start
    temperature_learning_rate: Fraction = 3e-4  # of Adam; 0 keeps α
    target_entropy: float | None = None  # H̄, in nats; None for −A, one nat less per number in an action

    hidden: tuple[Count, ...] = (256, 256)  # units of each hidden layer, of actor and critics
    actor_learning_rate: Fraction = 3e-4  # of Adam
    critic_learning_rate: Fraction = 3e-4  # of Adam
    tau: Fraction = 0.005  # τ, per update of the targets: θ⁻ ← (1 − τ) θ⁻ + τ θ
    batch_size: Count = 256  # transitions
    replay_capacity: Count = 1_000_000  # transitions
    learning_starts: int = 100  # steps; actions are uniformly random until then
    train_every: Count = 1  # steps
    updates: Count = 1  # of everything, every `train_every` steps
    target_every: Count = 1  # updates


class Agent(NamedTuple):
    """What learns, the slow copy of the critics, and the optimisers."""

    actor: Network  # its outputs [S, B, 2·A] are the mean and the log-deviation of the Gaussian
    critic: Critic  # K = 2
    frozen_critic: Critic
    log_temperature: Tensor  # log α, [S]
    actor_optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer
    temperature_optimizer: torch.optim.Optimizer


def policy(outputs: Tensor) -> TanhGaussian:
    """π(·|s) over actions in [−1, 1].

    Args:
        outputs: of the actor at s, [S, B, 2·A].
    """
    mean, log_std = outputs.chunk(2, 2)
    one = outputs.new_ones(())
    return TanhGaussian(mean, log_std.clamp(*LOG_STD), -one, one)


def target(
    batch: Transition, next_values: Tensor, next_log_prob: Tensor, temperature: Tensor, discount: float
) -> Tensor:
    """The target y = r + γ d (minₖ Qₖ⁻(s′, a′) − α log π(a′|s′)), [S, B].

    Args:
        batch: the transitions, fields [S, B, ...].
        next_values: Qₖ⁻(s′, a′), [S, K, B].
        next_log_prob: log π(a′|s′), [S, B].
        temperature: α, [S].
        discount: γ.
    """
    soft_value = next_values.amin(1) - temperature.unsqueeze(1) * next_log_prob
    return batch.reward + discount * batch.discount * soft_value


def actor_loss(values: Tensor, log_prob: Tensor, temperature: Tensor) -> Tensor:
    """The mean over the batch of α log π(a|s) − minₖ Qₖ(s, a), [S].

    Args:
        values: Qₖ(s, a), [S, K, B].
        log_prob: log π(a|s), [S, B].
        temperature: α, [S], a constant here.
    """
    return (temperature.unsqueeze(1) * log_prob - values.amin(1)).mean(1)


def temperature_loss(log_temperature: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """The mean over the batch of −log α (log π(a|s) + H̄), [S].

    Args:
        log_temperature: log α, [S].
        log_prob: log π(a|s), [S, B], a constant here.
        target_entropy: H̄.
    """
    return -log_temperature * (log_prob.detach().mean(1) + target_entropy)


def update(
    agent: Agent, batch: Transition, noise: tuple[Tensor, Tensor], target_entropy: float, discount: float
) -> dict[str, Tensor]:
    """One step of the temperature, of the critics and of the actor; returns what to log, [S] each.

    Args:
        agent: what to improve.
        batch: transitions, fields [S, B, ...].
        noise: from N(0, 1), [S, B, A] each, for the actions at s and at s′.
        target_entropy: H̄.
        discount: γ.
    """
    action, log_prob = policy(agent.actor(batch.obs)).rsample_with_log_prob(noise[0])
    temperature = agent.log_temperature.detach().exp()
    descend(agent.temperature_optimizer, temperature_loss(agent.log_temperature, log_prob, target_entropy))
    with torch.no_grad():
        next_action, next_log_prob = policy(agent.actor(batch.next_obs)).rsample_with_log_prob(noise[1])
        next_values = agent.frozen_critic(batch.next_obs, next_action)
        y = target(batch, next_values, next_log_prob, temperature, discount)
    of_critic = critic_loss(agent.critic(batch.obs, batch.action), y) / 2
    descend(agent.critic_optimizer, of_critic)
    with frozen(agent.critic):
        of_actor = actor_loss(agent.critic(batch.obs, action), log_prob, temperature)
        descend(agent.actor_optimizer, of_actor)
    return {"critic_loss": of_critic, "actor_loss": of_actor, "temperature": temperature}


def make_agent(
    space: Any,
    action_size: int,
    hidden: Sequence[int],
    temperature: float,
    learning_rates: tuple[float, float, float],
    generators: Sequence[torch.Generator],
) -> Agent:
    """Networks with initial parameters of each seed's own, and their optimisers.

    Args:
        space: Gymnasium's Box of one observation.
        action_size: A, numbers in one action.
        hidden: units of each hidden layer, of actor and critics.
        temperature: α at the start.
        learning_rates: of the actor, of the critics, of the temperature.
        generators: one per seed.
    """
    actor = stacked_network(space, hidden, 2 * action_size, generators)
    critic = stacked_critic(space, action_size, hidden, generators, members=2)
    log_temperature = torch.full((len(generators),), math.log(temperature), device=generators[0].device)
    learning = actor.parameters, critic.parameters, [log_temperature.requires_grad_()]
    optimizers = (adam(each, rate) for each, rate in zip(learning, learning_rates, strict=True))
    return Agent(actor, critic, frozen_copy(critic), log_temperature, *optimizers)


def train(trial: Trial, config: Config) -> None:
    """Act by sampling, store, replay."""
    env = trial.make_lockstep_env()
    bounds = Bounds(env.single_action_space, trial.device)
    rates = config.actor_learning_rate, config.critic_learning_rate, config.temperature_learning_rate
    sizes, initialisation = (bounds.size, config.hidden), trial.generators("initialisation")
    agent = make_agent(env.single_observation_space, *sizes, config.temperature, rates, initialisation)
    target_entropy = -float(bounds.size) if config.target_entropy is None else config.target_entropy
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.batch_size, trial.generators("batches"))
    first_actions = Uniforms(trial.generators("first actions"), env.copies, bounds.size)
    noise = Normals(trial.generators("policy"), env.copies, bounds.size)
    noise_of_batches = Normals(trial.generators("replayed actions"), 2, config.batch_size, bounds.size)

    @torch.no_grad()
    def pi(obs: Tensor) -> TanhGaussian:
        return policy(agent.actor(obs))

    trial.policy = lambda obs: bounds.scaled(pi(obs).mode)
    obs = env.reset()
    updates = 0
    while trial.within_budget:
        learning = trial.steps >= config.learning_starts
        action = pi(obs).sample(noise()) if learning else 2 * first_actions().float() - 1
        step = env.step(bounds.scaled(action))
        replay.add(Transition(obs, action, step.reward, step.discount, step.next_obs))
        obs = step.obs
        if learning and trial.steps % config.train_every == 0:
            for _ in range(config.updates):
                noises = noise_of_batches().unbind(1)
                losses = update(agent, replay.sample(), noises, target_entropy, config.discount)
                updates += 1
                if updates % config.target_every == 0:
                    polyak_update_(agent.frozen_critic, agent.critic, config.tau)
            trial.log(**losses)
