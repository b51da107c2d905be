"""What a gate judges: the tasks that a suite asks for, and the seeds that are looked at."""

from dataclasses import replace

import pytest

from harness.analysis.pairing import Run, Task
from harness.analysis.tasks import matched
from harness.suite.reading import load_suite
from harness.verdicts.scope import chosen_seeds, in_scope, most_tasks
from support.results import CARTPOLE
from support.verdicts import DQN, FOUR, ended, runs, stored, suite, suite_text

AREA = "area_under_curve"
ONE = (CARTPOLE,)


@pytest.fixture
def pair(tmp_path):
    """Tasks of two sides that are written and read."""

    def of(base, head, measure=AREA):
        return matched(stored(tmp_path / "base", base), stored(tmp_path / "head", head), measure)

    return of


def done(value=1.0):
    return Run("done", value, "f", 1.0, "m", "c")


def task(base, head, **changes):
    """A task from {seed: value or status} of both sides."""
    sides = (
        {
            seed: done(value) if isinstance(value, float) else Run(value, float("nan"), "", 1.0, "m", "c")
            for seed, value in side.items()
        }
        for side in (base, head)
    )
    return replace(Task("cartpole", DQN, "cpu", 20_000, *sides), **changes)


# Which seeds are looked at


def test_seeds_are_looked_at_in_the_order_of_the_suite_then_ascending():
    everything = dict.fromkeys([9, 3, 7, 1, 5], 1.0)
    seeds = chosen_seeds([task(everything, everything)], (7, 3))
    assert seeds.base == seeds.head == [7, 3, 1, 5, 9]
    assert seeds.paired


def test_only_shared_seeds_are_looked_at_where_they_are_enough():
    more = task(dict.fromkeys(range(9), 1.0), dict.fromkeys(range(4, 8), 1.0))
    assert chosen_seeds([more], range(4, 7)) == ([4, 5, 6, 7], [4, 5, 6, 7], True, [])


@pytest.mark.parametrize("side", ["base", "head"])
def test_trap_a_seed_of_the_suite_that_one_side_never_ran_is_waited_for_even_on_a_single_task(side):
    whole = dict.fromkeys(range(5), 1.0)
    gap = {seed: 1.0 for seed in whole if seed != 1}
    seeds = chosen_seeds([task(gap, whole) if side == "base" else task(whole, gap)], range(5))
    assert seeds.base == seeds.head == [0]
    assert [*map(str, seeds.unfinished)] == [f"algorithms/dqn on cartpole, seed 1: no run on the {side}"]


def test_three_shared_seeds_pair_whatever_the_first_look_takes():
    found = chosen_seeds([task(dict.fromkeys(range(10), 1.0), dict.fromkeys(range(7, 17), 1.0))], range(7, 12))
    assert found.paired
    assert found.base == found.head == [7, 8, 9]


def test_other_seeds_do_not_pair():
    seeds = chosen_seeds([task({0: 1.0, 1: 1.0, 2: 1.0}, {2: 1.0, 3: 1.0, 4: 1.0})], range(20))
    assert seeds == ([0, 1, 2], [2, 3, 4], False, [])
    assert seeds.each == 3


def test_the_order_stops_before_the_first_seed_that_a_task_has_no_answer_for():
    """Those behind it are not looked at either: which runs survive is not for chance to choose."""
    whole = dict.fromkeys(range(5), 1.0)
    tasks = [task(whole, whole), task(whole, {**whole, 2: "interrupted"}), task(whole, {0: 1.0, 1: 1.0})]
    seeds = chosen_seeds(tasks, range(5))
    assert seeds.base == seeds.head == [0, 1]
    name = "algorithms/dqn on cartpole, seed"
    assert [*map(str, seeds.unfinished)] == [
        f"{name} 2: interrupted on the head",
        *(f"{name} {seed}: no run on the head" for seed in (2, 3, 4)),
    ]


# What a suite asks for


def test_tasks_that_the_suite_does_not_ask_for_are_left_out(pair):
    tasks = pair(runs(FOUR), runs(FOUR))
    scope = in_scope(suite(FOUR[:2]), tasks)
    assert [each.environment for each in scope.tasks] == ["acrobot", "cartpole"]
    assert in_scope(suite(FOUR), tasks, environments=["frozen-lake"]).tasks == [tasks[3]]
    assert in_scope(suite(FOUR), tasks, algorithms=["dqn"]).tasks == tasks
    assert not in_scope(suite(FOUR), tasks, devices=["cuda"]).tasks


def test_contestants_of_an_environment_are_all_that_it_asks_for(pair):
    text = suite_text(FOUR[:2], [DQN, "sb3/dqn"]).replace(
        "[environment.cartpole]", f'[environment.cartpole]\nalgorithms = ["{DQN}"]'
    )
    asked = load_suite(text)
    scope = in_scope(asked, pair(runs(FOUR[:2]), runs(FOUR[:2])))
    assert [each.environment for each in scope.tasks] == ["acrobot", "cartpole"]
    assert scope.unanswered == ["sb3/dqn on acrobot: no run of either side"]
    assert most_tasks(asked, [], [], []) == 3


def test_trap_a_task_that_is_asked_for_twice_is_judged_once(pair):
    """Counted twice, it would be twice as much evidence."""
    tasks = pair(runs(ONE), runs(ONE))
    scope = in_scope(suite(ONE), tasks, ["dqn", DQN, DQN], ["cartpole", "cartpole"], ["cpu", "cpu"])
    assert scope.tasks == tasks
    nothing = in_scope(suite(ONE), [], ["dqn", "dqn"])
    assert nothing.unanswered == ["dqn on cartpole: no run of either side"]


def test_what_the_suite_asks_for_and_nobody_ran_is_unanswered(pair):
    scope = in_scope(suite(FOUR), pair(runs(FOUR[:3]), runs(FOUR[:2])))
    assert scope.unanswered == [
        "algorithms/dqn on cliff-walking: no run of the head",
        "algorithms/dqn on frozen-lake: no run of either side",
    ]


def test_what_only_the_head_has_is_new_and_not_comparable(pair):
    scope = in_scope(suite(FOUR[:2]), pair(runs(FOUR[:1]), runs(FOUR[:2])))
    assert [each.why_not for each in scope.not_comparable] == ["only the head has it"]
    assert not scope.unanswered


def test_runs_of_another_budget_than_the_suites_are_not_comparable(pair):
    scope = in_scope(suite(ONE), pair(*[runs(ONE, budget=5_000)] * 2))
    assert [each.why_not for each in scope.not_comparable] == ["its budget is 5,000 steps, the suite's is 20,000"]


def test_what_both_sides_skipped_is_not_comparable(pair):
    skipped = [ended(run, "skipped") for run in runs(ONE)]
    scope = in_scope(suite(ONE), pair(skipped, skipped))
    assert [each.why_not for each in scope.not_comparable] == ["both sides skipped it"]


def test_a_suite_without_algorithms_asks_for_those_that_ran(pair):
    tasks = pair(runs(ONE), runs(ONE))
    assert in_scope(suite(ONE, algorithms=()), tasks).tasks == tasks
