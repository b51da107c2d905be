"""Model-predictive control in the true model or a learned one, as in PETS (Chua et al., 2018, arXiv:1805.12114).

At every step a sequence of H actions is sought that earns the most in a model, of states s′ from (s, a) and the
environment's own rewards and ends:

    maximise over a₀ … a_{H−1}  Σₜ r(sₜ, aₜ, sₜ₊₁),   s₀ the present state, up to the end of the MDP

and a₀ is taken. A learned model is an ensemble of networks, fitted again and again on everything seen; the first
actions are uniform. With particles, every sequence is followed by several of them, each member moving its share: with
Gaussian members that is PETS.

Departures from PETS: the ensemble is fitted every `fit_every` steps, since episodes of seeds in lockstep end at
different times; each member stops fitting by itself.
All seeds are trained in lockstep: a leading axis S throughout.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Needs, Trial
from harness_algorithms.blocks.dynamics import Dynamics, Fitting, fit, make_dynamics
from harness_algorithms.blocks.networks import Activation
from harness_algorithms.blocks.planning import (
    CEM,
    MPPI,
    Actions,
    Draw,
    Optimiser,
    Planner,
    Shooting,
    Task,
    actions_of,
    trajectory_sampling,
)
from harness_algorithms.blocks.replay import Storage


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of MPC."""

    model: Literal["true", "learned"] = "learned"  # where to plan
    optimiser: Literal["shooting", "cem", "mppi"] = "cem"
    horizon: Count = 15  # H, steps
    candidates: Count = 350  # P, sequences tried at once
    particles: Count = 1  # courses of each; a multiple of the members
    iterations: Count = 5  # of cem and mppi, P sequences each
    elite: Fraction = 0.1  # of cem: the share of candidates that the next are drawn like
    momentum: Fraction = 0.1  # α of cem
    deviation: float = 0.5  # of cem's first candidates and of mppi's noise; actions are in [−1, 1]
    temperature: float = 1.0  # λ of mppi, in units of returns

    members: Count = 1  # K, networks of a learned model
    gaussian: bool = False  # whether they predict deviations, too
    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer
    activation: Activation = "relu"  # between layers
    fitting: Fitting = field(default_factory=Fitting)
    learning_starts: Count = 200  # steps; actions are uniformly random until then, at least two
    fit_every: Count = 50  # steps

    def __post_init__(self) -> None:
        """Refuse particles that members cannot share evenly."""
        if self.model == "learned" and self.particles % self.members:
            raise ValueError(f"particles must be a multiple of members, {self.members}, not {self.particles}")


class Seen(NamedTuple):
    """What a model is learned from; fields [S, N, ...].

    Attributes:
        obs: s.
        action: what networks see of a.
        next_obs: s′, before any reset.
    """

    obs: Tensor
    action: Tensor
    next_obs: Tensor


def needs(config: Config) -> Needs:
    """Only who plans in the true model has to know it."""
    return Needs(known=("dynamics_fn",) if config.model == "true" else ())


def optimiser_of(config: Config) -> Optimiser:
    """How to plan."""
    if config.optimiser == "shooting":
        return Shooting(config.candidates)
    if config.optimiser == "cem":
        return CEM(config.candidates, config.iterations, config.elite, config.momentum, config.deviation)
    return MPPI(config.candidates, config.iterations, config.deviation, config.temperature)


def task_of(trial: Trial, dynamics: Dynamics | None, actions: Actions, config: Config) -> Task:
    """What to plan in: the true model where there is no learned one."""
    known = trial.known
    model = (
        known.dynamics_fn if dynamics is None else trajectory_sampling(dynamics, actions, trial.generators("particles"))
    )
    return Task(model, known.reward_fn, known.termination_fn, actions, config.particles)


def ensemble(trial: Trial, space: Any, actions: Actions, config: Config) -> Dynamics:
    """An ensemble that has seen nothing."""
    shape = space.shape[0], actions.size, config.hidden
    how = config.members, config.gaussian, False, config.activation
    return make_dynamics(*shape, trial.generators("initialisation"), *how)


def train(trial: Trial, config: Config) -> None:
    """Plan, act, store; fit the model now and then."""
    env = trial.make_lockstep_env()
    actions = actions_of(env.single_action_space, trial.device)
    learned = config.model == "learned"
    dynamics = ensemble(trial, env.single_observation_space, actions, config) if learned else None
    seen, shuffle = Storage(Seen, trial.budget), trial.generators("batches")
    draw = Draw(trial.generators("planning"), config.candidates)
    plan = task_of(trial, dynamics, actions, config), optimiser_of(config), config.horizon, draw
    planner = Planner(trial, *plan)
    first_actions = Draw(trial.generators("first actions"), 1)
    unplanned = torch.zeros(1, env.num_seeds, env.copies, actions.size, device=trial.device)

    trial.policy = Planner(trial, *plan)
    obs = env.reset()
    planner.reset(torch.ones(obs.shape[:2], dtype=torch.bool, device=trial.device))
    while trial.within_budget:
        acting = dynamics is None or trial.steps >= config.learning_starts
        action = planner.act(obs) if acting else actions.scaled(first_actions.uniform(unplanned)[0, ..., 0])
        step = env.step(action)
        planner.reset(step.ended)
        if dynamics is not None:
            seen.add(Seen(obs, actions.features(action), step.next_obs))
            if trial.steps >= config.learning_starts and (trial.steps - config.learning_starts) % config.fit_every == 0:
                trial.log(**fit(dynamics, *seen.every(), shuffle, config.fitting))
        obs = step.obs
