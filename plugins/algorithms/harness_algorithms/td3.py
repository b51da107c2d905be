"""Twin delayed deep deterministic policy gradient (Fujimoto et al., 2018, arXiv:1802.09477).

DDPG's critic believes its own errors, which the actor seeks out. So there are two critics, and the smaller one counts:

    y = r + γ d minₖ Qₖ⁻(s′, clip(μ⁻(s′) + clip(ε, −c, c), −1, 1)),   ε from N(0, σ²)

where d = 0 if the MDP terminated, else 1. The noise ε smooths the target over similar actions; and the actor, which
climbs Q₁(s, μ(s)), and all targets wait for `policy_every` updates of the critics.

Departures from the paper: unless asked for, 100 first actions are uniform where it has 1,000 or 10,000, and batches are
of 256 transitions where it has 100; noise is correlated over time where asked for. All seeds are trained in lockstep: a
leading axis S throughout, losses [S].
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.actions import NOISES, Bounds, NoiseName, explored
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.critics import Critic, Transition, critic_loss, stacked_critic
from harness_algorithms.blocks.networks import Network, frozen, frozen_copy, polyak_update_
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Normals, Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of TD3; actions are meant as scaled to [−1, 1]."""

    discount: Fraction = 0.99  # γ, per step
    noise: NoiseName = "normal"  # of exploration: white, or correlated over time
    noise_scale: Linear = Linear(0.1, 0.1)  # the factor of that noise; until: of the budget
    target_noise_scale: float = 0.2  # σ, standard deviation of the noise on target actions
    target_noise_limit: float = 0.5  # c, of that noise
    policy_every: Count = 2  # updates of the critics per update of the actor and of all targets

    hidden: tuple[Count, ...] = (400, 300)  # units of each hidden layer, of actor and critics
    actor_learning_rate: Fraction = 1e-3  # of Adam
    critic_learning_rate: Fraction = 1e-3  # of Adam
    tau: Fraction = 0.005  # τ, per update of the targets: θ⁻ ← (1 − τ) θ⁻ + τ θ
    batch_size: Count = 256  # transitions
    replay_capacity: Count = 1_000_000  # transitions
    learning_starts: int = 100  # steps; actions are uniformly random until then
    train_every: Count = 1  # steps
    updates: Count = 1  # of the critics, every `train_every` steps


class Agent(NamedTuple):
    """What learns, its slow copies, and the optimisers."""

    actor: Network  # tanh of its outputs [S, B, A] is the action
    critic: Critic  # K = 2
    frozen_actor: Network
    frozen_critic: Critic
    actor_optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer


def smoothed(action: Tensor, noise: Tensor, config: Config) -> Tensor:
    """clip(a + clip(σ · noise, −c, c), −1, 1), [S, B, A].

    Args:
        action: a, [S, B, A].
        noise: from N(0, 1), [S, B, A].
        config: has σ and c.
    """
    limit = config.target_noise_limit
    return (action + (config.target_noise_scale * noise).clamp(-limit, limit)).clamp(-1, 1)


def target(batch: Transition, next_values: Tensor, discount: float) -> Tensor:
    """The target y = r + γ d minₖ Qₖ⁻(s′, a′), [S, B].

    Args:
        batch: the transitions, fields [S, B, ...].
        next_values: Qₖ⁻(s′, a′), [S, K, B].
        discount: γ.
    """
    return batch.reward + discount * batch.discount * next_values.amin(1)


def actor_loss(values: Tensor) -> Tensor:
    """The mean over the batch of −Q₁(s, μ(s)), [S].

    Args:
        values: Q₁(s, μ(s)), [S, B].
    """
    return -values.mean(1)


def update_critics(agent: Agent, batch: Transition, noise: Tensor, config: Config) -> Tensor:
    """One step of both critics; returns the loss before, [S]. The noise is from N(0, 1), [S, B, A]."""
    with torch.no_grad():
        next_action = smoothed(agent.frozen_actor(batch.next_obs).tanh(), noise, config)
        y = target(batch, agent.frozen_critic(batch.next_obs, next_action), config.discount)
    loss = critic_loss(agent.critic(batch.obs, batch.action), y)
    descend(agent.critic_optimizer, loss)
    return loss


def update_actor(agent: Agent, batch: Transition, config: Config) -> Tensor:
    """One step of the actor and of all targets; returns the actor's loss before, [S]."""
    with frozen(agent.critic):
        loss = actor_loss(agent.critic.first()(batch.obs, agent.actor(batch.obs).tanh())[:, 0])
        descend(agent.actor_optimizer, loss)
    polyak_update_(agent.frozen_critic, agent.critic, config.tau)
    polyak_update_(agent.frozen_actor, agent.actor, config.tau)
    return loss


def train(trial: Trial, config: Config) -> None:
    """Act with noise, store, replay; improve the actor at every other update."""
    env = trial.make_lockstep_env()
    bounds = Bounds(env.single_action_space, trial.device)
    generators, space = trial.generators("initialisation"), env.single_observation_space
    actor = stacked_network(space, config.hidden, bounds.size, generators)
    critic = stacked_critic(space, bounds.size, config.hidden, generators, members=2)
    optimizers = (
        adam(actor.parameters, config.actor_learning_rate),
        adam(critic.parameters, config.critic_learning_rate),
    )
    agent = Agent(actor, critic, frozen_copy(actor), frozen_copy(critic), *optimizers)
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.batch_size, trial.generators("batches"))
    first_actions = Uniforms(trial.generators("first actions"), env.copies, bounds.size)
    noise = NOISES[config.noise](trial.generators("policy"), env.copies, bounds.size)
    target_noise = Normals(trial.generators("target actions"), config.batch_size, bounds.size)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return actor(obs).tanh()

    trial.policy = lambda obs: bounds.scaled(act(obs))
    obs = env.reset()
    begins = torch.ones(env.num_seeds, env.copies, dtype=torch.bool, device=trial.device)
    updates = 0
    while trial.within_budget:
        learning = trial.steps >= config.learning_starts
        if learning:
            action = explored(act(obs), config.noise_scale(trial.progress) * noise(begins))
        else:
            action = 2 * first_actions().float() - 1
        step = env.step(bounds.scaled(action))
        replay.add(Transition(obs, action, step.reward, step.discount, step.next_obs))
        obs, begins = step.obs, step.ended
        if learning and trial.steps % config.train_every == 0:
            for _ in range(config.updates):
                batch = replay.sample()
                trial.log(critic_loss=update_critics(agent, batch, target_noise(), config))
                updates += 1
                if updates % config.policy_every == 0:
                    trial.log(actor_loss=update_actor(agent, batch, config))
