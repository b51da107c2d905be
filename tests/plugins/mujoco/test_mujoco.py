"""MuJoCo's tasks: what a planner is told of them is what they do."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("mujoco", reason="MuJoCo is no part of the set-up")
harness_mujoco = pytest.importorskip("harness_mujoco", reason="harness-mujoco is no part of the set-up")

from harness.conformance import views  # noqa: E402, because of what may be skipped
from harness.conformance.check import CheckFailed  # noqa: E402
from harness.measuring.environments import make  # noqa: E402
from harness_mujoco.known import inverted_pendulum, reacher  # noqa: E402

SPECS = {spec.name: spec for spec in harness_mujoco.harness_environments()}
TOLD = {
    "inverted-pendulum": ["reward_fn", "termination_fn"],
    "reacher": ["reward_fn", "termination_fn"],
    "half-cheetah": ["termination_fn"],
    "half-cheetah-position": ["reward_fn", "termination_fn"],
}


def test_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, harness_mujoco as e; list(e.harness_environments()); "
        "print([m for m in ('mujoco', 'gymnasium', 'numpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", SPECS)
def test_random_scores_lie_below_the_reference(name):
    assert SPECS[name].random_score.value < SPECS[name].threshold <= SPECS[name].reference_score.value


@pytest.mark.parametrize("name", SPECS)
def test_rewards_and_ends_are_known_and_no_dynamics(name):
    known = importlib.import_module(SPECS[name].known)
    functions = ("reward_fn", "termination_fn", "initial_fn", "dynamics_fn")
    assert [function for function in functions if hasattr(known, function)] == TOLD[name]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "inverted-pendulum")) for name in SPECS]
)
def test_what_is_known_holds_in_100_000_random_transitions(name):
    views.require_true_knowledge(SPECS[name])


def test_reacher_is_paid_for_the_distance_that_it_reaches(monkeypatch):
    """Version 4 paid for the distance before the step, which the check would find."""
    monkeypatch.setattr(views, "TRANSITIONS", 2_000)
    told = reacher.reward_fn
    monkeypatch.setattr(reacher, "reward_fn", lambda obs, action, next_obs: told(obs, action, obs))
    with pytest.raises(CheckFailed, match="reward_fn is wrong"):
        views.require_true_knowledge(SPECS["reacher"])


def test_the_pole_fails_beyond_a_fifth_of_a_radian_or_where_a_number_is_lost():
    obs = torch.zeros(4, 4)
    next_obs = torch.tensor([[9.0, 0.19, 0, 0], [0, 0.21, 0, 0], [0, -0.21, 0, 0], [0, 0, np.nan, 0]])
    assert inverted_pendulum.termination_fn(obs, torch.zeros(4, 1), next_obs).tolist() == [False, True, True, True]
    assert inverted_pendulum.reward_fn(obs, torch.zeros(4, 1), next_obs).tolist() == [1, 0, 0, 0]


def test_the_cheetah_is_paid_for_how_far_it_comes_and_not_for_where_it_is():
    env = make(SPECS["half-cheetah-position"])
    obs, _ = env.reset(seed=3)
    known = importlib.import_module(SPECS["half-cheetah-position"].known)
    action = np.full(6, 0.3, np.float32)
    next_obs, reward, *_ = env.step(action)
    shift = np.eye(18)[0] * 5
    rows = [torch.from_numpy(row) for row in (obs + shift, action, next_obs + shift)]
    assert float(known.reward_fn(*rows)) == pytest.approx(float(reward), abs=1e-5)
