"""Environments in several processes: one budget, exact, and evaluation that stops the world."""

import multiprocessing
import os
import pickle
import random
import signal
import threading
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from harness.contract.specs import EnvironmentSpec
from harness.contract.trial import BudgetExhausted, ContractBroken
from harness.measuring.records import Unmetered
from harness.measuring.shared_meter import EVALUATING
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from support.trial import local_trial

CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1")
CONTEXT = multiprocessing.get_context("fork")


def zeros(obs):
    return np.zeros(len(obs), np.int64)


def act_until_spent(factory, taken):
    """A worker: step until the budget is spent, and say how often."""
    env = factory()
    env.reset()
    steps = 0
    try:
        while True:
            _, _, terminated, truncated, _ = env.step(steps % 2)
            steps += 1
            if terminated or truncated:
                env.reset()
    except BudgetExhausted:
        taken.put(steps)


worker = act_until_spent


def train_with(workers: int, counts: list[int], policy=zeros):
    def train(trial, config):
        trial.policy = policy
        taken = CONTEXT.Queue()
        processes = [CONTEXT.Process(target=worker, args=(trial.env_factory(i), taken)) for i in range(workers)]
        for process in processes:
            process.start()
        counts.extend(taken.get(timeout=60) for _ in processes)
        for process in processes:
            process.join()

    return train


def shared_trial(folder: Path, budget: int, points: int = 1) -> LocalTrial:
    return local_trial(CARTPOLE, budget=budget, points=points, episodes=2, shared=folder)


def test_what_training_simulates_while_another_thread_evaluates_is_counted_and_what_that_simulates_is_not(tmp_path):
    trial = shared_trial(tmp_path, budget=20, points=2)
    evaluates, told = threading.Event(), threading.Event()

    def train(trial, config):
        def policy(obs):
            trial.simulated(1_000)
            with trial.planning():
                evaluates.set()
                assert trial.steps < 10 or told.wait(60)
            return zeros(obs)

        trial.policy = policy
        evaluates.clear()
        env = trial.env_factory(0)()
        for step in range(20):
            if step in (0, 10):
                env.reset()
            env.step(step % 2)
            if step == 9:
                assert evaluates.wait(60)
                trial.simulated(7)
                told.set()
        env.close()

    run_training(trial, train, None)

    assert trial.runs[0].simulated == 7
    assert trial.clock.planning == 0


def test_processes_together_take_exactly_the_budget(tmp_path: Path):
    counts: list[int] = []
    trial = shared_trial(tmp_path, 1_003)
    run_training(trial, train_with(3, counts), None)

    assert sum(counts) == 1_003
    assert trial.steps == 1_003


def test_evaluation_takes_place_exactly_at_the_marks(tmp_path: Path):
    trial = shared_trial(tmp_path, 1_000, points=4)
    run_training(trial, train_with(2, []), None)
    assert [row.step for row in trial.runs[0].evaluations[::2]] == [0, 250, 500, 750, 1_000]


def act_and_practise(factory, taken):
    """A worker that also steps an environment of its own, fifty times."""
    own = gymnasium.make("CartPole-v1")
    for _ in range(10):
        own.reset()
        for _ in range(5):
            own.step(0)
    act_until_spent(factory, taken)


def test_steps_beside_the_meter_are_seen_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trial = shared_trial(tmp_path, 100)
    monkeypatch.setitem(globals(), "worker", act_and_practise)
    with pytest.raises(Unmetered, match=r"^\d+ steps were taken beside the meter"):
        run_training(trial, train_with(2, []), None)


def test_no_step_is_taken_while_the_trial_evaluates(tmp_path: Path):
    trial = shared_trial(tmp_path, 600, points=3)
    seen = []

    def watching(obs):
        seen.append(trial.steps)
        return zeros(obs)

    run_training(trial, train_with(2, [], watching), None)

    assert set(seen) == {0, 200, 400, 600}


def test_episodes_of_all_copies_are_recorded_in_the_order_they_ended(tmp_path: Path):
    trial = shared_trial(tmp_path, 2_000)
    run_training(trial, train_with(2, []), None)
    episodes = trial.runs[0].episodes

    assert {episode.copy for episode in episodes} <= {0, 1}  # one may be done before the other has started
    assert [episode.step for episode in episodes] == sorted(episode.step for episode in episodes)
    assert all(episode.value == episode.length for episode in episodes)
    assert 1_800 < sum(episode.length for episode in episodes) <= 2_000


def test_a_copy_has_the_same_first_episode_in_any_process(tmp_path: Path):
    trial = shared_trial(tmp_path, 100)
    other = local_trial(CARTPOLE, budget=100)
    here = trial.env_factory(1)().reset()[0]
    there = pickle.loads(pickle.dumps(trial.env_factory(1)))().reset()[0]
    alone = other.metered(1).reset()[0]

    assert np.array_equal(here, there)
    assert np.array_equal(here, alone)


def test_a_worker_killed_while_it_steps_blocks_nobody(tmp_path: Path):
    counts: list[int] = []

    def train(trial, config):
        trial.policy = zeros
        victim = CONTEXT.Process(target=worker, args=(trial.env_factory(9), CONTEXT.Queue()))
        victim.start()
        while trial.steps < 200:
            pass
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        train_with(2, counts)(trial, config)

    trial = shared_trial(tmp_path, 20_000)
    run_training(trial, train, None)

    assert trial.steps == 20_000
    assert 0 < sum(counts) < 20_000


def test_an_error_of_the_policy_stops_every_worker_and_is_raised(tmp_path: Path):
    def broken(obs):
        if trial.steps:
            raise ValueError("torn")
        return zeros(obs)

    trial = shared_trial(tmp_path, 1_000, points=2)
    with pytest.raises(ValueError, match="torn"):
        run_training(trial, train_with(2, [], broken), None)


def test_returning_early_is_told_here_too(tmp_path: Path):
    def train(trial, config):
        trial.policy = zeros
        env = trial.env_factory(0)()
        env.reset()
        env.step(0)

    with pytest.raises(ContractBroken, match="returned after 1 of 100 steps"):
        run_training(shared_trial(tmp_path, 100), train, None)


def test_the_learner_waits_while_the_trial_evaluates(tmp_path: Path):
    seen = []

    def slow(obs):
        if trial.steps:
            time.sleep(0.002)
        return zeros(obs)

    def train(trial, config):
        trial.policy = slow
        taken = CONTEXT.Queue()
        process = CONTEXT.Process(target=worker, args=(trial.env_factory(0), taken))
        process.start()
        while trial.within_budget:
            seen.append(trial.meter._control.state == EVALUATING)
        taken.get(timeout=60)
        process.join()

    trial = shared_trial(tmp_path, 400, points=4)
    run_training(trial, train, None)
    assert len(seen) > 10
    assert sum(seen) <= 3  # one look may fall between the answer and the mark


def test_evaluation_in_a_thread_leaves_global_random_state_alone(tmp_path: Path):
    def train(trial, config):
        trial.policy = lambda obs: [random.randrange(2) for _ in obs]
        before = random.getstate()
        env = trial.env_factory(0)()
        env.reset()
        while trial.within_budget:
            if any(env.step(0)[2:4]):
                env.reset()
        states.append(random.getstate() != before)

    states: list[bool] = []
    run_training(shared_trial(tmp_path, 100, points=4), train, None)
    assert states == [True]


@pytest.mark.parametrize(
    "make", [lambda trial: trial.make_lockstep_env(), lambda trial: trial.make_vector_env(2, "native")]
)
def test_an_environment_with_a_meter_of_its_own_is_refused(tmp_path: Path, make):
    with pytest.raises(ContractBroken, match="meter of its own"):
        make(shared_trial(tmp_path, 100))


def test_a_step_without_an_episode_costs_nothing(tmp_path: Path):
    trial = shared_trial(tmp_path, 100)
    trial.policy = zeros
    with pytest.raises(gymnasium.error.ResetNeeded):
        trial.env_factory(0)().step(0)
    assert trial.steps == 0


def test_once_training_is_over_no_process_can_step(tmp_path: Path):
    def train(trial, config):
        trial.policy = zeros
        left.append(trial.env_factory(0)())
        left[0].reset()
        left[0].step(0)

    left: list[gymnasium.Env] = []
    with pytest.raises(ContractBroken, match="returned after 1 of 100 steps"):
        run_training(shared_trial(tmp_path, 100, points=100), train, None)
    with pytest.raises(BudgetExhausted):
        left[0].step(0)
