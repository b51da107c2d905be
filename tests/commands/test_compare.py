"""Two sides compared: how much, how sure, and what is said of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.comparison import Finding, compare, compare_algorithms
from harness.commands.cli import main
from harness.contract.errors import ExitCode
from harness.statistics.intervals import difference
from harness.statistics.multiplicity import holm
from harness.statistics.runs import ragged
from harness.suite.measures import GATED
from support.results import CARTPOLE, Environment
from support.verdicts import DQN, FOUR, ended, runs, some, stored

AREA = "area_under_curve"
ONE = (CARTPOLE,)


@pytest.fixture
def compared(tmp_path):
    """The comparison of two sides that are written and read."""

    def of(base, head, measure=AREA):
        folder = tmp_path / str(len([*tmp_path.iterdir()]))
        return compare(stored(folder / "base", base), stored(folder / "head", head), measure)

    return of


def verdicts(comparison):
    return [str(row.verdict) for row in comparison.tasks]


def areas(made, environment):
    """Of curves of three points, at 0, half and all of the budget."""
    curves = [run.scores for run in made if run.environment is environment]
    return [first / 4 + second / 2 + last / 4 for first, second, last in curves]


# Every verdict


def test_worse_and_better_are_said_where_the_adjusted_p_value_allows_it(compared):
    head = [*runs(FOUR[:1], drop=0.4), *runs(FOUR[1:2], drop=-0.2), *runs(FOUR[2:], noise=0.05)]
    found = compared(runs(), head)
    assert verdicts(found) == ["worse", "better", "~", "~"]
    assert all((row.p_adjusted <= 0.05) == (row.verdict is not Finding.UNCLEAR) for row in found.tasks)


def test_the_same_on_both_sides_is_no_difference(compared):
    found = compared(runs(), runs())
    assert verdicts(found) == ["~"] * 4
    assert {row.p for row in (*found.tasks, *found.overall)} == {1.0}
    assert {row.difference for row in found.tasks} == {0.0}


def test_a_run_that_fails_where_the_base_was_done_is_newly_failing(compared):
    found = compared(runs(FOUR[:2]), some(runs(FOUR[:2], drop=-0.5), "diverged", seed=3, environment="cartpole"))
    row = found.tasks[1]
    assert (row.verdict, row.reason) == (Finding.NEWLY_FAILING, "seed 3")
    assert (row.base_failed, row.head_failed) == (0, 1)


def test_failed_runs_count_as_the_floor_and_are_counted(compared):
    base = runs(ONE)
    (row,) = compared(base, some(base, "crashed", seed=0)).tasks
    assert row.head == pytest.approx(np.mean([CARTPOLE.random, *areas(base, CARTPOLE)[1:]]))
    assert (row.head_runs, row.head_failed) == (5, 1)


def test_versions_are_not_comparable_and_never_averaged(compared):
    found = compared(runs(FOUR[:3]), [*runs(FOUR[:2], noise=0.1), *runs(FOUR[2:3], algorithm_version="2")])
    row = found.tasks[2]
    assert (row.verdict, row.reason) == (Finding.NOT_COMPARABLE, "algorithm version 1 and 2")
    assert np.isnan([row.base, row.head, row.difference, row.p]).all()
    assert [each.tasks for each in found.overall] == [2]


def test_a_side_without_an_answer_is_not_comparable(compared):
    (row,) = compared(runs(ONE), [ended(run, "interrupted") for run in runs(ONE)]).tasks
    assert (row.verdict, row.reason) == (Finding.NOT_COMPARABLE, "no run of the head is done")


def test_another_configuration_under_the_same_name_is_compared_and_noted(compared):
    (row,) = compared(runs(ONE), runs(ONE, noise=0.1, config="{}")).tasks
    assert (row.verdict, row.reason) == (Finding.UNCLEAR, "its configuration differs")


# What the numbers are


@pytest.mark.parametrize("measure", GATED)
def test_the_numbers_are_those_of_the_measure(compared, measure):
    base, head = runs(ONE), runs(ONE, noise=0.2)
    (row,) = compared(base, head, measure).tasks
    expected = {
        "area_under_curve": [np.mean(areas(side, CARTPOLE)) for side in (base, head)],
        "final_score": [np.mean([run.scores[-1] for run in side]) for side in (base, head)],
        "online_return": [
            np.mean([run.tables()["episodes"]["return"].to_numpy().mean() for run in side]) for side in (base, head)
        ],
    }[measure]
    assert [row.base, row.head] == pytest.approx(expected)
    assert row.difference == pytest.approx(expected[1] - expected[0])


def test_differences_and_intervals_are_those_of_the_shared_seeds(compared):
    base, head = runs(ONE, range(12)), runs(ONE, range(4, 9), drop=0.1, noise=0.1)
    (row,) = compared(base, head).tasks
    assert (row.base_runs, row.head_runs, row.pairs) == (5, 5, 5)
    old, new = (ragged([areas(side, CARTPOLE)]) for side in (base[4:9], head))
    expected = difference(new, old, paired=True)
    assert (row.difference, row.low, row.high) == pytest.approx(expected[:3])


def test_other_seeds_are_compared_without_pairing(compared):
    (row,) = compared(runs(ONE, range(10)), runs(ONE, range(20, 25), drop=0.5)).tasks
    assert (row.base_runs, row.head_runs, row.pairs) == (10, 5, 0)
    assert row.verdict is Finding.WORSE


def test_an_interrupted_run_makes_no_pair(compared):
    (row,) = compared(runs(ONE), some(runs(ONE), "interrupted", seed=0)).tasks
    assert row.pairs == 4


def test_below_three_runs_there_is_a_difference_and_no_interval(compared):
    (row,) = compared(runs(ONE, range(2)), runs(ONE, range(2), drop=0.5)).tasks
    assert row.difference < 0
    assert np.isnan([row.low, row.high]).all()
    assert row.verdict is Finding.UNCLEAR


def test_trap_five_pairs_can_say_something_although_their_signs_cannot(compared):
    """Two-sided, the signs of five differences have no p-value below 1/16; labels of five runs a side have."""
    (row,) = compared(runs(ONE), runs(ONE, drop=0.5)).tasks
    assert row.pairs == 5
    assert (row.verdict, row.p) == (Finding.WORSE, pytest.approx(2 / 252))


def test_p_values_are_adjusted_for_the_number_of_tasks(compared):
    found = compared(runs(), runs(drop=0.05, noise=0.1))
    assert [row.p_adjusted for row in found.tasks] == pytest.approx(holm([row.p for row in found.tasks]))


# Overall


def test_overall_scores_are_normalised_by_frozen_numbers(compared):
    base, head = runs(FOUR[:2]), runs(FOUR[:2], drop=0.5)
    (row,) = compared(base, head).overall
    assert row.environment == "all"
    shares = [
        [(area - each.random) / (each.reference - each.random) for area in areas(side, each)]
        for side in (base, head)
        for each in FOUR[:2]
    ]
    assert row.base == pytest.approx(np.mean(shares[:2]))
    assert row.head == pytest.approx(np.mean(shares[2:]))
    assert row.verdict is Finding.WORSE


def test_overall_there_is_one_row_per_algorithm(compared):
    both = [*runs(FOUR[:2]), *runs(FOUR[:2], algorithm="sb3/dqn"), *runs(FOUR[:1], algorithm="sb3/ppo")]
    found = compared(both, both)
    assert [(row.algorithm, row.tasks) for row in found.overall] == [(DQN, 2), ("sb3/dqn", 2)]


def test_without_a_common_scale_the_overall_row_has_a_test_and_no_difference(compared):
    unknown = (Environment("unknown", "Unknown-v0", None, None, None), CARTPOLE)
    (row,) = compared(runs(unknown), runs(unknown, drop=0.5)).overall
    assert np.isnan(row.difference)
    assert row.verdict is Finding.WORSE
    assert row.reason == "no common scale: a task has no reference score"


def test_small_drops_everywhere_are_seen_overall_before_they_are_on_any_task(compared):
    found = compared(runs(spread=0.3), runs(spread=0.3, drop=0.05, noise=0.01))
    assert verdicts(found) == ["~"] * 4
    assert found.overall[0].verdict is Finding.WORSE


def arriving(environment, steps, **changes):
    """Runs that are at the threshold from these steps on."""
    made = []
    for seed, first in enumerate(steps):
        scores = tuple(1e6 if 1_000 * k >= first else -1e6 for k in range(environment.budget // 1_000 + 1))
        made.append(replace(runs((environment,), [seed])[0], scores=scores, **changes))
    return made


def test_of_a_measure_that_is_better_where_it_is_less_fewer_are_better(compared):
    two = FOUR[:2]
    base = [run for each in two for run in arriving(each, range(8_000, 16_000, 1_000))]
    head = [run for each in two for run in arriving(each, range(2_000, 10_000, 1_000))]
    found = compared(base, head, "steps_to_threshold")
    assert verdicts(found) == ["better", "better"]
    assert [row.difference for row in found.tasks] == [-6_000, -6_000]
    (row,) = found.overall
    assert (row.verdict, row.reason) == (Finding.BETTER, "no common scale: it is no return")
    assert np.isnan(row.difference)


def test_a_failed_run_without_a_score_makes_its_task_not_comparable(compared):
    unknown = (Environment("unknown", "Unknown-v0", None, None, None),)
    (row,) = compared(runs(unknown), some(runs(unknown), "crashed", seed=0)).tasks
    assert row.verdict is Finding.NOT_COMPARABLE
    assert row.reason.endswith("declare random_score")
    (row,) = compared(runs(ONE), some(runs(ONE), "crashed", seed=0), "diagnostic_loss").tasks
    assert row.reason == "a failed run has no diagnostic_loss"


# Two algorithms of one


def test_two_algorithms_are_compared_and_the_second_is_judged(tmp_path):
    made = [*runs(FOUR[:2]), *runs(FOUR[:2], algorithm="sb3/dqn:big", drop=0.5)]
    results = stored(tmp_path, made)
    assert verdicts(compare_algorithms(results, "algorithms/dqn", "dqn:big", AREA)) == ["worse"] * 2
    assert verdicts(compare_algorithms(results, "dqn:big", "algorithms/dqn", AREA)) == ["better"] * 2


def test_of_two_algorithms_none_is_newly_failing(tmp_path):
    made = [*runs(ONE), *some(runs(ONE, algorithm="sb3/ppo"), "failed", seed=1)]
    (row,) = compare_algorithms(stored(tmp_path, made), "dqn", "ppo", AREA).tasks
    assert row.verdict is Finding.UNCLEAR
    assert row.head_failed == 1


# Invariants


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100), st.sampled_from([0.0, 0.1, 0.5]), st.booleans())
def test_swapping_the_sides_swaps_better_and_worse_and_nothing_else(compared, first, drop, shared):
    seeds = range(first, first + 4)
    one = runs(FOUR[:2], seeds)
    other = runs(FOUR[:2], seeds if shared else range(200, 204), drop=drop, noise=0.1)
    swapped = {"better": "worse", "worse": "better"}
    found, back = compared(one, other), compared(other, one)
    for row, mirror in zip((*found.tasks, *found.overall), (*back.tasks, *back.overall), strict=True):
        assert swapped.get(row.verdict, row.verdict) == mirror.verdict
        assert (row.p, row.p_adjusted) == pytest.approx((mirror.p, mirror.p_adjusted))
        assert row.difference == pytest.approx(-mirror.difference)
        if row.tasks == 1:
            assert (row.low, row.high) == pytest.approx((-mirror.high, -mirror.low))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100), st.floats(-500, 500))
def test_a_constant_added_to_both_sides_moves_no_difference(compared, first, constant):
    base, head = (runs(ONE, range(first, first + 5), noise=noise) for noise in (0.0, 0.2))
    moved = [[replace(run, scores=tuple(s + constant for s in run.scores)) for run in side] for side in (base, head)]
    (row,), (again,) = compared(base, head).tasks, compared(*moved).tasks
    assert (again.difference, again.low, again.high) == pytest.approx((row.difference, row.low, row.high))
    assert (again.p, again.verdict) == (row.p, row.verdict)


# The command


@pytest.fixture
def folders(tmp_path):
    head = [*runs(FOUR[:2], drop=0.5), *runs(FOUR[2:], algorithm_version="2")]
    stored(tmp_path / "base", [*runs(), *runs(FOUR[:1], algorithm="sb3/dqn")])
    stored(tmp_path / "head", head)
    return str(tmp_path / "base"), str(tmp_path / "head")


def test_the_command_prints_a_row_per_task_and_one_overall(folders, capsys):
    assert main(["compare", *folders]) == ExitCode.YES
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"area_under_curve: head {folders[1]}, base {folders[0]}"
    assert lines[2].split()[:4] == ["environment", "algorithm", "n", "base"]
    assert [line.split()[0] for line in lines[3:]] == [
        "acrobot",
        "acrobot",
        "cartpole",
        "cliff-walking",
        "frozen-lake",
        "all",
    ]
    assert lines[3].endswith("  worse")
    assert "not comparable (algorithm version 1 and 2)" in lines[6]
    assert lines[-1].endswith("worse (normalised scores)")
    assert "5 pairs" in lines[3]


def test_the_command_prints_json(folders, capsys):
    assert main(["compare", *folders, "--measure", "final_score", "--json"]) == ExitCode.YES
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["measure"]) == (1, "final_score")
    assert {row["verdict"] for row in told["rows"]} == {"worse", "not comparable"}


def test_the_command_compares_two_algorithms_of_one_folder(folders, capsys):
    assert main(["compare", folders[0], "--algorithms", "algorithms/dqn", "sb3/dqn", "--json"]) == ExitCode.YES
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["verdict"] for row in rows] == ["~", *["not comparable"] * 3]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([0], ExitCode.USAGE),
        ([0, 1, "--algorithms", "a", "b"], ExitCode.USAGE),
        ([0, "--algorithms", "a", "b"], ExitCode.USAGE),
        ([0, "--algorithms", "a"], ExitCode.USAGE),
        ([0, "missing"], ExitCode.USAGE),
        ([0, 1, "--measure", "elegance"], ExitCode.USAGE),
        ([0, 1, "--measure", "worst_quarter"], ExitCode.USAGE),
    ],
)
def test_other_uses_and_measures_are_refused(folders, arguments, code):
    assert main(["compare", *(folders[each] if isinstance(each, int) else each for each in arguments)]) == code


@pytest.mark.parametrize("options", [["base", "none"], ["none", "base"], ["none", "--algorithms", "a", "b"]])
def test_a_folder_without_runs_is_refused(tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "base", runs(ONE))
    (tmp_path / "none").mkdir()
    assert main(["compare", *options]) == ExitCode.USAGE
    assert "none: holds no run" in capsys.readouterr().err


def test_the_command_takes_diagnostics_by_name(folders, capsys):
    assert main(["compare", *folders, "--measure", "diagnostic_loss"]) == ExitCode.YES
    assert capsys.readouterr().out.startswith("diagnostic_loss: head")


def test_nothing_comparable_is_exit_code_5(tmp_path):
    stored(tmp_path / "base", runs(ONE))
    stored(tmp_path / "head", runs(ONE, algorithm_version="2"))
    assert main(["compare", str(tmp_path / "base"), str(tmp_path / "head")]) == ExitCode.NOTHING_RAN


def test_results_compare_gives_the_same_table(tmp_path):
    base, head = (stored(tmp_path / "base", runs(FOUR[:2])), stored(tmp_path / "head", runs(FOUR[:2], drop=0.5)))
    table = base.compare(head)
    assert table["environment"].tolist() == ["acrobot", "cartpole", "all"]
    assert (table["difference"] < 0).all()
    assert base.compare(head, "final_score")["base"][0] > table["base"][0]
