"""Both sides say what they would train before either does, and before the base is installed where that tells enough."""

import json
import sys
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.commands.cli import main
from harness.commits import checkout, interleaved, plans
from harness.commits.checkout import Code, NoBaseError
from harness.commits.plans import Planned, all_apart, known_to, planned
from harness.commits.question import Question, suite_file
from harness.commits.side_process import SideError
from harness.contract.errors import ExitCode
from harness.discovery.registry import Registry
from support.checkout import make_repository
from support.paths import ROOT
from support.verdicts import suite, suite_text

CARTPOLE, ACROBOT = (Planned("algorithms/dqn", f"environments/{name}", "cpu") for name in ("cartpole", "acrobot"))


def row(version: str = "1", environment: str = "1", skipped: str = "") -> dict[str, object]:
    return {"steps": 100, "skipped": skipped, "algorithm_version": version, "environment_version": environment}


def test_tasks_are_apart_where_a_version_differs_on_every_one_of_them():
    old = {CARTPOLE: row(), ACROBOT: row()}
    (first, second) = all_apart(old, {CARTPOLE: row("2"), ACROBOT: row("2", "3")})
    assert (first.name, first.why_not) == ("algorithms/dqn on cartpole", "algorithm version 1 and 2")
    assert second.why_not == "algorithm version 1 and 2, environment version 1 and 3"


def test_one_task_that_can_be_compared_is_enough_to_train():
    assert not all_apart({CARTPOLE: row(), ACROBOT: row()}, {CARTPOLE: row("2"), ACROBOT: row()})


def test_tasks_that_both_sides_skip_say_nothing():
    old, new = ({CARTPOLE: row(version), ACROBOT: row(skipped="no")} for version in "12")
    assert [task.environment for task in all_apart(old, new)] == ["cartpole"]
    assert not all_apart({ACROBOT: row(skipped="no")}, {ACROBOT: row(skipped="no")})


def test_versions_that_an_older_harness_does_not_say_part_nothing():
    assert not all_apart({CARTPOLE: {"skipped": ""}}, {CARTPOLE: row()})
    assert not all_apart({}, {CARTPOLE: row()})


def test_a_side_is_asked_for_its_plan_in_its_own_environment(tmp_path: Path):
    (tmp_path / "demo.toml").write_text(suite_text())
    question = Question(tmp_path / "demo.toml", environments=["cartpole"])
    plan = planned("head", here(tmp_path), question, suite(), tmp_path / "none")
    assert list(plan) == [CARTPOLE]
    assert (plan[CARTPOLE]["algorithm_version"], plan[CARTPOLE]["environment_version"]) == ("2", "1")


def test_a_side_without_a_plan_is_named_with_its_own_exit_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    question = Question(tmp_path / "missing.toml")
    with pytest.raises(SideError, match="the base cannot run this suite: its `harness plan` ended") as caught:
        planned("base", here(tmp_path), question, suite(), tmp_path)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "missing.toml" in capfd.readouterr().err


def test_what_the_base_has_not_yet_is_left_out_of_its_question_and_told(tmp_path):
    (tmp_path / "demo.toml").write_text(suite_text())
    question, told = Question(tmp_path / "demo.toml"), []
    added = Planned("algorithms/brand_new:small[a=1]", "environments/cartpole", "cpu")
    of_base = known_to(here(tmp_path), question, {CARTPOLE: row(), ACROBOT: row(), added: row()}, suite(), told.append)
    assert of_base == replace(question, algorithms=["algorithms/dqn"], environments=[*suite().environments])
    assert told == ["the base has no algorithms/brand_new:small[a=1] yet: there is nothing to compare with"]
    assert known_to(here(tmp_path), question, {CARTPOLE: row()}, suite(), told.append) is question


def test_a_base_that_has_nothing_of_it_is_nothing_to_compare(tmp_path):
    (tmp_path / "demo.toml").write_text(suite_text())
    added = Planned("algorithms/brand_new", "environments/cartpole", "cpu")
    with pytest.raises(NoBaseError, match="nothing to compare") as caught:
        known_to(here(tmp_path), Question(tmp_path / "demo.toml"), {added: row()}, suite(), print)
    assert caught.value.exit_code == ExitCode.NOTHING_RAN


def test_sides_are_asked_a_suite_without_its_claims(tmp_path):
    """Each would judge them, about itself alone."""
    text = (ROOT / "suites/quickstart.toml").read_text(encoding="utf-8")
    asked = tomllib.loads(suite_file("quickstart", Registry.load(), tmp_path).read_text(encoding="utf-8"))
    assert {**asked, "claims": tomllib.loads(text)["claims"]} == tomllib.loads(text)
    assert "claims" not in asked


# The command


def here(folder: Path, side: str = "here") -> Code:
    return Code("0" * 40, side, Path(sys.executable), folder)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`harness gate --base-ref main` in a repository of which the base cannot be made."""
    place = make_repository(tmp_path / "plugin")
    (tmp_path / "demo.toml").write_text(suite_text())
    monkeypatch.chdir(place)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(checkout, "checked_out", lambda *_: pytest.fail("the base was made"))
    return lambda *options: main(["gate", str(tmp_path / "demo.toml"), "--base-ref", "main", *options])


def test_a_name_that_nothing_has_is_an_ordinary_usage_error_before_the_base_is_made(gate, capfd):
    assert gate("-a", "algorithms/dqnn") == ExitCode.USAGE
    said = capfd.readouterr().err
    assert "did you mean algorithms/dqn" in said
    assert "cannot run this suite" not in said


@pytest.mark.parametrize("options", [[], ["--speed"]])
def test_a_head_that_cannot_start_is_named_before_the_base_is_made(gate, capfd, options: list[str]):
    assert gate("-a", "algorithms/dqn[no_such_setting=1]", *options) == ExitCode.USAGE
    said = capfd.readouterr().err
    assert "no_such_setting" in said
    assert "the head cannot run this suite: its `harness plan` ended with 2, as said above" in said


def test_sides_whose_versions_all_differ_are_not_trained_and_the_versions_are_named(
    gate, capfd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    @contextmanager
    def checked_out(*_):
        yield here(tmp_path, "base")

    monkeypatch.setattr(checkout, "checked_out", checked_out)
    monkeypatch.setattr(interleaved, "_run", lambda *_: pytest.fail("a side was trained"))
    versions = {"base": "1", "head": "2"}
    monkeypatch.setattr(plans, "planned", lambda side, *_: {CARTPOLE: row(versions[side])})
    files = tmp_path / "gate.json", tmp_path / "gate.xml"

    assert gate("--json", str(files[0]), "--junit", str(files[1])) == ExitCode.NOTHING_RAN
    said = capfd.readouterr()
    assert "not comparable (algorithm version 1 and 2)" in said.out
    assert "demo: nothing to compare" in said.out
    assert json.loads(files[0].read_text())["not_comparable"][0]["reason"] == "algorithm version 1 and 2"
    assert ElementTree.parse(files[1]).findall(".//skipped")
