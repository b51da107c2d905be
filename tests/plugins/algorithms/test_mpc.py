"""MPC: what it counts, what it learns its model from, and how well it plans without learning and soon after."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import harness_algorithms
import harness_environments
from harness.contract.specs import Needs
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness_algorithms import mpc
from harness_algorithms.blocks.dynamics import Fitting
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "mpc"]
SMALL = mpc.Config(
    optimiser="shooting",
    horizon=3,
    candidates=8,
    hidden=(8,),
    learning_starts=20,
    fit_every=15,
    fitting=Fitting(epochs=2, batch_size=8),
)
TRUE = replace(SMALL, model="true", horizon=15, candidates=300)


def planned(config, task="pendulum", seeds=(0, 1), budget=60, **told):
    trial = local_trial(ENVIRONMENTS[task], seeds, budget, lockstep=True, views=SPEC.views, **told)
    run_training(trial, mpc.train, config)
    return trial


def scores(trial):
    return [
        np.mean([episode.value for episode in run.evaluations if episode.step == trial.budget]) for run in trial.runs
    ]


def test_planning_in_the_true_model_swings_the_pendulum_up_without_learning():
    trial = planned(TRUE, budget=1, episodes=3)
    assert min(scores(trial)) > -450  # at random −1,220


def test_discrete_actions_are_planned_too():
    assert min(scores(planned(replace(TRUE, horizon=10), "cartpole", budget=1))) > 100  # at random 22


def test_a_model_learned_from_few_steps_is_enough_to_plan_in():
    """The point mass: −714 at random, −8.8 is the best there is."""
    fitting = Fitting(epochs=60, batch_size=64, learning_rate=3e-3)
    config = replace(SMALL, optimiser="cem", horizon=10, candidates=100, iterations=3, hidden=(32,), fitting=fitting)
    config = replace(config, learning_starts=200)
    assert max(scores(planned(config, "point-mass", budget=199, episodes=3))) < -100
    assert min(scores(planned(config, "point-mass", budget=200, episodes=3))) > -15


@pytest.mark.parametrize("model", ["true", "learned"])
def test_simulated_steps_are_those_of_training_and_evaluations_add_none(model):
    config, budget = replace(SMALL, model=model), 60
    for points in (1, 4):
        trial = planned(config, budget=budget, points=points)
        acted = budget if model == "true" else budget - SMALL.learning_starts
        assert {run.simulated for run in trial.runs} == {acted * SMALL.candidates * SMALL.horizon}
    assert trial.clock.planning > 0


def test_the_model_is_fitted_to_all_that_was_seen_and_anew_every_so_many_steps(monkeypatch):
    sizes, fit = [], mpc.fit

    def counted(dynamics, obs, action, next_obs, *rest):
        sizes.append(obs.shape[1])
        return fit(dynamics, obs, action, next_obs, *rest)

    monkeypatch.setattr(mpc, "fit", counted)
    planned(SMALL)
    assert sizes == [20, 35, 50]


def test_a_model_never_learns_that_an_episode_begins_anew(monkeypatch):
    """The successor of an episode's last step is where it led, not where the next one begins."""
    kept, fit = [], mpc.fit
    monkeypatch.setattr(
        mpc, "fit", lambda model, *data: kept.append([x.clone() for x in data[:3]]) or fit(model, *data)
    )
    planned(SMALL, "cartpole", budget=120)
    obs, _, next_obs = kept[-1]
    torch.testing.assert_close(next_obs[..., 0] - obs[..., 0], 0.02 * obs[..., 1], atol=1e-5, rtol=0)


def test_only_the_true_model_has_to_be_known():
    assert mpc.needs(SMALL) == Needs()
    assert mpc.needs(TRUE) == Needs(known=("dynamics_fn",))


@pytest.mark.parametrize("preset", SPEC.presets)
def test_presets_are_configurations(preset):
    config = resolve_config(mpc.Config, SPEC.presets[preset])
    assert mpc.optimiser_of(config).candidates == config.candidates
