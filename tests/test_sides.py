"""Which runs of two sides may be compared, and why others may not."""

from dataclasses import replace
from math import isnan

import pytest
from support_results import CARTPOLE
from support_verdicts import DQN, FOUR, ended, runs, stored, suite, suite_text

from harness.errors import UsageError
from harness.running.suite import load_suite
from harness.verdicts.scope import chosen_seeds, in_scope, most_tasks
from harness.verdicts.sides import Run, Task, contrasted, matched

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


def test_sides_are_matched_by_environment_algorithm_and_device(pair):
    head = [*runs(FOUR[:2]), *runs(FOUR[:2], algorithm="sb3/dqn"), *runs(FOUR[:1], device="cuda")]
    found = pair(runs(FOUR[:2]), head)
    comparable = [each for each in found if not each.why_not]
    assert [(each.environment, each.algorithm, each.device) for each in comparable] == [
        ("acrobot", DQN, "cpu"),
        ("cartpole", DQN, "cpu"),
    ]
    assert {each.why_not for each in found if each.why_not} == {"only the head has it"}
    assert [each.name for each in found if each.device == "cuda"] == ["algorithms/dqn on acrobot (cuda)"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"algorithm_version": "2"}, "algorithm version 1 and 2"),
        ({"environment_version": "2", "task_hash": "f" * 20}, "environment version 1 and 2"),
        ({"budget": 30_000, "task_hash": "f" * 20}, "budget 20000 and 30000"),
        ({"task_hash": "f" * 20}, "environment arguments, wrappers or evaluation differ"),
        (
            {"environment_id": "CartPole-v2", "task_hash": "f" * 20},
            "environment id CartPole-v1 and CartPole-v2",
        ),
    ],
)
def test_what_differs_in_task_or_version_is_not_comparable_and_says_why(pair, changed, why):
    (found,) = pair(runs(ONE), runs(ONE, **changed))
    assert found.why_not == why


def test_another_configuration_of_the_same_name_is_comparable_and_noted(pair):
    (found,) = pair(runs(ONE), runs(ONE, config='{"learning_rate": 0.2}'))
    assert (found.why_not, found.note) == ("", "its configuration differs")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"config": '{"learning_rate": 0.2}'}, "the head has more than one configuration"),
        ({"algorithm_version": "2"}, "the head has more than one algorithm version"),
    ],
)
def test_trap_a_folder_in_which_two_states_of_the_code_mix_is_not_comparable(pair, changed, why):
    """The stale runs would be identical to the base's, and pass."""
    (found,) = pair(runs(ONE), [*runs(ONE), *runs(ONE, seeds=range(5, 10), **changed)])
    assert found.why_not == why


def test_two_runs_of_one_seed_are_not_comparable(pair):
    (found,) = pair(runs(ONE), [*runs(ONE), *runs(ONE, fingerprint="other")])
    assert found.why_not == "the head has several runs of one seed"


def test_a_run_that_the_measure_cannot_measure_makes_its_task_not_comparable(pair, tmp_path):
    base = stored(tmp_path / "b", runs(ONE))
    head = stored(tmp_path / "h", runs(ONE))
    lost = replace(head, episodes=head.episodes.iloc[:0])
    (found,) = matched(base, lost, "online_return")
    assert found.why_not == "a run of the head has nothing that this measure could measure"


def test_other_budgets_in_a_folder_are_tasks_of_their_own(pair):
    short = runs(ONE, budget=5_000, task_hash="f" * 20)
    found = pair([*runs(ONE), *short], [*runs(ONE), *short])
    assert sorted(each.budget for each in found) == [5_000, 20_000]
    assert not any(each.why_not for each in found)


def test_names_that_labels_shorten_differently_are_matched_all_the_same(pair):
    """In the head, two plugins share the name dqn, and its label is longer."""
    found = pair(runs(ONE), [*runs(ONE), *runs(ONE, algorithm="sb3/dqn")])
    assert [each.algorithm for each in found if not each.why_not] == [DQN]


def test_two_algorithms_of_one_folder_are_contrasted_by_full_or_short_name(tmp_path):
    results = stored(tmp_path, [*runs(FOUR[:2]), *runs(FOUR[:2], algorithm="sb3/ppo:fast", drop=0.3)])
    for names in ((DQN, "sb3/ppo:fast"), ("dqn", "ppo:fast")):
        found = contrasted(results, *names, AREA)
        assert [(each.environment, each.algorithm, each.why_not) for each in found] == [
            ("acrobot", "sb3/ppo:fast", ""),
            ("cartpole", "sb3/ppo:fast", ""),
        ]
        assert found[0].base[0].value > found[0].head[0].value


@pytest.mark.parametrize("name", ["ppo[noise=0.1,copies=2]", "sb3/ppo[copies = 2, noise = 1e-1]"])
def test_overrides_of_an_algorithm_may_be_spelled_as_in_a_suite(tmp_path, name):
    results = stored(tmp_path, [*runs(ONE), *runs(ONE, algorithm="sb3/ppo[copies=2, noise=0.1]")])
    (found,) = contrasted(results, DQN, name, AREA)
    assert found.algorithm == "sb3/ppo[copies=2, noise=0.1]"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("ppo", "sarsa"), "'sarsa' has no runs"),
        (("ppo", "dqn"), "'dqn' fits algorithms/dqn and sb3/dqn"),
        (("ppo", "sb3/ppo"), "are the same algorithm"),
    ],
)
def test_names_of_algorithms_that_are_unknown_or_fit_several_are_refused(tmp_path, names, message):
    made = [*runs(ONE), *runs(ONE, algorithm="sb3/dqn"), *runs(ONE, algorithm="sb3/ppo")]
    with pytest.raises(UsageError, match=message):
        contrasted(stored(tmp_path, made), *names, AREA)


def test_a_failed_run_gets_the_random_score(pair):
    base = runs(ONE)
    (found,) = pair(base, [ended(base[0], "diverged"), *base[1:]])
    assert found.floor == CARTPOLE.random
    assert found.scores(found.head, [0, 1]).tolist() == [CARTPOLE.random, found.base[1].value]


def test_trap_a_failed_run_is_no_better_than_the_worst_that_finished():
    """Where the base is worse than random, crashing would be an improvement."""
    below = task({0: -90.0, 1: -70.0}, {0: -80.0, 1: "crashed"}, random=-50.0)
    assert below.floor == -90.0


def test_without_a_random_score_the_floor_is_the_worst_score_of_both_sides():
    found = task({0: 5.0, 1: 7.0}, {0: 4.0, 1: "timeout"})
    assert isnan(found.random)
    assert found.scores(found.head, [0, 1]).tolist() == [4.0, 4.0]


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout", "diverged"])
def test_a_run_that_failed_by_itself_is_an_answer(status):
    found = task({0: 1.0, 1: status}, {0: status, 1: 1.0})
    assert found.head[0].judged
    assert found.newly_failing == [0]


@pytest.mark.parametrize("status", ["interrupted", "skipped"])
def test_a_run_that_something_else_ended_is_no_answer(status):
    found = task({0: 1.0}, {0: status})
    assert not found.head[0].judged
    assert not found.newly_failing


# Which seeds are looked at


def test_seeds_are_looked_at_in_the_order_of_the_suite_then_ascending():
    everything = dict.fromkeys([9, 3, 7, 1, 5], 1.0)
    seeds = chosen_seeds([task(everything, everything)], (7, 3), enough=3)
    assert seeds.base == seeds.head == [7, 3, 1, 5, 9]
    assert seeds.paired


def test_only_shared_seeds_are_looked_at_where_they_are_enough():
    more = task(dict.fromkeys(range(9), 1.0), dict.fromkeys(range(4, 8), 1.0))
    assert chosen_seeds([more], range(4, 7), 3) == ([4, 5, 6, 7], [4, 5, 6, 7], True, [])


@pytest.mark.parametrize("side", ["base", "head"])
def test_trap_a_seed_of_the_suite_that_one_side_never_ran_is_waited_for_even_on_a_single_task(side):
    whole = dict.fromkeys(range(5), 1.0)
    gap = {seed: 1.0 for seed in whole if seed != 1}
    seeds = chosen_seeds([task(gap, whole) if side == "base" else task(whole, gap)], range(5), 3)
    assert seeds.base == seeds.head == [0]
    assert [*map(str, seeds.unfinished)] == [f"algorithms/dqn on cartpole, seed 1: no run on the {side}"]


def test_other_seeds_do_not_pair():
    seeds = chosen_seeds([task({0: 1.0, 1: 1.0, 2: 1.0}, {2: 1.0, 3: 1.0, 4: 1.0})], range(20), 3)
    assert seeds == ([0, 1, 2], [2, 3, 4], False, [])
    assert seeds.each == 3


def test_the_order_stops_before_the_first_seed_that_a_task_has_no_answer_for():
    """Those behind it are not looked at either: which runs survive is not for chance to choose."""
    whole = dict.fromkeys(range(5), 1.0)
    tasks = [task(whole, whole), task(whole, {**whole, 2: "interrupted"}), task(whole, {0: 1.0, 1: 1.0})]
    seeds = chosen_seeds(tasks, range(5), 3)
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
    assert [each.why_not for each in scope.not_comparable] == [
        "its budget is 5,000 steps, the suite's is 20,000"
    ]


def test_what_both_sides_skipped_is_not_comparable(pair):
    skipped = [ended(run, "skipped") for run in runs(ONE)]
    scope = in_scope(suite(ONE), pair(skipped, skipped))
    assert [each.why_not for each in scope.not_comparable] == ["both sides skipped it"]


def test_a_suite_without_algorithms_asks_for_those_that_ran(pair):
    tasks = pair(runs(ONE), runs(ONE))
    assert in_scope(suite(ONE, algorithms=()), tasks).tasks == tasks
