"""Steps of a trial that spans machines: the sum is exact, whoever is lost, and no evaluation is missed."""

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness_environments
from harness.contract.trial import BudgetExhausted, ContractBroken, Made
from harness.measuring.training import run_training
from support.trial import local_trial

CARTPOLE = {spec.name: spec for spec in harness_environments.harness_environments()}["cartpole"]
BUDGET, POINTS = 60, 4  # marks at 0, 15, 30 and 45


def still(obs: np.ndarray) -> np.ndarray:
    return np.zeros(len(obs), dtype=np.int64)


def trained(train, shared=None):
    trial = local_trial(CARTPOLE, (3,), budget=BUDGET, points=POINTS, episodes=1, lockstep=False, shared=shared)
    run_training(trial, train, None)
    return trial


class Copies:
    """Some environment copies on machines of their own, played by hand."""

    def __init__(self, trial, count: int) -> None:
        self.leases = trial.leases()
        factories = [pickle.loads(pickle.dumps(self.leases.env_factory(i))) for i in range(count)]
        self.envs, self.meters = zip(*(factory() for factory in factories), strict=True)
        for env in self.envs:
            env.reset()
        self.out = [0] * count
        self.returns: list[float] = []

    def grant(self, index: int, most: int) -> int:
        self.out[index] = self.meters[index].left = self.leases.grant(most)
        return self.out[index]

    def step(self, index: int, steps: int) -> None:
        for _ in range(min(steps, self.meters[index].left)):
            _, _, terminated, truncated, _ = self.envs[index].step(0)
            if terminated or truncated:
                self.envs[index].reset()

    def redeem(self, index: int, lost: bool = False) -> Made:
        made = self.meters[index].made()
        if lost:  # with all that it did; another takes its place
            made = Made(0, ())
        self.leases.redeem(index, self.out[index], made)
        self.out[index] = 0
        return made


def spend(copies: Copies) -> None:
    """All that is left."""
    while copies.grant(0, 100):
        copies.step(0, 100)
        copies.redeem(0)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 30), st.integers(0, 30), st.booleans()), min_size=1, max_size=60
    ),
    st.booleans(),
)
def test_whatever_is_granted_used_or_lost_the_budget_is_spent_exactly_and_no_mark_is_passed_over(
    tmp_path_factory, moves: Sequence[tuple[int, int, int, bool]], shared: bool
):
    counted, most_out = [0], []

    def train(trial, config):
        trial.policy = still
        copies = Copies(trial, 3)
        for index, most, steps, lost in [*moves, *((k % 3, 7, 7, False) for k in range(10**6))]:
            if not copies.out[index]:
                copies.grant(index, most)
                most_out.append(trial.steps + sum(copies.out))
            else:
                copies.step(index, steps)
                counted[0] += copies.redeem(index, lost).steps
                assert trial.steps == counted[0]

    trial = trained(train, tmp_path_factory.mktemp("shared") if shared else None)
    (run,) = trial.runs
    assert trial.steps == counted[0] == BUDGET
    assert sorted({evaluation.step for evaluation in run.evaluations}) == [0, 15, 30, 45, 60]
    assert max(most_out) <= BUDGET
    assert all(0 < episode.step <= BUDGET for episode in run.episodes)


def test_episodes_are_recorded_at_the_step_at_which_they_ended(tmp_path):
    def train(trial, config):
        trial.policy = still
        spend(Copies(trial, 1))

    for shared in (None, tmp_path):
        trial = trained(train, shared)
        (run,) = trial.runs
        assert len(run.episodes) >= 5  # falling takes about ten steps
        assert [episode.step for episode in run.episodes] == np.cumsum([e.length for e in run.episodes]).tolist()
        assert all(episode.value == episode.length for episode in run.episodes)


def test_a_copy_on_another_machine_is_the_copy_of_this_one():
    def returns(train):
        return [(e.value, e.length) for e in trained(train).runs[0].episodes]

    def here(trial, config):
        trial.policy = still
        env = trial.make_env()
        while True:
            env.reset()
            while not (step := env.step(0))[2] and not step[3]:
                pass

    def there(trial, config):
        trial.policy = still
        copies = Copies(trial, 1)
        while copies.grant(0, 4):
            copies.step(0, 4)
            copies.redeem(0)

    assert returns(here) == returns(there)


def test_a_lease_holds_no_more_than_was_granted_and_a_report_of_more_is_refused():
    def train(trial, config):
        trial.policy = still
        copies = Copies(trial, 1)
        copies.grant(0, 3)
        copies.step(0, 3)
        with pytest.raises(BudgetExhausted, match="the lease is spent"):
            copies.envs[0].step(0)
        with pytest.raises(ContractBroken, match="copy 0 made 4 steps of 3 that it was granted"):
            copies.leases.redeem(0, 3, Made(4, ()))
        with pytest.raises(ContractBroken, match="copy 0 made 9 steps of 3 that it was granted"):
            copies.leases.redeem(0, 3, Made(3, ((9, 1.0, 9, True, False),)))
        copies.redeem(0)
        spend(copies)

    trained(train)


def test_nothing_is_granted_while_others_hold_all_before_the_next_mark():
    def train(trial, config):
        trial.policy = still
        copies = Copies(trial, 2)
        assert copies.grant(0, 100) == 15  # to the first mark
        assert copies.grant(1, 100) == 0
        copies.redeem(0, lost=True)
        assert copies.grant(1, 100) == 15
        copies.step(1, 15)
        copies.redeem(1)
        spend(copies)

    trained(train)
