import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from harness.api import AlgorithmSpec, EnvironmentSpec
from harness.commands.new import command
from harness.contract.errors import UsageError
from harness.measuring.environments import make
from harness.measuring.training import run_training
from harness.scaffold import render_plugin, write_plugin
from support.paths import ROOT
from support.trial import local_trial

KINDS = ("algorithm", "environment")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def installed(kind, tmp_path, monkeypatch):
    """Import path of a new plugin, importable."""
    name = f"fresh-{kind}"
    monkeypatch.syspath_prepend(write_plugin(kind, name, tmp_path))
    return f"harness_fresh_{kind}"


def test_every_file_parses_and_nothing_is_left_to_fill_in(kind):
    for path, content in render_plugin(kind, "my-plug_in2").items():
        left = re.findall(r"\$\w+", path + content)
        assert set(left) <= {"$PLUGIN", "$ALGORITHM", "$SUITE", "$GITHUB_BASE_REF", "$code"}, (
            path
        )  # which are the shell's
        assert content.endswith("\n")
        if path.endswith(".py"):
            ast.parse(content)


def test_the_metadata_name_an_entry_point_that_loads(kind, installed, tmp_path):
    metadata = tomllib.loads((tmp_path / f"harness-fresh-{kind}" / "pyproject.toml").read_text())
    assert metadata["project"]["name"] == f"harness-fresh-{kind}"
    assert metadata["project"]["entry-points"]["harness"] == {f"fresh-{kind}": installed}
    assert metadata["tool"]["setuptools"]["packages"] == [installed]
    assert importlib.import_module(installed).API == 1


def test_a_new_algorithm_has_the_workflow_of_the_example():
    example = ROOT / "plugins" / "example" / ".github" / "workflows" / "ci.yml"
    written = render_plugin("algorithm", "example")[".github/workflows/ci.yml"]
    assert written == example.read_text(encoding="utf-8").replace("example/hill-climbing", "example/example")


@pytest.mark.slow
def test_a_new_plugin_passes_its_own_tests_the_contract_among_them(kind, tmp_path):
    plugin = write_plugin(kind, "untouched", tmp_path)
    info = plugin / "harness_untouched-0.1.0.dist-info"  # as an editable installation would leave it
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harness-untouched\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[harness]\nuntouched = harness_untouched\n")
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    environment = {**os.environ, "PYTHONPATH": str(plugin)}
    result = subprocess.run(line, cwd=plugin, env=environment, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stdout
    assert "warning" not in result.stdout


def test_the_algorithm_learns(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(write_plugin("algorithm", "climber", tmp_path))
    (spec,) = importlib.import_module("harness_climber").harness_algorithms()
    assert isinstance(spec, AlgorithmSpec)
    assert spec.name == "climber"
    module = importlib.import_module(spec.target)
    trial = local_trial(EnvironmentSpec("cartpole", "CartPole-v1"), budget=5_000, points=1, episodes=5)
    run_training(trial, module.train, module.Config())
    returns = [evaluation.value for evaluation in trial.runs[0].evaluations]
    assert np.mean(returns[-5:]) > 2 * np.mean(returns[:5])


def corridor_value(right: float, length: int, slip: float, horizon: int) -> float:
    """Expected return of choosing right with a probability, by backward induction."""
    moved_right = right * (1 - slip) + (1 - right) * slip
    value = np.zeros(length)
    for _ in range(horizon):
        onward, back = np.append(value[1:], 0.0), np.insert(value[:-1], 0, value[0])
        value = -1 + moved_right * onward + (1 - moved_right) * back
        value[-1] = 0.0
    return float(value[0])


def test_the_scores_of_the_environment_are_exact(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(write_plugin("environment", "corridor", tmp_path))
    (spec,) = importlib.import_module("harness_corridor").harness_environments()
    env = make(spec)
    module = importlib.import_module("harness_corridor.environment")
    corridor = module.LENGTH, module.SLIP, env.spec.max_episode_steps
    assert spec.random_score.value == pytest.approx(corridor_value(0.5, *corridor), abs=1e-4)
    assert spec.reference_score.value == pytest.approx(corridor_value(1.0, *corridor), abs=1e-4)
    check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize(
    "name", ["", "../x", "/x", "a/b", ".", "a.b", "A", "-a", "a-", "a b", "ü", "a" * 41, "a\n", "$kind"]
)
def test_names_that_are_no_plain_names_are_refused(kind, name, tmp_path):
    with pytest.raises(UsageError, match="cannot name a plugin"):
        write_plugin(kind, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=8))
def test_accepted_names_make_files_inside_the_folder_only(name):
    try:
        files = render_plugin("algorithm", name)
    except UsageError:
        return
    assert not any(path.startswith("/") or ".." in path for path in files)
    compile(files[next(path for path in files if path.endswith("__init__.py"))], name, "exec")


@pytest.mark.parametrize("name", ["harness", "algorithms", "environments"])
def test_names_of_installed_plugins_are_refused(name, tmp_path):
    with pytest.raises(UsageError, match="installed already"):
        write_plugin("algorithm", name, tmp_path)


def test_nothing_is_overwritten(kind, tmp_path):
    (tmp_path / "harness-mine").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        write_plugin(kind, "mine", tmp_path)
    assert list((tmp_path / "harness-mine").iterdir()) == []


def test_the_command_prints_the_folder(kind, tmp_path):
    result = CliRunner().invoke(command, [kind, "mine", "--into", str(tmp_path)])
    assert result.stdout == f"{tmp_path / 'harness-mine'}\n"
    assert "harness check mine" in result.stderr
    assert (tmp_path / "harness-mine" / "pyproject.toml").is_file()
