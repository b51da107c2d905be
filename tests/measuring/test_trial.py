import math
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from harness.contract.trial import BudgetExhausted, ContractBroken
from harness.measuring.records import Diverged
from harness.measuring.training import run_training
from harness.measuring.trial import LOGGED_POINTS
from support.measuring import (
    LADDER,
    MODES,
    Ladder,
    act,
    act_lockstep,
    native,
    train_lockstep,
    train_single,
    train_vector,
    trained,
)
from support.trial import local_trial


def run(train, environment=LADDER, **settings):
    trial = local_trial(environment, **settings)
    return trial, lambda: run_training(trial, train, None)


def steps_forever(trial):
    """What a library does that was told to learn for ever."""
    env = trial.make_env()
    trial.policy = act
    while True:
        env.reset()
        while not any(env.step(0)[2:4]):
            pass


# The end of the budget


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("budget", [1, 7, 50])
def test_a_sync_vector_uses_the_budget_exactly(mode, budget):
    assert trained(train_vector(3, "sync", mode), budget=budget).steps == budget


def test_a_library_that_learns_for_ever_ends_at_the_budget():
    trial = trained(lambda trial, config: steps_forever(trial), budget=25)
    assert trial.steps == 25
    assert trial.runs[0].evaluations[-1].step == 25


class LibraryError(Exception):
    pass


def explicit(trial):
    try:
        steps_forever(trial)
    except Exception as error:
        raise LibraryError from error


def implicit(trial):
    try:
        steps_forever(trial)
    finally:
        raise LibraryError


def silent(trial):
    try:
        steps_forever(trial)
    except Exception:
        raise LibraryError from None


def unrelated_cause(trial):
    try:
        steps_forever(trial)
    except Exception:
        raise LibraryError from ValueError("while cleaning up")


def twice(trial):
    try:
        explicit(trial)
    except LibraryError as error:
        raise RuntimeError("worker died") from error


def swallowed(trial):
    try:
        steps_forever(trial)
    except Exception:
        return


@pytest.mark.parametrize("library", [explicit, implicit, silent, unrelated_cause, twice, swallowed])
def test_the_end_of_the_budget_is_known_through_what_libraries_make_of_it(library):
    trial = trained(lambda trial, config: library(trial), budget=25, points=2)
    assert trial.steps == 25
    assert [e.step for e in trial.runs[0].evaluations] == [0, 12, 25]


def test_an_error_of_its_own_after_the_budget_is_an_error():
    def train(trial, config):
        swallowed(trial)
        raise LibraryError

    with pytest.raises(LibraryError):
        run(train, budget=25)[1]()


def test_an_error_before_the_end_is_an_error():
    def train(trial, config):
        trial.make_env()
        raise LibraryError

    with pytest.raises(LibraryError):
        run(train, budget=25)[1]()


# What breaks the contract


@pytest.mark.parametrize("steps", [0, 1, 24])
def test_returning_early_breaks_the_contract(steps):
    def train(trial, config):
        env = trial.make_env()
        trial.policy = act
        env.reset()
        while trial.steps < steps:
            if any(env.step(0)[2:4]):
                env.reset()

    with pytest.raises(ContractBroken, match=f"returned after {steps} of 25 steps"):
        run(train, budget=25)[1]()


def test_a_native_vector_may_leave_fewer_steps_than_copies():
    trial = trained(train_vector(4, "native", "same_step"), native("same_step"), budget=26)
    assert trial.steps == 24


def test_never_setting_a_policy_breaks_the_contract():
    with pytest.raises(ContractBroken, match=r"without setting trial\.policy"):
        run(lambda trial, config: None, budget=25)[1]()


@pytest.mark.parametrize("budget", [1, 25])
def test_stepping_before_a_policy_is_set_breaks_the_contract(budget):
    def train(trial, config):
        env = trial.make_env()
        env.reset()
        env.step(0)
        trial.policy = act
        steps_forever(trial)

    trial, training = run(train, budget=budget)
    with pytest.raises(ContractBroken, match="set it before the first step"):
        training()
    assert not trial.runs[0].evaluations


def test_reading_a_policy_that_was_not_set_breaks_the_contract():
    with pytest.raises(ContractBroken, match="not set"):
        _ = local_trial(LADDER).policy


def test_only_the_first_setting_of_the_policy_evaluates():
    trial = local_trial(LADDER, budget=25, episodes=2)
    trial.policy = act
    trial.policy = lambda obs: act(obs)
    assert len(trial.runs[0].evaluations) == 2


# Divergence


class Broken(Ladder):
    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, math.nan if action == 1 else reward, *rest


gymnasium.register("measuring/Broken-v0", Broken, max_episode_steps=50)
BROKEN = replace(LADDER, id="measuring/Broken-v0")


def zeros(obs):
    return obs[..., 0].astype(int) * 0


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_return_that_is_not_finite_ends_training_as_diverged(wrapped):
    def train(trial, config):
        env = trial.make_env()
        trial.policy = zeros
        env.reset()
        try:
            while not any(env.step(1)[2:4]):
                pass
        except Diverged as error:
            if wrapped:
                raise LibraryError from error
            raise

    trial, training = run(train, BROKEN, budget=25)
    with pytest.raises(Diverged, match="in training is nan"):
        training()
    assert len(trial.runs[0].episodes) == 1


def test_an_evaluation_that_is_not_finite_ends_training_as_diverged():
    def train(trial, config):
        trial.policy = lambda obs: zeros(obs) + 1

    with pytest.raises(Diverged, match="in evaluation is nan at step 0"):
        run(train, BROKEN)[1]()


def test_a_seed_that_diverges_does_not_end_the_others():
    def train(trial, config):
        env = trial.make_lockstep_env()
        trial.policy = lambda obs: obs[..., 0].long() * 0
        env.reset()
        while trial.within_budget:
            env.step(torch.tensor([[1], [0]]))

    trial, training = run(train, BROKEN, seeds=(0, 1), budget=60)
    training()
    assert "in training is nan" in trial.runs[0].diverged
    assert not trial.runs[1].diverged
    assert trial.steps == 60
    assert trial.runs[1].evaluations[-1].step == 60


# Diagnostics


def logged(trial, run=0):
    return trial.runs[run].diagnostics


def test_at_most_a_thousand_points_are_kept_of_every_name():
    def train(trial, config):
        env = trial.make_env()
        trial.policy = act
        while trial.within_budget:
            env.reset()
            over = False
            while not over:
                over = any(env.step(0)[2:4])
                trial.log(steps=trial.steps)
                if trial.steps > 9_000:
                    trial.log(late=1.0)

    rows = logged(trained(train, budget=10_000))
    steps = [step for step, name, _ in rows if name == "steps"]
    assert all(value == step for step, name, value in rows if name == "steps")
    assert LOGGED_POINTS - 2 <= len(steps) <= LOGGED_POINTS + 1
    assert max(np.diff(steps)) <= 2 * 10_000 / LOGGED_POINTS
    assert 98 <= sum(name == "late" for _, name, _ in rows) <= 101


def test_short_runs_keep_every_step_once():
    def train(trial, config):
        env = trial.make_env()
        trial.policy = act
        env.reset()
        while trial.within_budget:
            if any(env.step(0)[2:4]):
                env.reset()
            trial.log(x=1)
            trial.log(x=2)

    assert logged(trained(train, budget=30)) == [(step, "x", 1.0) for step in range(1, 31)]


def test_tensors_and_arrays_are_kept_as_they_were_with_one_value_per_seed():
    trial = local_trial(LADDER, (4, 5, 6), budget=10)
    tensor, array = torch.arange(3.0, requires_grad=True), np.arange(3.0)
    trial.log(tensor=tensor, array=array, both=torch.tensor(2), number=7)
    with torch.no_grad():
        tensor += 10
    array += 10
    trial.close()
    for index in range(3):
        assert logged(trial, index) == [(0, "tensor", index), (0, "array", index), (0, "both", 2.0), (0, "number", 7.0)]


@pytest.mark.parametrize("value", [torch.zeros(3, 2), np.zeros(2), [1.0, 2.0]])
def test_a_logged_value_of_another_shape_breaks_the_contract_at_once(value):
    with pytest.raises(ContractBroken, match=r"log\(loss=\.\.\.\) wants a scalar or \[S\]"):
        local_trial(LADDER, (0, 1, 2)).log(loss=value)


def test_what_was_logged_before_a_failure_is_kept():
    def train(trial, config):
        trial.policy = act
        trial.log(x=3)
        raise LibraryError

    trial, training = run(train)
    with pytest.raises(LibraryError):
        training()
    assert logged(trial) == [(0, "x", 3.0)]


# Streams


def test_streams_follow_from_the_seed_and_the_tag_alone():
    one, other = local_trial(LADDER, (3, 8)), local_trial(LADDER, (8,))
    together = torch.rand(4, generator=one.generators("batches")[1])
    one.generators("policy"), other.generators("initialisation")
    assert torch.equal(torch.rand(4, generator=other.generators("batches")[0]), together)
    assert one.generators("batches") is one.generators("batches")
    assert one.seed("x") == local_trial(LADDER, (3,)).seed("x") != other.seed("x")
    assert local_trial(LADDER, (8,)).rng.random() == other.rng.random() != one.rng.random()


def test_progress_goes_from_0_to_1():
    seen = []

    def train(trial, config):
        seen.append(trial.progress)
        try:
            train_single(trial)
        finally:
            seen.append(trial.progress)

    trained(train, budget=25)
    assert seen == [0.0, 1.0]


def test_every_environment_is_closed(monkeypatch):
    made, closed = [], []
    monkeypatch.setattr(Ladder, "close", lambda self: closed.append(self))
    init = Ladder.__init__
    monkeypatch.setattr(Ladder, "__init__", lambda self, **kwargs: (made.append(self), init(self, **kwargs))[1])
    trained(train_single, budget=25, points=3, episodes=2)
    trained(train_vector(3, "sync", "next_step"), budget=25)
    trained(train_lockstep(2), seeds=(0, 1), budget=25)
    assert {id(env) for env in made} == {id(env) for env in closed}


def test_a_budget_error_raised_by_another_trial_is_an_error():
    def train(trial, config):
        trial.policy = act
        raise BudgetExhausted("of something else")

    with pytest.raises(BudgetExhausted):
        run(train)[1]()


def test_lockstep_policies_see_tensors_on_the_device_with_the_seed_axis():
    shapes = []

    def train(trial, config):
        env = trial.make_lockstep_env(2)
        trial.policy = lambda obs: (shapes.append((tuple(obs.shape), obs.device)), act_lockstep(obs))[1]
        obs = env.reset()
        while trial.within_budget:
            obs = env.step(act_lockstep(obs)).obs

    trained(train, seeds=(0, 1, 2), budget=10, episodes=5)
    assert set(shapes) == {((3, 5, 2), torch.device("cpu"))}
