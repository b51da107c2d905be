"""The process backend, with real processes: exact budgets, deaths, and evaluations that stop the world."""

import os
import signal
import time
from functools import partial

import psutil
import pytest
import torch

import harness_environments
from harness.measuring.training import run_training
from harness_algorithms import a3c
from harness_algorithms.parallel import processes
from harness_algorithms.parallel.operations import Begin, Pull, PullAll, Push, Receive, Send, TakeStep, Wait, Work
from harness_algorithms.parallel.processes import ProcessBackend, streams_of
from support.trial import local_trial

CARTPOLE = {spec.name: spec for spec in harness_environments.harness_environments()}["cartpole"]
LEFT = torch.zeros(1, 1, dtype=torch.int64)
BUDGET = 600


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE_SECONDS", 5.0)


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    """Other tests of this process may have started a fork server, which stays."""
    before = set(psutil.Process().children())
    yield
    assert set(psutil.Process().children()) <= before


class Pair:
    """A store of two numbers per node, which are equal except while that node pushes."""

    def __init__(self):
        self.first = torch.zeros(3, dtype=torch.int64)
        self.second = torch.zeros(3, dtype=torch.int64)

    def pulled(self, asked):
        return self.first.tolist(), self.second.tolist()

    def pushed(self, message):
        node, number = message
        self.first[node] = number
        time.sleep(0.005)
        self.second[node] = number

    def status(self):
        return {"first": self.first.sum()}


class Watching:
    """A policy that notes what the store holds whenever it takes over from it."""

    def __init__(self, store):
        self.store = store
        self.seen = []

    def take_over(self):
        self.seen.append(self.store.pulled(None))

    def reset(self, mask): ...

    def act(self, obs):
        return torch.zeros(obs.shape[:2], dtype=torch.int64)


def worker(node, between=0.0):
    """Steps, and counts them in the store."""
    yield Begin()
    count = 0
    while True:
        yield TakeStep(LEFT)
        count += 1
        yield Work(partial(time.sleep, between))
        yield Push("pair", (node.index, count))


def trained(folder, *roles, points=1, budget=BUDGET, policy=Watching):
    """Train with these roles; returns the trial, the store and the policy."""
    trial = local_trial(CARTPOLE, budget=budget, points=points, episodes=3, lockstep=False, shared=folder)
    store = Pair()
    watching = policy(store)
    run_training(trial, lambda trial, config: ProcessBackend(trial).run(roles, {"pair": store}, watching), None)
    return trial, store, watching


def test_the_budget_is_exact_and_every_episode_is_recorded(tmp_path):
    trial, *_ = trained(tmp_path, *[partial(worker, between=0.0)] * 3, budget=300)
    run = trial.runs[0]
    assert trial.steps == 300
    assert {episode.copy for episode in run.episodes} == {0, 1, 2}
    assert 300 - 3 * 11 <= sum(episode.length for episode in run.episodes) <= 300  # a pole falls within 11 steps


def test_parameters_are_taken_over_once_per_evaluation_and_never_amid_a_push(tmp_path):
    _, _, watching = trained(tmp_path, worker, worker, points=12, budget=240)
    assert len(watching.seen) == 13
    assert all(first == second for first, second in watching.seen)
    assert len({tuple(first) for first, _ in watching.seen}) > 6


def test_a_worker_that_is_killed_ends_the_run_with_its_name(tmp_path):
    def suicide(node):
        yield Begin()
        yield TakeStep(LEFT)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(RuntimeError, match="the process of node 1 was killed by SIGKILL"):
        trained(tmp_path, worker, suicide, budget=100_000)


def test_what_a_role_raises_is_told_with_its_traceback(tmp_path):
    def wrong(node):
        yield Begin()
        yield Work(lambda: {}["no such key"])

    with pytest.raises(RuntimeError, match=r"(?s)node 1: Traceback.*KeyError: 'no such key'"):
        trained(tmp_path, worker, wrong, budget=100_000)


def test_a_role_that_only_waits_for_messages_ends_with_the_budget(tmp_path):
    began = time.monotonic()

    def chief(node):
        while True:
            yield Push("pair", (0, (yield Receive())))

    def sender(node):
        yield Begin()
        while True:
            yield TakeStep(LEFT)
            yield Send(0, 7)

    trial, store, _ = trained(tmp_path, chief, sender, sender, budget=100)
    assert trial.steps == 100
    assert store.pulled(None) == ([7, 0, 0], [7, 0, 0])
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "polled", [Pull("pair"), PullAll(("pair",)), Wait(0.001)], ids=lambda asked: type(asked).__name__
)
def test_a_role_that_never_steps_ends_by_itself_with_the_budget(tmp_path, polled):
    """One that is killed, at the end of all patience, does not get to its last words."""

    def learner(node):
        try:
            while True:
                yield polled
        finally:
            store.first[node.index] = -1

    def stepper(node):
        yield Begin()
        while True:
            yield TakeStep(LEFT)

    store = Pair()
    trial = local_trial(CARTPOLE, budget=50, points=1, episodes=1, lockstep=False, shared=tmp_path)
    roles = [learner, stepper]
    run_training(trial, lambda trial, config: ProcessBackend(trial).run(roles, {"pair": store}, Watching(store)), None)
    assert trial.steps == 50
    assert store.first.tolist() == [-1, 0, 0]


def test_a_message_is_what_it_was_when_it_was_sent(tmp_path):
    def sender(node):
        yield Begin()
        numbers = torch.zeros(3, dtype=torch.int64)
        while True:
            yield TakeStep(LEFT)
            numbers += 1
            yield Send(0, numbers)

    def chief(node):
        last = 0
        while True:
            first, second, third = (yield Receive()).tolist()
            assert first == second == third == last + 1
            last = first
            yield Push("pair", (0, first))

    _, store, _ = trained(tmp_path, chief, sender, budget=50)
    assert store.first[0] > 0


def test_a_pull_sees_what_the_same_role_pushed(tmp_path):
    def role(node):
        yield Begin()
        for number in range(10_000):
            yield TakeStep(LEFT)
            yield Push("pair", (0, number))
            assert (yield Pull("pair")) == ([number, 0, 0], [number, 0, 0])

    trained(tmp_path, role, budget=30)


def test_streams_differ_by_node_and_by_tag_and_repeat():
    draws = [streams_of(seed, tag)[0].initial_seed() for seed in (1, 2) for tag in ("policy", "batches")]
    assert len(set(draws)) == 4
    assert draws[0] == streams_of(1, "policy")[0].initial_seed()


def test_workers_of_a3c_lose_no_step_and_no_update_though_nothing_is_locked(tmp_path):
    trial = local_trial(CARTPOLE, budget=2_000, points=2, lockstep=False, shared=tmp_path)
    config = a3c.Config(backend="processes", workers=3, hidden=(8,))
    kept = []
    shared = a3c.SharedParameters

    class Kept(shared):
        def __init__(self, *args):
            super().__init__(*args)
            kept.append(self)

    a3c.SharedParameters = Kept
    try:
        run_training(trial, a3c.train, config)
    finally:
        a3c.SharedParameters = shared
    steps, updates = kept[0].steps.tolist(), kept[0].updates.tolist()
    assert trial.steps == 2_000
    assert steps == [5 * count for count in updates]
    assert 2_000 - 3 * 5 <= sum(steps) <= 2_000
    assert min(updates) > 0


def test_who_never_steps_waits_for_an_evaluation_too(tmp_path):
    class Slow(Watching):
        """Acts slowly, and looks at what the second node has pushed, evaluation after evaluation."""

        def take_over(self):
            self.seen.append([])

        def act(self, obs):
            self.seen[-1].append(self.store.first[1].item())
            time.sleep(0.004)
            return super().act(obs)

    def learner(node):
        count = 0
        while True:
            count += 1
            yield Push("pair", (node.index, count))

    _, _, watching = trained(tmp_path, partial(worker, between=0.002), learner, points=4, policy=Slow)
    in_training = watching.seen[1:-1]  # not the one before processes start, nor the one after their end
    assert [len(numbers) > 5 for numbers in in_training] == [True] * 3
    assert in_training[0][-1] < in_training[1][0] < in_training[2][0]  # it went on between them
    assert all(numbers[-1] - numbers[0] <= 1 for numbers in in_training)  # a push may have been on its way
