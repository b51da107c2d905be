"""The process that trials are forked from may die: the next trial has another, or the suite ends with one line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.contract.errors import ExitCode
from harness.contract.executor import ExecutorOptions, Job
from harness.running.executor_local import LocalExecutor, NoProcessError
from support.hostile import SUITE
from support.paths import FIXTURES


def test_a_trial_that_kills_its_server_crashes_and_the_next_has_another(tmp_path: Path) -> None:
    algorithms = [f"attack[mode={json.dumps(mode)}]" for mode in ("kills_its_server", "honest")]
    lists = {"algorithms": json.dumps(algorithms), "environments": '["short"]', "seeds": 1, "steps": 60}
    (tmp_path / "suite.toml").write_text(SUITE.format(**lists))
    ended = subprocess.run(
        [sys.executable, "-m", "harness", "run", "suite.toml", "-j", "1", "--time-limit", "60"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(FIXTURES / "workers"), "HARNESS_PLUGINS": "workers"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    contents = [json.loads(path.read_text())["run"] for path in tmp_path.glob("results/hostile/*/run.json")]

    assert ended.returncode == ExitCode.INCOMPLETE, ended.stderr
    assert {json.loads(run["config"])["mode"]: run["status"] for run in contents} == {
        "kills_its_server": "crashed",
        "honest": "done",
    }


class Process:
    """A process of a server that dies the first few times it is asked."""

    deaths = 0
    asked = 0

    def __init__(self, **_: Any) -> None:
        self.pid = os.getpid()
        self.sentinel = 0

    def start(self) -> None:
        type(self).asked += 1
        if self.asked <= self.deaths:
            raise EOFError("unexpected EOF")


def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int) -> LocalExecutor:
    monkeypatch.setattr(Process, "deaths", deaths)
    monkeypatch.setattr(Process, "asked", 0)
    executor = LocalExecutor(ExecutorOptions(jobs=1))
    monkeypatch.setattr(executor, "_context", type("Context", (), {"Process": Process}))
    monkeypatch.setattr(executor, "_start_server", lambda variables: None)
    executor.start(Job("1", tmp_path, "cpu", 1, None, 1.0))
    return executor


def test_a_server_that_dies_while_it_starts_a_trial_is_started_again(tmp_path: Path, monkeypatch) -> None:
    executor = started(tmp_path, monkeypatch, deaths=2)
    assert not executor.has_room("cpu", 1)


def test_where_no_process_can_be_had_the_suite_ends_as_unfinished(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(NoProcessError, match="no process for a trial could be started: unexpected EOF") as told:
        started(tmp_path, monkeypatch, deaths=100)
    assert told.value.exit_code == ExitCode.INCOMPLETE
