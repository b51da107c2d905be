"""Deep deterministic policy gradient (Lillicrap et al., 2016, arXiv:1509.02971).

A critic Q is regressed, on transitions replayed in random order, towards

    y = r + γ d Q⁻(s′, μ⁻(s′)),   d = 0 where the MDP terminated, else 1

and a deterministic actor μ climbs Q(s, μ(s)) by the chain rule through the action. Both targets, Q⁻ and μ⁻,
follow their networks slowly: θ⁻ ← (1 − τ) θ⁻ + τ θ. Noise explores.

Departures from the paper, all common since: the action enters the critic's first layer; no weight decay; the last
layers start like the others; noise is white unless asked for; the first actions are uniform. Batch normalisation, which
the paper has for numbers of different units, is left out; `scaled_observations` serves the same end where their bounds
are known. All seeds are trained in lockstep: a leading axis S throughout, losses [S].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.actions import NOISES, Bounds, NoiseName, explored, unchanged
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.critics import Critic, Transition, critic_loss, stacked_critic
from harness_algorithms.blocks.networks import Network, frozen, frozen_copy, polyak_update_
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of DDPG; actions are meant as scaled to [−1, 1]."""

    discount: Fraction = 0.99  # γ, per step
    noise: NoiseName = "normal"  # white, or correlated over time
    noise_scale: Linear = Linear(0.1, 0.1)  # σ, the factor of the noise; until: of the budget

    scaled_observations: bool = False  # to [−1, 1], from the bounds of their space, which must be finite
    hidden: tuple[Count, ...] = (400, 300)  # units of each hidden layer, of actor and critic
    actor_learning_rate: Fraction = 1e-3  # of Adam
    critic_learning_rate: Fraction = 1e-3  # of Adam
    tau: Fraction = 0.005  # τ, per update
    batch_size: Count = 256  # transitions
    replay_capacity: Count = 1_000_000  # transitions
    learning_starts: int = 100  # steps; actions are uniformly random until then
    train_every: Count = 1  # steps
    updates: Count = 1  # of actor and critic, every `train_every` steps


class Agent(NamedTuple):
    """What learns, its slow copies, and the optimisers."""

    actor: Network  # tanh of its outputs [S, B, A] is the action
    critic: Critic
    frozen_actor: Network
    frozen_critic: Critic
    actor_optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer


def target(batch: Transition, next_values: Tensor, discount: float) -> Tensor:
    """The target y = r + γ d Q⁻(s′, μ⁻(s′)), [S, B].

    Args:
        batch: the transitions, fields [S, B, ...].
        next_values: Q⁻(s′, μ⁻(s′)), [S, B].
        discount: γ.
    """
    return batch.reward + discount * batch.discount * next_values


def actor_loss(values: Tensor) -> Tensor:
    """The mean over the batch of −Q(s, μ(s)), [S].

    Args:
        values: Q(s, μ(s)), [S, B].
    """
    return -values.mean(1)


def update(agent: Agent, batch: Transition, config: Config) -> dict[str, Tensor]:
    """One step of the critic, one of the actor, one of both targets; returns the losses before, [S] each."""
    with torch.no_grad():
        next_action = agent.frozen_actor(batch.next_obs).tanh()
        y = target(batch, agent.frozen_critic(batch.next_obs, next_action)[:, 0], config.discount)
    return improve(agent, critic_loss(agent.critic(batch.obs, batch.action), y), batch.obs, config.tau)


def improve(agent: Agent, of_critic: Tensor, obs: Tensor, tau: float) -> dict[str, Tensor]:
    """One step of the critic, one of the actor, one of both targets; returns the losses before, [S] each.

    Args:
        agent: what to improve.
        of_critic: the critic's loss, [S].
        obs: where the actor climbs, [S, B, ...].
        tau: τ.
    """
    descend(agent.critic_optimizer, of_critic)
    with frozen(agent.critic):
        of_actor = actor_loss(agent.critic(obs, agent.actor(obs).tanh())[:, 0])
        descend(agent.actor_optimizer, of_actor)
    polyak_update_(agent.frozen_critic, agent.critic, tau)
    polyak_update_(agent.frozen_actor, agent.actor, tau)
    return {"critic_loss": of_critic, "actor_loss": of_actor}


def make_agent(
    space: Any,
    action_size: int,
    hidden: Sequence[int],
    learning_rates: tuple[float, float],
    generators: Sequence[torch.Generator],
) -> Agent:
    """Networks with initial parameters of each seed's own, their copies, and their optimisers.

    Args:
        space: Gymnasium's Box of one observation.
        action_size: A, numbers in one action.
        hidden: units of each hidden layer, of actor and critic.
        learning_rates: of the actor, of the critic.
        generators: one per seed.
    """
    actor = stacked_network(space, hidden, action_size, generators)
    critic = stacked_critic(space, action_size, hidden, generators)
    optimizers = (adam(each.parameters, rate) for each, rate in zip((actor, critic), learning_rates, strict=True))
    return Agent(actor, critic, frozen_copy(actor), frozen_copy(critic), *optimizers)


def train(trial: Trial, config: Config) -> None:
    """Act with noise, store, replay."""
    env = trial.make_lockstep_env()
    bounds = Bounds(env.single_action_space, trial.device)
    seen = Bounds(env.single_observation_space, trial.device).unscaled if config.scaled_observations else unchanged
    sizes, rates = (bounds.size, config.hidden), (config.actor_learning_rate, config.critic_learning_rate)
    agent = make_agent(env.single_observation_space, *sizes, rates, trial.generators("initialisation"))
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.batch_size, trial.generators("batches"))
    first_actions = Uniforms(trial.generators("first actions"), env.copies, bounds.size)
    noise = NOISES[config.noise](trial.generators("policy"), env.copies, bounds.size)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return agent.actor(obs).tanh()

    trial.policy = lambda obs: bounds.scaled(act(seen(obs)))
    obs = seen(env.reset())
    begins = torch.ones(env.num_seeds, env.copies, dtype=torch.bool, device=trial.device)
    while trial.within_budget:
        learning = trial.steps >= config.learning_starts
        if learning:
            action = explored(act(obs), config.noise_scale(trial.progress) * noise(begins))
        else:
            action = 2 * first_actions().float() - 1
        step = env.step(bounds.scaled(action))
        replay.add(Transition(obs, action, step.reward, step.discount, seen(step.next_obs)))
        obs, begins = seen(step.obs), step.ended
        if learning and trial.steps % config.train_every == 0:
            for _ in range(config.updates):
                losses = update(agent, replay.sample(), config)
            trial.log(**losses)
