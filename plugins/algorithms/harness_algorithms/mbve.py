"""Model-based value expansion (Feinberg et al., 2018, arXiv:1803.00101) of deep deterministic policy gradient.

A model of the dynamics, learned from the same transitions, shortens what a critic must believe of itself: from the
successor s′ of a real transition, H more steps are imagined with the slow policy μ⁻, and

    y = r + γ d (Σₜ γᵗ r̂ₜ + γᴴ Q⁻(ŝ_H, μ⁻(ŝ_H))),   t = 0 … H − 1

up to a termination, real or imagined; d = 0 where the MDP terminated, else 1. So Q is asked about states that were
imagined, and is trained on them, too (the TD-k trick): every Q(ŝₜ, μ⁻(ŝₜ)) towards the rest of the same sum. With H = 0
this is DDPG, digit for digit. Rewards and terminations are known, as in the paper; Q never trains the model.

The later an imagined step, the fewer rewards its target has. So while Q⁻ expects too much, as it does at first where
rewards are negative, μ⁻'s own actions look better than others, and μ grows sure of whatever it does.

Departures: those of our DDPG; the model is fitted every `fit_every` steps until each seed's own validation loss rises,
where the authors' program takes 4 batches per step; the loss is divided by H + 1, the number of its terms, there by H,
which Adam does not see; states after a termination weigh nothing, where that program imagines none.
All seeds are trained in lockstep: a leading axis S throughout, losses [S].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.actions import NOISES, Bounds, NoiseName, explored
from harness_algorithms.blocks.critics import Critic, Transition
from harness_algorithms.blocks.dynamics import Fitting, fit, make_dynamics
from harness_algorithms.blocks.imagination import Knowledge, imagine
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms
from harness_algorithms.ddpg import Agent, improve, make_agent


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of MBVE; actions are meant as scaled to [−1, 1]."""

    horizon: int = 3  # H, imagined steps; 0 for DDPG, without a model
    drop_tdk: bool = False  # whether the critic is trained on real states only

    discount: Fraction = 0.99  # γ, per step
    noise: NoiseName = "normal"  # white, or correlated over time
    noise_scale: Linear = Linear(0.1, 0.1)  # σ, the factor of the noise; until: of the budget

    hidden: tuple[Count, ...] = (400, 300)  # units of each hidden layer, of actor and critic
    actor_learning_rate: Fraction = 1e-3  # of Adam
    critic_learning_rate: Fraction = 1e-3  # of Adam
    tau: Fraction = 0.005  # τ, per update
    batch_size: Count = 256  # transitions
    replay_capacity: Count = 1_000_000  # transitions; the model sees as many
    learning_starts: int = 100  # steps; actions are uniformly random until then, at least two
    train_every: Count = 1  # steps
    updates: Count = 1  # of actor and critic, every `train_every` steps

    model_hidden: tuple[Count, ...] = (128, 128)  # units of each hidden layer of the model
    fit_every: Count = 250  # steps; from where the model stands
    fitting: Fitting = field(default_factory=Fitting)

    def __post_init__(self) -> None:
        if self.horizon < 0:
            raise ValueError(f"horizon: a number of steps, 0 or more, not {self.horizon}")


class World(NamedTuple):
    """Where to imagine.

    Attributes:
        model: s′ [S, 1, B, D] of (s, a), a as the environment takes it.
        known: rewards and terminations.
        scaled: the environment's action for one in [−1, 1].
    """

    model: Callable[[Tensor, Tensor], Tensor]
    known: Knowledge
    scaled: Callable[[Tensor], Tensor]


class Expansion(NamedTuple):
    """H + 1 steps in a row, the first one real, the others imagined; fields [S, H + 1, B, ...].

    Attributes:
        obs: s.
        action: a in [−1, 1].
        reward: r.
        discount: 0 where the MDP terminated with this step, else 1.
        last_obs: what comes after them, [S, B, D].
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    last_obs: Tensor

    @property
    def weight(self) -> Tensor:
        """1, or 0 for what follows a termination and so never happens, [S, H + 1, B]."""
        going_on = self.discount[:, :-1].cumprod(1)
        return torch.cat((torch.ones_like(self.discount[:, :1]), going_on), 1)


@torch.no_grad()
def expanded(batch: Transition, policy: Callable[[Tensor], Tensor], world: World, horizon: int) -> Expansion:
    """Every transition and H steps after it.

    Args:
        batch: real transitions, fields [S, B, ...].
        policy: actions in [−1, 1], [S, B, A], of observations [S, B, D].
        world: where to imagine.
        horizon: H.
    """
    real = [x.unsqueeze(1) for x in (batch.obs, batch.action, batch.reward, batch.discount)]
    if horizon == 0:
        return Expansion(*real, batch.next_obs)

    def act(obs: Tensor) -> tuple[Tensor, Tensor]:
        action = policy(obs[:, 0]).unsqueeze(1)
        return action, world.scaled(action)

    imagined = imagine(act, world.model, world.known, batch.next_obs.unsqueeze(1), horizon, math.inf)
    steps = (imagined.obs, imagined.action, imagined.reward, imagined.discount)
    both = (torch.cat((a, b.squeeze(1).movedim(2, 1)), 1) for a, b in zip(real, steps, strict=True))
    return Expansion(*both, imagined.next_obs[:, 0, :, -1])


def targets(expansion: Expansion, last_values: Tensor, discount: float) -> Tensor:
    """For every step the sum of rewards from there on and of what is believed of the last state, [S, H + 1, B].

    Args:
        expansion: the steps.
        last_values: Q⁻(ŝ_H, μ⁻(ŝ_H)), [S, B].
        discount: γ.
    """
    y, found = last_values, []
    steps = zip(expansion.reward.unbind(1), expansion.discount.unbind(1), strict=True)
    for reward, going_on in reversed(list(steps)):
        y = reward + discount * going_on * y
        found.append(y)
    return torch.stack(found[::-1], 1)


def expanded_loss(critic: Critic, expansion: Expansion, y: Tensor, drop_tdk: bool) -> Tensor:
    """The mean over steps and batch of (Q(s, a) − y)² where that happens, [S].

    Args:
        critic: Q.
        expansion: the steps.
        y: their targets, [S, H + 1, B].
        drop_tdk: whether only the real ones count.
    """
    steps = 1 if drop_tdk else y.shape[1]
    obs, action = (x[:, :steps].flatten(1, 2) for x in (expansion.obs, expansion.action))
    error = critic(obs, action)[:, 0].unflatten(1, (steps, -1)) - y[:, :steps]
    return (expansion.weight[:, :steps] * error.square()).mean(2).sum(1) / steps


def update(agent: Agent, batch: Transition, world: World, config: Config) -> dict[str, Tensor]:
    """One step of the critic, one of the actor, one of both targets; returns the losses before, [S] each."""

    def policy(obs: Tensor) -> Tensor:
        return agent.frozen_actor(obs).tanh()

    expansion = expanded(batch, policy, world, config.horizon)
    with torch.no_grad():
        last_values = agent.frozen_critic(expansion.last_obs, policy(expansion.last_obs))[:, 0]
        y = targets(expansion, last_values, config.discount)
    return improve(agent, expanded_loss(agent.critic, expansion, y, config.drop_tdk), batch.obs, config.tau)


def train(trial: Trial, config: Config) -> None:
    """Act with noise, store, fit the model now and then, replay."""
    env = trial.make_lockstep_env()
    bounds, space = Bounds(env.single_action_space, trial.device), env.single_observation_space
    rates = config.actor_learning_rate, config.critic_learning_rate
    agent = make_agent(space, bounds.size, config.hidden, rates, trial.generators("initialisation"))
    sizes = space.shape[0], bounds.size, config.model_hidden
    dynamics, shuffles = make_dynamics(*sizes, trial.generators("model")), trial.generators("fitting")
    world = World(dynamics.predict, trial.known, bounds.scaled)
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.batch_size, trial.generators("batches"))
    first_actions = Uniforms(trial.generators("first actions"), env.copies, bounds.size)
    noise = NOISES[config.noise](trial.generators("policy"), env.copies, bounds.size)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return agent.actor(obs).tanh()

    trial.policy = lambda obs: bounds.scaled(act(obs))
    obs = env.reset()
    begins = torch.ones(env.num_seeds, env.copies, dtype=torch.bool, device=trial.device)
    first = max(config.learning_starts, 2) if config.horizon else config.learning_starts
    while trial.within_budget:
        learning = trial.steps >= first
        if learning:
            action = explored(act(obs), config.noise_scale(trial.progress) * noise(begins))
        else:
            action = 2 * first_actions().float() - 1
        step = env.step(bounds.scaled(action))
        replay.add(Transition(obs, action, step.reward, step.discount, step.next_obs))
        obs, begins = step.obs, step.ended
        if config.horizon and trial.steps >= first and (trial.steps - first) % config.fit_every == 0:
            seen = replay.every()
            trial.log(**fit(dynamics, seen.obs, bounds.scaled(seen.action), seen.next_obs, shuffles, config.fitting))
        if learning and trial.steps % config.train_every == 0:
            for _ in range(config.updates):
                losses = update(agent, replay.sample(), world, config)
            trial.simulated(config.updates * config.horizon * config.batch_size)
            trial.log(**losses)
