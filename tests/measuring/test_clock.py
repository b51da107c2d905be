from types import SimpleNamespace

import pytest
import torch

from harness.contract.specs import EnvironmentSpec
from harness.measuring.clock import Clock
from harness.measuring.self_play import GamesInLockstep
from harness.measuring.training import run_training
from support.measuring import LADDER, Ladder, act, act_lockstep, native, train_vector
from support.trial import local_trial


class Seconds:
    """Stands in for `perf_counter`; the time is what the test says."""

    now = 100.0

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


@pytest.fixture
def seconds(monkeypatch):
    fake = Seconds()
    for module in ("clock", "metered_env", "metered_vector", "lockstep"):
        monkeypatch.setattr(f"harness.measuring.{module}.perf_counter", fake)
    return fake


def test_set_up_ends_where_training_starts(seconds):
    clock = Clock()
    seconds.pass_by(3)
    clock.start()
    seconds.pass_by(4)
    assert (clock.setup, clock.training) == (3, 4)
    clock.stop()
    seconds.pass_by(5)
    clock.stop()
    assert (clock.setup, clock.training, clock.evaluation) == (3, 4, 0)


def test_a_pause_bills_evaluation_and_not_training(seconds):
    clock = Clock()
    clock.start()
    seconds.pass_by(1)
    with clock.paused():
        seconds.pass_by(10)
        assert clock.training == 1
    seconds.pass_by(2)
    assert (clock.training, clock.evaluation) == (3, 10)


def test_a_pause_that_raises_is_billed_and_ends(seconds):
    clock = Clock()
    clock.start()
    with pytest.raises(ValueError, match="x"), clock.paused():
        seconds.pass_by(10)
        raise ValueError("x")
    seconds.pass_by(1)
    assert (clock.training, clock.evaluation) == (1, 10)


def test_a_pause_before_or_after_training_starts_no_clock(seconds):
    clock = Clock()
    with clock.paused():
        seconds.pass_by(10)
    seconds.pass_by(1)
    assert (clock.training, clock.evaluation) == (0, 10)


def test_the_device_finishes_before_the_clock_stops_and_before_it_goes_on(seconds):
    clock = Clock(synchronize=lambda: seconds.pass_by(5))  # a queue that takes 5 s to empty
    clock.start()
    with clock.paused():
        seconds.pass_by(10)
    assert (clock.training, clock.evaluation) == (5, 15)
    clock.stop()
    assert clock.training == 10


def test_planning_is_training_time_told_once(seconds):
    clock = Clock(synchronize=lambda: seconds.pass_by(5))
    clock.start()
    with clock.planned():
        seconds.pass_by(1)
        with clock.planned():
            seconds.pass_by(2)
        with clock.paused(), clock.planned():
            seconds.pass_by(100)
        with pytest.raises(ValueError, match="x"), clock.planned():
            raise ValueError("x")
    with clock.planned():
        seconds.pass_by(4)
    assert clock.planning == 1 + 2 + 4 + 3 * 5  # the queue was emptied at the pause and at both ends
    assert clock.planning <= clock.training


@pytest.fixture
def trial(seconds, monkeypatch):
    """Makes trials in which a step takes 1 s, a reset 0.25 s, an update 0.5 s and the policy 100 s."""
    step, reset = Ladder.step, Ladder.reset
    monkeypatch.setattr(Ladder, "step", lambda self, action: (seconds.pass_by(1), step(self, action))[1])
    monkeypatch.setattr(Ladder, "reset", lambda self, **kw: (seconds.pass_by(0.25), reset(self, **kw))[1])

    def make(environment=LADDER, **settings):
        began = seconds.now
        trial = local_trial(environment, **settings)
        seconds.pass_by(7)
        return trial, began

    return make


def slow(seconds):
    def policy(obs):
        seconds.pass_by(100)
        return act(obs)

    return policy


def test_every_second_of_a_trial_is_set_up_environment_learning_or_evaluation(trial, seconds):
    trial, began = trial(budget=20, points=4, episodes=3)
    resets = 0

    def train(trial, config):
        nonlocal resets
        env = trial.make_env()
        trial.policy = slow(seconds)
        env.reset()
        resets = 1
        while trial.within_budget:
            over = any(env.step(0)[2:4])
            seconds.pass_by(0.5)
            if over:
                env.reset()
                resets += 1

    run_training(trial, train, None)
    clock = trial.clock
    assert clock.setup == 7
    assert clock.environment == 20 * 1 + 0.25 * resets
    assert clock.learning == 20 * 0.5
    assert clock.evaluation > 5 * 100
    assert clock.setup + clock.training + clock.evaluation == seconds.now - began


def test_records_are_stamped_with_training_seconds(trial, seconds):
    trial, _ = trial(budget=20, points=4, episodes=3)

    def train(trial, config):
        env = trial.make_env()
        trial.policy = slow(seconds)
        while trial.within_budget:
            env.reset()
            while not any(env.step(0)[2:4]):
                pass

    run_training(trial, train, None)
    episodes = trial.runs[0].episodes
    assert [e.train_seconds for e in episodes] == [e.step + 0.25 * (k + 1) for k, e in enumerate(episodes)]
    for evaluation in trial.runs[0].evaluations:
        resets = sum(e.step < evaluation.step for e in episodes) + (evaluation.step > 0)
        assert evaluation.train_seconds == evaluation.step + 0.25 * resets


def make_game(trial):
    rules = SimpleNamespace(
        initial=lambda shape: torch.ones(*shape, 1),
        legal=lambda state: torch.ones(*state.shape[:2], 2, dtype=torch.bool),
        apply=lambda state, action: state + 1,
        outcome=lambda state: torch.where(state[..., 0] > 5, 1.0, torch.nan),
    )
    return GamesInLockstep(rules, trial.meter, (0,), 2, torch.device("cpu"), 0)


@pytest.mark.parametrize("make", [make_game, lambda trial: trial.make_lockstep_env(2)], ids=["game", "array"])
def test_to_wait_for_the_device_is_not_the_environments_time(seconds, make):
    trial = local_trial(
        EnvironmentSpec("it", "CartPole-v1", array="harness_environments.arrays.cartpole"), lockstep=True
    )
    trial.policy = lambda obs: torch.zeros(obs.shape[:2], dtype=torch.int64)
    env = make(trial)
    trial.clock.synchronize = lambda: seconds.pass_by(5)
    env.reset()
    for _ in range(3):
        env.step(torch.zeros(1, 2, dtype=torch.int64))
    assert trial.clock.environment == 0
    assert seconds.now > 100


def test_vectors_bill_the_environment(trial):
    trial, _ = trial(native("disabled"), budget=20)
    run_training(trial, train_vector(2, "native", "disabled"), None)
    resets = 2 + sum(e.step < 20 for e in trial.runs[0].episodes)
    assert trial.clock.environment == trial.clock.training
    assert 20 + 0.25 * (resets - 2) <= trial.clock.environment <= 20 + 0.25 * (resets + 2)


def test_lockstep_bills_the_steps_of_all_seeds(trial, seconds):
    trial, _ = trial(seeds=(0, 1, 2), budget=20)
    trial.policy = act_lockstep
    env = trial.make_lockstep_env(2)
    obs = env.reset()
    assert trial.clock.environment == 6 * 0.25
    ended = 0
    for _ in range(5):
        step = env.step(act_lockstep(obs))
        obs, ended = step.obs, ended + int(step.ended.sum())
        seconds.pass_by(50)
    assert trial.clock.environment == 5 * 6 * 1 + (6 + ended) * 0.25
