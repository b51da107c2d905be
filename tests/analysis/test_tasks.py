"""Which runs of two sides may be compared, and why others may not."""

from dataclasses import replace

import pytest

import harness
from harness.analysis.tasks import contrasted, matched
from harness.contract.errors import UsageError
from support.results import CARTPOLE
from support.verdicts import DQN, FOUR, ended, runs, stored

AREA = "area_under_curve"
ONE = (CARTPOLE,)


@pytest.fixture
def pair(tmp_path):
    """Tasks of two sides that are written and read."""

    def of(base, head, measure=AREA):
        return matched(stored(tmp_path / "base", base), stored(tmp_path / "head", head), measure)

    return of


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
        ({"environment_id": "CartPole-v2", "task_hash": "f" * 20}, "environment id CartPole-v1 and CartPole-v2"),
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
        ({"algorithm_version": "2"}, "the head has more than one algorithm version: 1, 2"),
    ],
)
def test_trap_a_folder_in_which_two_states_of_the_code_mix_is_not_comparable(pair, changed, why):
    """The stale runs would be identical to the base's, and pass."""
    (found,) = pair(runs(ONE), [*runs(ONE), *runs(ONE, seeds=range(5, 10), **changed)])
    assert found.why_not == why


def test_runs_of_one_seed_in_two_suites_are_not_comparable(pair):
    (found,) = pair(runs(ONE), [*runs(ONE), *(replace(run, suite="other", luck=1) for run in runs(ONE))])
    assert found.why_not == "the head has runs of seeds 0, 1, 2, 3, 4 in several suites"


def test_a_run_that_the_measure_cannot_measure_makes_its_task_not_comparable(pair, tmp_path):
    base = stored(tmp_path / "b", runs(ONE))
    head = stored(tmp_path / "h", runs(ONE))
    lost = replace(head, episodes=head.episodes.iloc[:0])
    (found,) = matched(base, lost, "online_return")
    assert found.why_not == "the head has no online_return with seeds 0, 1, 2, 3, 4"


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


def test_a_failed_run_gets_the_random_score_that_is_stored(pair):
    base = runs(ONE)
    (found,) = pair(base, [ended(base[0], "diverged"), *base[1:]])
    assert found.scores(found.head, [0, 1]).tolist() == [CARTPOLE.random, found.base[1].value]


def test_steps_to_other_thresholds_are_not_comparable_and_scores_are(pair, tmp_path):
    (found,) = pair(runs(ONE), runs(ONE, threshold=400.0))
    assert not found.why_not
    results = [harness.load(tmp_path / name) for name in ("base", "head")]
    (found,) = matched(*results, "steps_to_threshold")
    assert found.why_not == "threshold 475.0 and 400.0"
