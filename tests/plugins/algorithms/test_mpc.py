"""MPC: plans where it acts and where it is evaluated, tells what it simulated, and needs no more than it plans with."""

import pytest
import torch

import harness_environments
from harness.contract.trial import ContractBroken
from harness.measuring.training import run_training
from harness_algorithms import mpc
from harness_algorithms.blocks.dynamics import Fitting
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
VIEWS = ("array", "known")
SMALL = {"horizon": 4, "candidates": 20, "iterations": 2, "hidden": (8,), "learning_starts": 20, "fit_every": 20}
QUICK = Fitting(epochs=2)


def trained(environment="pendulum", budget=50, seeds=(100,), **config):
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, lockstep=True, views=VIEWS)
    run_training(trial, mpc.train, mpc.Config(**{**SMALL, "fitting": QUICK, **config}))
    return trial


def test_planning_in_the_true_model_swings_a_pendulum_up_without_learning():
    trial = trained(budget=1, model="true", optimiser="mppi", horizon=20, candidates=100)
    (first, *_) = trial.runs[0].evaluations
    assert first.step == 0
    assert first.value > -450  # the random policy's mean is −1,200


@pytest.mark.parametrize("model", ["true", "learned"])
def test_simulated_steps_are_those_of_acting_not_of_evaluating(model):
    trial = trained(model=model)
    acted = 50 if model == "true" else 30
    assert trial.runs[0].simulated == acted * 20 * 2 * 4
    assert trial.clock.planning > 0


@pytest.mark.parametrize("environment", ["pendulum", "cartpole"])
@pytest.mark.parametrize("optimiser", ["shooting", "cem", "mppi"])
def test_every_optimiser_plans_either_kind_of_action(environment, optimiser):
    trial = trained(environment, optimiser=optimiser, members=2, particles=2, gaussian=True)
    assert trial.steps == 50
    assert {name for _, name, _ in trial.runs[0].diagnostics} >= {"model_loss", "model_validation_loss"}


def test_only_who_plans_in_the_true_model_needs_the_dynamics():
    assert mpc.needs(mpc.Config()).known == ()
    assert mpc.needs(mpc.Config(model="true")).known == ("dynamics_fn",)


def test_particles_that_members_cannot_share_are_refused():
    with pytest.raises(ValueError, match="particles"):
        mpc.Config(members=2, particles=3)


def test_without_knowledge_there_is_no_planning():
    trial = local_trial(ENVIRONMENTS["pendulum"], (100,), 50, lockstep=True, views=("array",))
    with pytest.raises(ContractBroken, match="declare known"):
        run_training(trial, mpc.train, mpc.Config(**SMALL))


def test_a_model_learned_from_few_steps_is_enough_to_plan_in():
    """The point mass: −714 at random, −8.8 is the best there is."""
    fitting = Fitting(epochs=60, batch_size=64, learning_rate=3e-3)
    config = {"optimiser": "cem", "horizon": 10, "candidates": 100, "iterations": 3, "hidden": (32,)}
    for budget, lowest, highest in ((199, -1e6, -50), (200, -25, 0)):
        trial = trained("point-mass", budget, (0, 1), **config, learning_starts=200, fitting=fitting)
        scores = [[each.value for each in run.evaluations if each.step == budget] for run in trial.runs]
        assert all(lowest < score < highest for run in scores for score in run)


def test_the_model_is_fitted_to_all_that_was_seen_and_anew_every_so_many_steps(monkeypatch):
    sizes, fit = [], mpc.fit

    def counted(dynamics, obs, *rest):
        sizes.append(obs.shape[1])
        return fit(dynamics, obs, *rest)

    monkeypatch.setattr(mpc, "fit", counted)
    trained(budget=60, optimiser="shooting", fit_every=15)
    assert sizes == [20, 35, 50]


def test_a_model_never_learns_that_an_episode_begins_anew(monkeypatch):
    """The successor of an episode's last step is where it led, not where the next one begins."""
    kept, fit = [], mpc.fit
    monkeypatch.setattr(
        mpc, "fit", lambda model, *data: kept.append([x.clone() for x in data[:3]]) or fit(model, *data)
    )
    trained("cartpole", budget=120, optimiser="shooting")
    obs, _, next_obs = kept[-1]
    torch.testing.assert_close(next_obs[..., 0] - obs[..., 0], 0.02 * obs[..., 1], atol=1e-5, rtol=0)
