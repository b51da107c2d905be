"""Real kills of real processes: nothing is lost but trials in flight, nothing done is run again."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import harness as package
from support.hostile import harness, start, stored_runs, write_suite
from support.paths import TESTS

KILLS = 20
SEEDS = 24
VARYING = ("train_seconds",)  # columns that no two runs share


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    suite = write_suite(folder, ["slow"], ["short"], SEEDS, steps=150)
    assert harness("run", suite, cwd=folder).returncode == 0
    return folder


def assert_same_tables(folder: Path, expected: Path) -> None:
    """The tables of two results folders are the same, but for what the clock says."""
    ours, theirs = (package.load(place / "results" / "hostile") for place in (folder, expected))
    for name in ("evaluations", "episodes"):
        left, right = (
            getattr(results, name)
            .drop(columns=list(VARYING))
            .sort_values(["key", "episode", "step"])
            .reset_index(drop=True)
            for results in (ours, theirs)
        )
        assert left.equals(right)
    assert list(ours.runs["fingerprint"].sort_values()) == list(theirs.runs["fingerprint"].sort_values())
    assert set(ours.runs["status"]) == {"done"}


def await_first_trial(session: "subprocess.Popen[str]") -> bool:
    """Wait until a trial starts; False if the session ends without one."""
    assert session.stderr is not None
    return any(line.startswith("start") for line in session.stderr)


def workers(session: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The processes in which trials of a session run: children of its fork server, in their own sessions."""
    with contextlib.suppress(psutil.NoSuchProcess):
        descendants = psutil.Process(session.pid).children(recursive=True)
        return [p for p in descendants if os.getsid(p.pid) == p.pid]
    return []


@pytest.mark.slow
def test_killing_the_harness_at_twenty_moments_loses_and_repeats_nothing(tmp_path: Path, uninterrupted: Path):
    moments = random.Random(20)
    suite = write_suite(tmp_path, ["slow"], ["short"], SEEDS, steps=150)
    done: dict[str, dict] = {}
    for _ in range(KILLS):
        session = start("run", suite, cwd=tmp_path)
        if await_first_trial(session):
            time.sleep(moments.uniform(0, 0.5))
        session.kill()
        session.wait()
        now = stored_runs(tmp_path)
        assert {key: now[key] for key in done} == done
        done = {key: run for key, run in now.items() if run["status"] == "done"}
    finished = harness("run", suite, cwd=tmp_path)
    after = stored_runs(tmp_path)

    assert finished.returncode == 0, finished.stderr
    assert {key: after[key] for key in done} == done
    assert_same_tables(tmp_path, uninterrupted)
    assert list((tmp_path / "results" / "hostile" / ".staging").iterdir()) == []


def test_workers_end_with_the_harness_that_was_killed(tmp_path: Path):
    suite = write_suite(tmp_path, ["loops"], ["short"], 2)
    session = start("run", suite, cwd=tmp_path)
    while len(at_work := workers(session)) < 2:
        assert session.poll() is None
        time.sleep(0.05)
    session.kill()
    session.wait()
    _, alive = psutil.wait_procs(at_work, timeout=10)

    assert len(at_work) == 2
    assert alive == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
@pytest.mark.parametrize("command", ["plan", "check"])
def test_what_imports_a_plugin_to_ask_it_ends_with_the_harness_that_was_killed(tmp_path: Path, command: str):
    suite = write_suite(tmp_path, ["hangs-at-import"], ["short"])
    session = start(command, suite if command == "plan" else "hangs-at-import", cwd=tmp_path)
    while not any("harness." in word for child in psutil.Process(session.pid).children() for word in child.cmdline()):
        assert session.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # so that it imports
    asked = psutil.Process(session.pid).children(recursive=True)
    session.kill()
    session.wait()
    _, alive = psutil.wait_procs(asked, timeout=10)

    assert asked
    assert alive == []


@pytest.mark.slow
def test_killing_workers_at_twenty_moments_costs_those_trials_alone(tmp_path: Path, uninterrupted: Path):
    moments = random.Random(21)
    suite = write_suite(tmp_path, ["slow"], ["short"], SEEDS, steps=150)
    killed = 0
    while killed < KILLS:
        session = start("run", suite, cwd=tmp_path)
        await_first_trial(session)
        while session.poll() is None and killed < KILLS:
            time.sleep(moments.uniform(0.05, 0.3))
            if at_work := workers(session):
                with contextlib.suppress(psutil.NoSuchProcess):
                    moments.choice(at_work).kill()
                    killed += 1
        _, errors = session.communicate()
        statuses = {run["status"] for run in stored_runs(tmp_path).values()}
        assert statuses <= {"done", "crashed"}
        assert session.returncode == (3 if "crashed" in statuses else 0), errors
        if statuses == {"done"}:
            break
    finished = harness("run", suite, cwd=tmp_path)

    assert killed > 0
    assert finished.returncode == 0, finished.stderr
    assert_same_tables(tmp_path, uninterrupted)


@pytest.mark.slow
def test_whatever_is_killed_the_same_command_goes_on_and_ends_as_if_nothing_had_been():
    """The harness, a trial, the process group, the fork server and a compaction; ``support.kills 300`` kills more."""
    line = [sys.executable, "-m", "support.kills", "5"]
    tried = subprocess.run(
        line, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True, timeout=280
    )
    assert tried.stdout.endswith(" 0 findings\n"), tried.stdout + tried.stderr


def test_two_sessions_on_one_folder_share_the_work_and_repeat_none_of_it(tmp_path: Path, uninterrupted: Path):
    suite = write_suite(tmp_path, ["slow"], ["short"], SEEDS, steps=150)
    sessions = [start("run", suite, "-j", "1", cwd=tmp_path) for _ in range(2)]
    outputs = [session.communicate()[1] for session in sessions]
    trained = [sum(line.startswith("done") for line in output.splitlines()) for output in outputs]

    assert [session.returncode for session in sessions] == [0, 0], outputs
    assert sum(trained) == SEEDS
    assert_same_tables(tmp_path, uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_session_records_its_trials_and_ends_with_130(tmp_path: Path, number: int):
    suite = write_suite(tmp_path, ["loops", "steady"], ["short"], 1)
    session = start("run", suite, "-j", "2", cwd=tmp_path)
    while not (stored_runs(tmp_path) and workers(session)):
        assert session.poll() is None
        time.sleep(0.05)
    session.send_signal(number)
    _, errors = session.communicate(timeout=60)
    statuses = {run["algorithm"]: run["status"] for run in stored_runs(tmp_path).values()}

    assert session.returncode == 130, errors
    assert statuses == {"hostile/loops": "interrupted", "hostile/steady": "done"}
