"""The commands `list`, `show` and `plugins`."""

import json
import subprocess
import sys
from typing import Any

import pytest

from harness.commands import cli
from support.fake_distributions import ALGORITHM, Install

Capture = pytest.CaptureFixture[str]

CODE = """
from dataclasses import dataclass, field
print("noise")
@dataclass(frozen=True)
class Schedule:
    start: float = 1.0  # probability
@dataclass(frozen=True)
class Config:
    learning_rate: float = 1e-3  # of Adam
    epsilon: Schedule = field(default_factory=lambda: Schedule(0.5))
"""


@pytest.fixture
def alone(install: Install, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Only the plugin named "fake" is loaded."""
    monkeypatch.setenv("HARNESS_PLUGINS", "fake")
    return install


def output(capsys: Capture, *arguments: str) -> str:
    assert cli.main(arguments) == 0
    return capsys.readouterr().out


def as_json(capsys: Capture, *arguments: str) -> Any:
    return json.loads(output(capsys, *arguments, "--json"))


def test_list_imports_nothing_heavy_with_every_installed_plugin():
    program = (
        "import sys; from harness.commands.cli import main;"
        "main(['list', 'algorithms']); main(['list', 'environments']);"
        "print([name for name in ('torch', 'gymnasium', 'pandas', 'numpy', 'pydantic') if name in sys.modules])"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert printed.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("what", "expected"), [("algorithms", "fake/quick"), ("suites", "harness/quickstart")])
def test_list_names_ids_for_people_and_for_programs(alone: Install, capsys: Capture, what: str, expected: str):
    alone("fake", ALGORITHM.format(name="quick", module="fake_code"))
    assert expected in output(capsys, "list", what)
    assert expected in [record["id"] for record in as_json(capsys, "list", what)]


def test_list_environments_shows_the_exact_gymnasium_id_and_its_scores(alone: Install, capsys: Capture):
    alone(
        "fake",
        "from harness.api import EnvironmentSpec, Score, hookimpl\nAPI = 1\n@hookimpl\n"
        "def harness_environments():\n"
        "    return [EnvironmentSpec('maze', 'Maze-v3', random_score=Score(-1.25), kwargs={'size': 4})]\n",
    )
    _, row = output(capsys, "list", "environments").splitlines()
    assert row.split() == ["fake/maze", "1", "Maze-v3", "-1.25", "-", "-"]
    (record,) = as_json(capsys, "list", "environments")
    assert (record["id"], record["spec"]["id"], record["spec"]["kwargs"]) == ("fake/maze", "Maze-v3", {"size": 4})


def test_list_says_what_an_algorithm_lacks(alone: Install, capsys: Capture):
    alone("fake", ALGORITHM.format(name="quick", module="fake_code"), requires=("absent>=3",))
    assert "unavailable: needs absent>=3" in output(capsys, "list", "algorithms")
    assert as_json(capsys, "list", "algorithms")[0]["missing"] == ["absent>=3"]


def test_what_a_plugin_writes_cannot_command_the_terminal(alone: Install, capsys: Capture):
    code = ALGORITHM.format(name="quick", module="fake_code").replace('"1"', '"1", "a\\x1b[2J\\nb"')
    alone("fake", code)
    assert output(capsys, "list", "algorithms").splitlines()[1].endswith("a?[2J b")


def test_show_lists_the_fields_of_an_algorithms_config(alone: Install, capsys: Capture):
    module = alone("fake", ALGORITHM.format(name="quick", module="fake_quick"))
    (module.parent / "fake_quick_code.py").write_text(CODE)
    record = as_json(capsys, "show", "quick")["algorithm"]
    assert record["id"] == "fake/quick"
    assert record["config"] == [
        {"key": "learning_rate", "type": "float", "default": "0.001", "meaning": "of Adam"},
        {"key": "epsilon.start", "type": "float", "default": "0.5", "meaning": "probability"},
    ]
    assert "learning_rate  float  0.001    of Adam" in output(capsys, "show", "fake/quick")


def test_show_prints_a_preset_per_line_spelled_as_overrides_are(alone: Install, capsys: Capture):
    presets = "{'slow': {'learning_rate': 0.1, 'epsilon': {'start': 0.2}}}"
    plain = ALGORITHM.format(name="quick", module="fake_quick")
    described = plain.replace('_code", "1"', f'_code", "1", presets={presets}')
    module = alone("fake", described)
    (module.parent / "fake_quick_code.py").write_text(CODE)
    lines = output(capsys, "show", "quick").splitlines()

    first = lines.index("  presets:")
    assert lines[first + 1] == "    slow: learning_rate=0.1, epsilon.start=0.2"


def test_show_still_describes_an_algorithm_whose_code_does_not_import(alone: Install, capsys: Capture):
    alone("fake", ALGORITHM.format(name="quick", module="fake_absent"))
    assert cli.main(["show", "quick", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["algorithm"]["config"] is None
    assert "the Config of 'quick' cannot be read: ModuleNotFoundError" in captured.err


def test_show_prints_the_file_of_a_suite(capsys: Capture):
    assert 'name = "quickstart"' in output(capsys, "--no-plugins", "show", "quickstart")
    assert "[suite]" in as_json(capsys, "--no-plugins", "show", "harness/quickstart")["suite"]["text"]


def test_show_of_nothing_suggests_the_nearest_name(capsys: Capture):
    assert cli.main(["--no-plugins", "show", "quickstrat"]) == 2
    assert "did you mean quickstart" in capsys.readouterr().err


def test_plugins_is_a_row_for_each_with_its_status(alone: Install, capsys: Capture):
    alone("fake", "import nobody_has_this")
    rows = {record["name"]: record for record in as_json(capsys, "plugins")}
    assert rows["harness"]["status"] == "ok"
    assert "harness/quickstart" in rows["harness"]["provides"]["suite"]
    assert (rows["fake"]["status"], rows["fake"]["error"]) == ("unavailable", "needs nobody_has_this")
    assert rows["fake"]["import_ms"] >= 0
    table = output(capsys, "plugins").splitlines()
    assert any(line.startswith("fake ") and "unavailable: needs nobody_has_this" in line for line in table)


@pytest.mark.parametrize("name", ["fake", "dist-fake", "Dist_Fake"])
def test_plugins_with_a_name_prints_the_traceback(alone: Install, capsys: Capture, name: str):
    alone("fake", "1 / 0")
    printed = output(capsys, "plugins", name)
    assert printed.startswith("fake: failed\nfrom dist-fake 1.0, module fake_dist_fake")
    assert "Traceback (most recent call last):" in printed
    assert printed.rstrip().endswith("ZeroDivisionError: division by zero")


def test_plugins_with_an_unknown_name_suggests_one(alone: Install, capsys: Capture):
    alone("fake", "API = 1")
    assert cli.main(["plugins", "fakr"]) == 4
    assert "did you mean fake?" in capsys.readouterr().err
