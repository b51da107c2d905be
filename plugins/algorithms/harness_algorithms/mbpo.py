"""Model-based policy optimisation (Janner et al., 2019, arXiv:1906.08253): SAC on short rollouts in learned models.

Now and then an ensemble of Gaussian models is fitted to all real transitions. From states drawn from them, the current
policy is followed for k imagined steps, so that errors of the models have no time to add up:

    s₀ from the real replay,  aₜ from π(·|sₜ),  sₜ₊₁ from a member drawn anew with every step,  t = 0 … k − 1

Of the members, only elites are asked: those whose validation loss is least. SAC then learns from batches of which a
small share is real and the rest imagined, by many updates per real step. With a real share of 1 this is SAC, digit for
digit, without a model.

Departures: rewards are known, as terminations are in the paper, too, since the harness states both for what it can
plan in, and so for all its planners alike; the paper's models predict rewards with the successors. Every member holds
out transitions of its own, has activations of ReLU without weight decay, and stops by its rolling validation loss. Of
every batch of imagined steps, each elite takes the same number. States are drawn, and rollouts made, after every fit,
as by the authors' program, where the paper's algorithm does it with every step.
All seeds are trained in lockstep: a leading axis S throughout, losses [S].
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.actions import Bounds
from harness_algorithms.blocks.critics import Transition
from harness_algorithms.blocks.distributions import TanhGaussian
from harness_algorithms.blocks.dynamics import Dynamics, Fitting, fit, make_dynamics
from harness_algorithms.blocks.imagination import Imagined, Knowledge, imagine
from harness_algorithms.blocks.networks import polyak_update_
from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.schedules import Length
from harness_algorithms.blocks.streams import Normals, Uniforms
from harness_algorithms.sac import make_agent, policy, update


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of MBPO; actions are meant as scaled to [−1, 1]."""

    models: Count = 7  # K
    elites: Count = 5  # of them, those that are asked
    model_hidden: tuple[Count, ...] = (200, 200, 200, 200)  # units of each hidden layer of a model
    fit_every: Count = 250  # steps; from where the models stand
    fitting: Fitting = field(default_factory=lambda: Fitting(bootstrap=True))
    rollouts: Count = 20_000  # of each elite, after every fit
    length: Length = field(default_factory=Length)  # k, imagined steps of a rollout
    retained: Count = 4  # fits, what was imagined before them is forgotten
    real_share: Fraction = 0.05  # of a batch; 1 for SAC, without models

    discount: Fraction = 0.99  # γ, per step
    temperature: float = 1.0  # α at the start
    temperature_learning_rate: Fraction = 3e-4  # of Adam; 0 keeps α
    target_entropy: float | None = None  # H̄, in nats; None for −A, one nat less per number in an action

    hidden: tuple[Count, ...] = (256, 256)  # units of each hidden layer, of actor and critics
    actor_learning_rate: Fraction = 3e-4  # of Adam
    critic_learning_rate: Fraction = 3e-4  # of Adam
    tau: Fraction = 0.005  # τ, per update of the targets: θ⁻ ← (1 − τ) θ⁻ + τ θ
    batch_size: Count = 256  # transitions, real and imagined
    replay_capacity: Count = 1_000_000  # real transitions; the models see as many
    learning_starts: int = 5_000  # steps; actions are uniformly random until then, at least two with models
    train_every: Count = 1  # steps
    updates: Count = 20  # of everything, every `train_every` steps
    target_every: Count = 1  # updates

    def __post_init__(self) -> None:
        if self.elites > self.models:
            raise ValueError(f"elites: at most {self.models}, the number of models, not {self.elites}")

    @property
    def real(self) -> int:
        """Real transitions in a batch."""
        return round(self.real_share * self.batch_size)


class Dreams:
    """What was imagined after the last few fits; a step after a termination never happened, and is never sampled.

    Args:
        generations: fits after which something is forgotten.
        batch_size: B, steps per seed in a sample.
        generators: one per seed; nothing else may draw from them.
    """

    def __init__(self, generations: int, batch_size: int, generators: Sequence[torch.Generator]) -> None:
        self._kept: deque[tuple[Transition, Tensor]] = deque(maxlen=generations)
        self._uniforms = Uniforms(generators, batch_size)

    def add(self, imagined: Imagined) -> None:
        """Keep all steps of a generation, which may forget the oldest."""
        flat = Imagined._make(x.flatten(1, 3) for x in imagined)
        step = Transition(flat.obs, flat.action, flat.reward, flat.discount, flat.next_obs)
        self._kept.append((step, flat.alive))
        self._steps = Transition._make(torch.cat(column, 1) for column in zip(*(s for s, _ in self._kept), strict=True))
        alive = torch.cat([happened for _, happened in self._kept], 1)
        self._happened = alive.byte().argsort(stable=True, dim=1, descending=True)  # those that did come first
        self._count = alive.sum(1, keepdim=True)

    def sample(self) -> Transition:
        """B steps of every seed, fields [S, B, ...], uniformly with replacement."""
        slots = self._happened.gather(1, (self._uniforms() * self._count).long())
        return Transition._make(_taken(x, slots) for x in self._steps)


def _taken(x: Tensor, slots: Tensor) -> Tensor:
    """Rows ``slots`` [S, B] of x [S, N, ...], each seed's of its own."""
    rows = slots + torch.arange(len(x), device=x.device).unsqueeze(1) * x.shape[1]
    return x.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, slots.shape)


class Chance(NamedTuple):
    """What is random in rollouts of E elites, R of each: streams of their own, [S, ...] per call."""

    starts: Uniforms  # [S, E·R], which real states
    orders: Uniforms  # [S, E·R], which elite goes on with which rollout
    actions: Normals  # [S, E·R, A]
    successors: Normals  # [S, E, R, D]


def chance_of(trial: Trial, config: Config, obs_size: int, action_size: int) -> Chance:
    """The streams of a trial, for observations and actions of so many numbers."""
    rollouts = config.elites * config.rollouts
    return Chance(
        Uniforms(trial.generators("imagined starts"), rollouts),
        Uniforms(trial.generators("elites"), rollouts),
        Normals(trial.generators("imagined actions"), rollouts, action_size),
        Normals(trial.generators("imagined successors"), config.elites, config.rollouts, obs_size),
    )


def shuffled(elites: Dynamics, chance: Chance) -> Callable[[Tensor, Tensor], Tensor]:
    """A model that gives every transition to a random elite, the same number to each: s′ [S, E, R, D] of (s, a)."""

    def model(obs: Tensor, action: Tensor) -> Tensor:
        order = chance.orders().argsort(1)
        given = (_taken(x.flatten(1, 2), order).unflatten(1, obs.shape[1:3]) for x in (obs, action))
        successors = elites.sample(*given, chance.successors()).flatten(1, 2)
        return _taken(successors, order.argsort(1)).unflatten(1, obs.shape[1:3])

    return model


def branched(
    elites: Dynamics,
    pi: Callable[[Tensor], TanhGaussian],
    known: Knowledge,
    scaled: Callable[[Tensor], Tensor],
    real_obs: Tensor,
    length: int,
    chance: Chance,
) -> Imagined:
    """Rollouts of the policy from real states, [S, E, R, k, ...]; actions are in [−1, 1].

    Args:
        elites: E models.
        pi: the policy at observations [S, B, D].
        known: rewards and terminations.
        scaled: the environment's action for one in [−1, 1].
        real_obs: all real states to begin from, [S, M, D].
        length: k.
        chance: what is random.
    """

    def act(obs: Tensor) -> tuple[Tensor, Tensor]:
        action = pi(obs.flatten(1, 2)).sample(chance.actions()).unflatten(1, obs.shape[1:3])
        return action, scaled(action)

    starts = _taken(real_obs, (chance.starts() * real_obs.shape[1]).long())
    starts = starts.unflatten(1, (elites.members, -1))
    return imagine(act, shuffled(elites, chance), known, starts, length, math.inf)


def train(trial: Trial, config: Config) -> None:
    """Act by sampling, store, fit and imagine now and then, replay both kinds of steps."""
    env = trial.make_lockstep_env()
    bounds, space = Bounds(env.single_action_space, trial.device), env.single_observation_space
    rates = config.actor_learning_rate, config.critic_learning_rate, config.temperature_learning_rate
    initialisation = trial.generators("initialisation")
    agent = make_agent(space, bounds.size, config.hidden, config.temperature, rates, initialisation)
    target_entropy = -float(bounds.size) if config.target_entropy is None else config.target_entropy
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = Replay(Transition, capacity, config.real, trial.generators("batches"))
    first_actions = Uniforms(trial.generators("first actions"), env.copies, bounds.size)
    noise = Normals(trial.generators("policy"), env.copies, bounds.size)
    noise_of_batches = Normals(trial.generators("replayed actions"), 2, config.batch_size, bounds.size)

    imagining = config.real < config.batch_size
    sizes = space.shape[0], bounds.size, config.model_hidden
    models = make_dynamics(*sizes, trial.generators("models"), config.models, gaussian=True)
    shuffles, chance = trial.generators("fitting"), chance_of(trial, config, *sizes[:2])
    dreams = Dreams(config.retained, config.batch_size - config.real, trial.generators("imagined batches"))

    @torch.no_grad()
    def pi(obs: Tensor) -> TanhGaussian:
        return policy(agent.actor(obs))

    def model_anew() -> None:
        seen, length = replay.every(), config.length(trial.steps)
        fitted = fit(models, seen.obs, bounds.scaled(seen.action), seen.next_obs, shuffles, config.fitting)
        elites = models.best(config.elites)
        imagined = branched(elites, pi, trial.known, bounds.scaled, seen.obs, length, chance)
        trial.simulated(imagined.steps)
        dreams.add(imagined)
        trial.log(**fitted, rollout_length=length, elite_validation_loss=elites.validation_loss.mean(1))

    def batch() -> Transition:
        if not imagining:
            return replay.sample()
        both = zip(replay.sample(), dreams.sample(), strict=True)
        return Transition._make(torch.cat(pair, 1) for pair in both)

    trial.policy = lambda obs: bounds.scaled(pi(obs).mode)
    obs, updates = env.reset(), 0
    first = max(config.learning_starts, 2) if imagining else config.learning_starts
    while trial.within_budget:
        learning = trial.steps >= first
        action = pi(obs).sample(noise()) if learning else 2 * first_actions().float() - 1
        step = env.step(bounds.scaled(action))
        replay.add(Transition(obs, action, step.reward, step.discount, step.next_obs))
        obs = step.obs
        if imagining and trial.steps >= first and (trial.steps - first) % config.fit_every == 0:
            model_anew()
        if learning and trial.steps % config.train_every == 0:
            for _ in range(config.updates):
                losses = update(agent, batch(), noise_of_batches().unbind(1), target_entropy, config.discount)
                updates += 1
                if updates % config.target_every == 0:
                    polyak_update_(agent.frozen_critic, agent.critic, config.tau)
            trial.log(**losses)
