"""A gate on two commits of a plugin, from git to exit code."""

import json
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from harness.commands.gate_commits import runs_of_one_state
from harness.commits.checkout import working_tree
from support.checkout import commit, git, heed_ctrl_c, install_editable, make_repository, worktrees
from support.paths import ROOT, TESTS

PLUGIN = '''
from dataclasses import dataclass
import numpy as np
from harness.api import AlgorithmSpec, hookimpl
API = 1
SHARE_OF_RIGHT_ACTIONS = 0.95

@hookimpl
def harness_algorithms():
    yield AlgorithmSpec("guess", "fake_gated", "1")

@dataclass(frozen=True)
class Config:
    pass

def train(trial, config):
    """Knows what to do in probe 4, and does it so often."""
    env = trial.make_env()
    def act(obs):
        right = trial.rng.random(len(obs)) < SHARE_OF_RIGHT_ACTIONS
        return np.where(right, env.action_space.n - 1, 0)
    trial.policy = act
    env.reset()
    while trial.within_budget:
        _, _, terminated, truncated, _ = env.step(int(act(np.zeros((1, 1)))[0]))
        if terminated or truncated:
            env.reset()
'''
SUITE = """
[suite]
name = "tiny"
version = "1"
question = "Does it still know what to do?"
environments = ["probe-4-action", "cartpole"]
algorithms = ["fake-gated/guess"]
seeds = 5
[budget]
steps = 60
[evaluation]
points = 2
episodes = 20
[gate]
measure = "final_score"
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """The plugin's repository, in whose folder the gate is called."""
    place = make_repository(tmp_path / "plugin", PLUGIN, PLUGIN + "\n# An unrelated comment.\n")
    (tmp_path / "tiny.toml").write_text(SUITE)
    venv.create(tmp_path / "environment", with_pip=False)
    packages = next((tmp_path / "environment").glob("lib/*/site-packages"))
    install_editable(place, packages)
    outer = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    lines = [f"import site; site.addsitedir({path!r})" for path in outer]
    (packages / "outer.pth").write_text("\n".join(lines) + "\n")
    return place


def gate(place: Path, *options: str) -> "subprocess.Popen[str]":
    python = place.parent / "environment" / "bin" / "python"
    suite = str(place.parent / "tiny.toml")
    return subprocess.Popen(
        [str(python), "-P", "-m", "harness", "gate", suite, "--base-ref", "main", *options],
        cwd=place,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "HARNESS_PLUGINS": "fake-gated,environments",
            "PYTHONDONTWRITEBYTECODE": "1",  # or Python itself writes beside the plugin that it imports
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )


@pytest.mark.parametrize("edited", [True, False])
def test_trap_runs_of_a_working_tree_that_is_edited_meanwhile_are_not_kept_as_those_of_one_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], edited: bool
):
    repository, cache = make_repository(tmp_path / "plugin"), tmp_path / "results" / ".gate"
    head = working_tree(repository, cache.parent)
    runs = cache / head.name / "12345678"
    runs.mkdir(parents=True)
    with runs_of_one_state(head, cache, runs.name):
        (repository / "fake_gated.py").write_text("VALUE = 3\n" if edited else "VALUE = 2\n")
    assert runs.exists() is not edited
    assert ("the working tree was changed while it was judged" in capsys.readouterr().err) is edited


@pytest.mark.slow
def test_an_unrelated_change_is_identical_and_a_broken_policy_regresses(plugin: Path):
    before = git(plugin, "status", "--porcelain")
    first = gate(plugin, "--json", "-")
    said, told = first.communicate(timeout=200)
    assert first.returncode == 0, told
    judged = json.loads(said)
    assert judged["outcome"] == "passed (identical)"
    assert judged["seeds"]["used"] == 5
    assert judged["commits"]["base"] == [git(plugin, "rev-parse", "main")]
    assert judged["commits"]["head"] == [git(plugin, "rev-parse", "HEAD")]
    assert git(plugin, "status", "--porcelain") == before
    assert worktrees(plugin) == 1

    commit(plugin, PLUGIN.replace("= 0.95", "= 0.3"))
    second = gate(plugin, "-e", "probe-4-action", "--looks", "6", "--json", "-")
    said, told = second.communicate(timeout=200)
    assert second.returncode == 1, told
    judged = json.loads(said)
    assert judged["outcome"] == "regressed"
    assert judged["overall"]["change"] < -0.4


@pytest.mark.slow
def test_an_interrupted_gate_leaves_no_worktree_and_keeps_what_is_complete(plugin: Path):
    process = gate(plugin)
    assert process.stderr is not None
    assert any(line.startswith("start") for line in process.stderr)  # of the base's first trial
    assert worktrees(plugin) == 2
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=100)
    assert process.returncode == 130
    assert told.count("harness: interrupted") == 1
    assert worktrees(plugin) == 1
    assert not list((plugin / "results" / ".gate").glob("*/*/tiny/.staging/*.lock"))


def test_the_changes_that_are_judged_on_real_commits_are_of_what_stands_there():
    sys.path.insert(0, str(TESTS / "gate"))
    from commits import CHANGES, FILE

    text = (ROOT / FILE).read_text(encoding="utf-8")
    assert [text.count(change.old) for change in CHANGES] == [1] * len(CHANGES)
