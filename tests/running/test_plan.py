"""From a suite to keyed runs: everything is settled and checked before anything runs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.commands.plan import parse_seeds
from harness.contract.errors import ExitCode, HarnessError, MissingPlugin, UsageError
from harness.discovery.registry import Registry
from harness.running.plan import Plan, make_cell, make_plan, trials
from harness.suite.reading import load_suite
from support.hostile import HOSTILE

SUITE = """
[suite]
name = "planned"
version = "1"
question = "What will run?"
environments = ["short", "hostile/nan-reward"]
algorithms = ["steady", "hostile/in-step[copies=2]"]
seeds = [3, 5]
[budget]
steps = 100
[environment.short]
steps = 50
"""


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HOSTILE))
        yield Registry.load(only=frozenset({"hostile"}))


@pytest.fixture(scope="module")
def plan(registry: Registry) -> Plan:
    return make_plan(load_suite(SUITE), registry)


def test_a_plan_holds_every_contestant_on_every_environment(plan: Plan):
    cells = [(cell.contestant.label, cell.environment.id, cell.task.steps) for cell in plan.cells]
    assert cells == [
        ("hostile/steady", "hostile/short", 50),
        ("hostile/in-step[copies=2]", "hostile/short", 50),
        ("hostile/steady", "hostile/nan-reward", 100),
        ("hostile/in-step[copies=2]", "hostile/nan-reward", 100),
    ]
    assert plan.runs == 8


def test_an_environment_may_have_contestants_of_its_own_unless_the_caller_names_some(registry: Registry):
    suite = load_suite(SUITE.replace("steps = 50", 'steps = 50\nalgorithms = ["hostile/in-step[copies=2]"]'))
    assert [(cell.contestant.label, cell.environment.id) for cell in make_plan(suite, registry).cells] == [
        ("hostile/in-step[copies=2]", "hostile/short"),
        ("hostile/steady", "hostile/nan-reward"),
        ("hostile/in-step[copies=2]", "hostile/nan-reward"),
    ]
    assert len(make_plan(suite, registry, ["steady"]).cells) == 2


def test_configurations_are_complete_and_overridden(plan: Plan):
    assert plan.cells[0].contestant.config == {"pause": 0.0}
    assert plan.cells[1].contestant.config == {"copies": 2}


def test_lockstep_trains_all_seeds_in_one_trial_and_others_one_each(plan: Plan):
    steady, in_step = plan.cells[:2]
    assert [trial.seeds for trial in trials(steady, [3, 5])] == [(3,), (5,)]
    assert [trial.seeds for trial in trials(in_step, [3, 5])] == [(3, 5)]


def test_every_run_has_its_own_key(plan: Plan):
    keys = [key for cell in plan.cells for key in cell.keys.values()]
    assert len(set(keys)) == len(keys) == 8


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("steps = 50", "steps = 51"), False),
        (('algorithms = ["steady", ', 'algorithms = ["steady[pause=0.1]", '), False),
        (("[environment.short]", "[evaluation]\nepisodes = 3\n[environment.short]"), False),
        (('algorithms = ["steady", ', 'algorithms = ["steady[pause=0.0]", '), True),
        (('version = "1"', 'version = "2"'), True),
        (("seeds = [3, 5]", "seeds = [5, 3, 9]"), True),
        (('name = "planned"', 'name = "renamed"'), True),
        (("[environment.short]", "[limits]\nseconds = 9\n[environment.short]"), True),
    ],
)
def test_a_key_changes_with_whatever_can_change_the_result_and_nothing_else(
    registry: Registry, plan: Plan, change: tuple[str, str], same: bool
):
    assert change[0] in SUITE
    other = make_plan(load_suite(SUITE.replace(*change)), registry)
    assert (other.cells[0].keys[3] == plan.cells[0].keys[3]) is same


def test_a_name_is_in_the_key_because_streams_are_made_of_it_and_not_in_the_task(plan: Plan):
    cell = plan.cells[0]
    entry = replace(cell.environment, spec=replace(cell.environment.spec, name="renamed"))
    renamed = make_cell(cell.contestant, entry, cell.device, cell.task, [3])
    assert renamed.keys[3] != cell.keys[3]
    assert renamed.task_hash == cell.task_hash


def test_the_array_environment_is_in_the_key_of_what_trains_on_it_alone(registry: Registry, plan: Plan):
    for cell, same in zip(plan.cells[:2], (True, False), strict=True):  # steady, and in-step, which is in lockstep
        entry = replace(cell.environment, spec=replace(cell.environment.spec, array="somewhere.arrays"))
        on_array = make_cell(cell.contestant, entry, cell.device, cell.task, [3])

        assert (on_array.keys[3] == cell.keys[3]) is same
        assert on_array.task_hash == cell.task_hash  # scores of both are comparable


@pytest.mark.parametrize(
    ("change", "key", "code"),
    [
        (('"steady"', '"stead"'), "suite.algorithms", ExitCode.USAGE),
        (('"steady"', '"nobody/stead"'), "suite.algorithms", ExitCode.MISSING),
        (('"short"', '"shor"'), "suite.environments", ExitCode.USAGE),
    ],
)
def test_a_name_in_a_suite_that_nothing_has_is_blamed_on_its_file_and_key(
    registry: Registry, change: tuple[str, str], key: str, code: ExitCode
):
    wrong = SUITE.replace("[environment.short]\nsteps = 50\n", "").replace(*change)
    assert change[1] in wrong
    with pytest.raises(HarnessError, match=f"^my.toml: {key}: (there is no|no plugin)") as caught:
        make_plan(load_suite(wrong), registry, origin="my.toml")
    assert caught.value.exit_code is code
    with pytest.raises(HarnessError, match=f"^suite '.*': {key}: "):
        make_plan(load_suite(wrong), registry)


def test_a_name_that_was_given_is_blamed_on_no_file(registry: Registry):
    with pytest.raises(UsageError, match=r"^there is no algorithm 'stead'"):
        make_plan(load_suite(SUITE), registry, ["stead"], origin="my.toml")


def test_a_contestant_whose_configuration_cannot_be_used_is_named_once(registry: Registry):
    with pytest.raises(UsageError) as caught:
        make_plan(load_suite(SUITE), registry, ["steady[paus=1.0]"])
    assert str(caught.value).count("hostile/steady[paus=1.0]") == 1


def test_a_range_of_seeds_that_runs_backwards_is_called_that():
    with pytest.raises(UsageError, match="--seeds 0,5-2: 5-2 runs backwards; write 2-5"):
        parse_seeds("0,5-2")


def test_what_is_given_replaces_what_the_suite_says(registry: Registry):
    plan = make_plan(load_suite(SUITE), registry, ["slow"], ["short"], [7])
    assert [(cell.contestant.label, dict(cell.keys).keys()) for cell in plan.cells] == [("hostile/slow", {7})]


def test_an_incompatible_pair_is_skipped_with_its_reason(registry: Registry):
    plan = make_plan(load_suite(SUITE), registry, ["steady"], ["short"], devices=["cuda"])
    assert plan.runs == 0
    assert plan.cells[0].reason == "steady trains on cpu, not cuda"


def test_an_algorithm_that_says_so_of_the_spaces_is_skipped_and_its_mistakes_are_its_own(registry: Registry):
    names = ["picky", "picky-in-vain", "steady"]
    cells = make_plan(load_suite(SUITE), registry, names).cells
    reasons = {(cell.contestant.label, cell.environment.spec.name): cell.reason for cell in cells}

    assert reasons["hostile/picky", "short"] == "4 numbers are more than 3, whatever 2 actions are for"
    assert reasons["hostile/picky", "nan-reward"] == reasons["hostile/steady", "short"] == ""
    assert "no_such_function: AttributeError" in reasons["hostile/picky-in-vain", "short"]
    assert not any(cell.fits for cell in cells if cell.reason)


@pytest.mark.parametrize(
    ("algorithms", "environments", "message"),
    [
        (["stead"], [], "did you mean.*steady"),
        (["steady:paper"], [], "hostile/steady has no preset 'paper'"),
        (["steady[paus=1.0]"], [], "paus"),
        (["steady[pause='long']"], [], "pause"),
        ([], ["long"], "has no environment 'long'; it has short, hostile/nan-reward"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_runs(
    registry: Registry, algorithms: list[str], environments: list[str], message: str
):
    with pytest.raises((UsageError, MissingPlugin), match=message):
        make_plan(load_suite(SUITE), registry, algorithms, environments)


@pytest.mark.parametrize(("text", "seeds"), [("3", (3,)), ("0-3", (0, 1, 2, 3)), ("1,5,7-9,5", (1, 5, 7, 8, 9))])
def test_seeds_are_numbers_and_ranges(text: str, seeds: tuple[int, ...]):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1-", "0-99999", "1.5", "4294967296", "0x1"])
def test_other_seeds_are_refused(text: str):
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


def test_a_plan_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry):
    monkeypatch.chdir(tmp_path)
    make_plan(load_suite(SUITE), registry)
    assert list(tmp_path.iterdir()) == []
