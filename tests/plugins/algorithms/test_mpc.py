"""MPC: plans where it acts and where it is evaluated, tells what it simulated, and needs no more than it plans with."""

import pytest

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
