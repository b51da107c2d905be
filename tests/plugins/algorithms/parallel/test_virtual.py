"""The virtual backend: when things happen, in which order, and what a dead or slow node changes."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness_environments
from harness.measuring.training import run_training
from harness_algorithms.parallel.cluster import Cluster
from harness_algorithms.parallel.operations import Begin, Pull, PullAll, Push, Receive, Send, TakeStep, Wait, Work
from harness_algorithms.parallel.virtual import VirtualBackend
from support.trial import local_trial

CARTPOLE = {spec.name: spec for spec in harness_environments.harness_environments()}["cartpole"]
EXACT = Cluster(step_seconds=1.0, work_seconds=10.0, hop_seconds=0.25, serve_seconds=0.5, jitter=0.0)
LEFT = torch.zeros(1, 1, dtype=torch.int64)


class Log:
    """A store that remembers what it was pushed, and when."""

    def __init__(self):
        self.pushes = []
        self.backend = None

    def pulled(self, asked):
        return (asked, len(self.pushes), self.backend.now)

    def pushed(self, message):
        self.pushes.append((message, self.backend.now))

    def status(self):
        return {}


class Still:
    """A policy that learns nothing."""

    def take_over(self): ...

    def reset(self, mask): ...

    def act(self, obs):
        return torch.zeros(obs.shape[:2], dtype=torch.int64)


def played(*roles, cluster=EXACT, budget=40, ends="messages", seeds=(0,), stores=("log",)):
    """Run roles until they all wait or the budget is spent; returns the first store, the backend and the trial."""
    logs = [Log() for _ in stores]
    trial = local_trial(CARTPOLE, seeds, budget=budget, lockstep=True)
    backends = []

    def train(trial, config):
        backends.append(VirtualBackend(trial, cluster))
        for log in logs:
            log.backend = backends[0]
        backends[0].run(roles, dict(zip(stores, logs, strict=True)), Still())

    if ends == "messages":
        with pytest.raises(RuntimeError, match="every role has ended, died or waits"):
            run_training(trial, train, None)
    else:
        run_training(trial, train, None)
    return logs[0], backends[0], trial


def test_steps_and_work_take_their_time_and_messages_a_hop():
    seen = []

    def role(node):
        yield Begin()
        yield TakeStep(LEFT)
        assert (yield Work(lambda: "done", units=0.5)) == "done"
        yield Push("log", "after 1 step and half a work")
        seen.append((yield Pull("log", "question")))

    log, backend, _ = played(role)
    # a push arrives after a hop of 0.25 and is served in 0.5; the pull behind it is served next, and its answer hops
    assert log.pushes == [("after 1 step and half a work", 1 + 5 + 0.25 + 0.5)]
    assert seen == [("question", 1, 6.75 + 0.5)]
    assert backend.now == 7.25 + 0.25


def test_a_store_serves_one_at_a_time_in_the_order_of_arrival():
    def role(node):
        yield Work(lambda: None, units=0.01 * node.index)
        yield Push("log", node.index)

    log, *_ = played(*[role] * 4)
    assert [message for message, _ in log.pushes] == [0, 1, 2, 3]
    assert [when for _, when in log.pushes] == pytest.approx([0.75, 1.25, 1.75, 2.25])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.floats(0, 0.5), st.floats(0, 1), st.floats(0, 1))
def test_what_one_role_pushes_arrives_in_order_and_its_later_pull_sees_it(works, jitter, hop, serve):
    seen = []

    def role(node):
        for number, units in enumerate(works):
            yield Work(lambda: None, units)
            yield Push("log", (node.index, number))
        seen.append((yield Pull("log")))

    cluster = Cluster(1.0, 1.0, hop, serve, jitter)
    log, *_ = played(role, role, cluster=cluster)
    for index in (0, 1):
        assert [number for (who, number), _ in log.pushes if who == index] == list(range(len(works)))
    assert all(count >= len(works) for _, count, _ in seen)
    assert [when for _, when in log.pushes] == sorted(when for _, when in log.pushes)


def test_messages_wait_in_a_mailbox_and_wake_who_waits():
    got = []

    def sender(node):
        for number in range(3):
            yield Send(1, number)

    def receiver(node):
        yield Work(lambda: None)
        for _ in range(3):
            got.append((yield Receive()))
        got.append("waits again")
        yield Receive()

    _, backend, _ = played(sender, receiver)
    assert got == [0, 1, 2, "waits again"]
    assert backend.now == 10.0


def test_a_slow_node_takes_as_many_times_longer():
    def role(node):
        yield Begin()
        while True:
            yield TakeStep(LEFT)
            yield Push("log", node.index)

    cluster = Cluster(1.0, 1.0, 0.0, 0.0, 0.0, slow=((1, 4.0),))
    log, *_ = played(role, role, cluster=cluster, ends="budget")
    who = [message for message, _ in log.pushes]
    assert who.count(0) == 4 * who.count(1) == 32


def test_jitter_is_the_same_every_time_and_averages_out():
    def role(node):
        yield Begin()
        while True:
            yield TakeStep(LEFT)
            yield Push("log", node.index)

    cluster = Cluster(1.0, 1.0, 0.0, 0.0, 0.5)
    (one, first, _), (other, second, _) = (played(role, role, cluster=cluster, budget=400, ends="budget") for _ in "ab")
    assert one.pushes == other.pushes
    assert first.now == second.now
    times = [when for who, when in one.pushes if who == 0]
    gaps = [b - a for a, b in pairwise(times)]
    assert 0.5 <= min(gaps) < 0.6
    assert 1.4 < max(gaps) <= 1.5
    assert math.isclose(sum(gaps) / len(gaps), 1.0, abs_tol=0.1)


def test_a_dead_node_does_nothing_more_but_what_it_had_sent_arrives():
    closed = []

    def mortal(node):
        try:
            yield Begin()
            yield TakeStep(LEFT)
            yield Push("log", "last words")
            yield TakeStep(LEFT)
            yield Push("log", "from the grave")
        finally:
            closed.append(node.index)

    log, _, trial = played(mortal, cluster=Cluster(1.0, 1.0, 5.0, 0.0, 0.0, deaths=((0, 1.5),)))
    assert log.pushes == [("last words", 6.0)]
    assert closed == [0]
    assert trial.steps == 1


def test_others_go_on_without_a_dead_node_to_the_exact_budget():
    def role(node):
        yield Begin()
        while True:
            yield TakeStep(LEFT)

    *_, trial = played(role, role, cluster=Cluster(1.0, 1.0, 0.0, 0.0, 0.0, deaths=((0, 12.5),)), ends="budget")
    assert trial.steps == 40
    copies = {episode.copy for episode in trial.runs[0].episodes}
    assert copies == {0, 1}


def test_a_corrupted_node_sees_other_rewards_and_the_table_sees_the_true_ones():
    rewards = {0: [], 1: []}

    def role(node):
        yield Begin()
        while True:
            rewards[node.index].append(float((yield TakeStep(LEFT)).reward))

    *_, trial = played(role, role, cluster=Cluster(jitter=0.0, corrupted=((1, 1_000.0),)), ends="budget")
    assert set(rewards[0]) == {1.0}
    assert set(rewards[1]) == {1_000.0}
    assert all(episode.value == episode.length for episode in trial.runs[0].episodes)


def test_corruption_begins_when_it_is_said_to():
    seen = []

    def role(node):
        yield Begin()
        for _ in range(4):
            seen.append((yield TakeStep(LEFT)).reward.item())

    played(role, cluster=replace(EXACT, corrupted=((0, 1_000.0),), corrupted_from=3.0))
    assert seen == [1.0, 1.0, 1_000.0, 1_000.0]


def test_waiting_takes_its_time_and_tells_it():
    told = []

    def role(node):
        for seconds in (0.0, 2.5):
            told.append((yield Wait(seconds)))
        yield Work(lambda: None)
        told.append((yield Wait()))

    played(role)
    assert told == [0.0, 2.5, 12.5]


def test_stores_that_are_asked_together_answer_in_the_order_of_asking_once_all_have():
    answers = []

    def busy(node):
        for _ in range(3):
            yield Push("log", "busy")

    def asking(node):
        answers.append((yield PullAll(("other", "log"), "q")))
        answers.append((yield Wait()))

    played(busy, asking, stores=("log", "other"))
    ((other, log), when) = answers
    assert (other[:2], log[:2]) == (("q", 0), ("q", 3))
    # A hop there, its turn after three that are served before it, a hop back; the other store was free.
    assert (other[2], log[2], when) == (0.75, 2.25, 2.5)


def test_what_is_no_operation_is_named():
    def role(node):
        yield "a step, please"

    trial = local_trial(CARTPOLE, lockstep=True)

    def train(trial, config):
        VirtualBackend(trial, EXACT).run([role], {}, Still())

    with pytest.raises(TypeError, match="'a step, please'"):
        run_training(trial, train, None)


@pytest.mark.parametrize(
    ("wrong", "told"), [({"jitter": 1.0}, "jitter"), ({"slow": ((0, 0.0),)}, "slow"), ({"slow": ((0, -1.0),)}, "slow")]
)
def test_an_impossible_cluster_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        Cluster(**wrong)
