"""A run that learned from more than its meter counted has a status of its own, and counts as failed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.contract.errors import ExitCode
from support.hostile import SUITE
from support.paths import FIXTURES

MODES = {"honest": "done", "reads_spaces": "done", "unwrapped": "unmetered", "made": "unmetered"}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    folder = tmp_path_factory.mktemp("cheats")
    algorithms = [f"cheat[mode={json.dumps(mode)}]" for mode in MODES]
    lists = {"algorithms": json.dumps(algorithms), "environments": '["short"]', "seeds": 1, "steps": 120}
    (folder / "suite.toml").write_text(SUITE.format(**lists))
    line = [sys.executable, "-m", "harness", "run", "suite.toml", "-j", "2"]
    told = {"PYTHONPATH": str(FIXTURES / "cheats"), "HARNESS_PLUGINS": "cheats"}
    return folder, subprocess.run(
        line, cwd=folder, env={**os.environ, **told}, capture_output=True, text=True, timeout=200
    )


def test_each_has_its_status_and_the_count(session) -> None:
    folder, ended = session
    runs = harness.load(folder / "results").runs
    modes = [json.loads(config)["mode"] for config in runs["config"]]
    errors = dict(zip(modes, runs["error"], strict=True))

    assert ended.returncode == ExitCode.INCOMPLETE, ended.stderr
    assert dict(zip(modes, runs["status"], strict=True)) == MODES
    assert errors["unwrapped"].startswith("300 steps were taken beside the meter")
    assert errors["made"].startswith("300 steps were taken beside the meter")


def test_it_counts_as_failed_and_has_no_score(session) -> None:
    folder, ended = session
    scores = harness.load(folder / "results").scores()
    scores["mode"] = [name.split('"')[1] for name in scores["algorithm"]]
    failed, mean = (scores.set_index("mode")[column] for column in ("failed", "mean"))

    assert "2 of 4 runs did not finish" in " ".join(ended.stdout.split())
    assert {mode: MODES[mode] == "unmetered" for mode in MODES} == dict(failed == 1) == dict(mean.isna())
