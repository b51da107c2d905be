"""What a job leaves in its folder, or running, hurts that run and nothing else."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from support.hostile import SUITE
from support.paths import FIXTURES

UNUSABLE, NO_RESULT = "outcome.json: ", "it left no usable result: evaluations.parquet is "
ATTACKS = {
    "honest": ("done", ""),
    "log_fifo": ("done", ""),
    "log_sparse": ("done", ""),
    "log_link": ("done", ""),
    "progress_fifo": ("done", ""),
    "progress_sparse": ("done", ""),
    "outcome_fifo": ("crashed", UNUSABLE + "not a regular file"),
    "outcome_sparse": ("crashed", UNUSABLE + "larger than"),
    "outcome_link": ("crashed", UNUSABLE),
    "run_fifo": ("failed", NO_RESULT + "missing"),
    "run_is_a_file": ("failed", NO_RESULT + "missing"),
    "run_is_a_link": ("failed", NO_RESULT + "missing"),
    "run_holds_links": ("failed", NO_RESULT + "missing"),
    "run_holds_folders": ("failed", NO_RESULT + "missing"),
    "run_holds_rubbish": ("failed", NO_RESULT + "not a readable Parquet file"),
    "job_is_gone": ("crashed", "left no outcome"),
    "done_without_data": ("failed", NO_RESULT + "missing"),
    "done_without_runs": ("failed", "it left no result of this run"),
    "steps_are_text": ("crashed", UNUSABLE + ".*steps"),
    "steps_beyond_64_bits": ("crashed", UNUSABLE + ".*steps"),
    "steps_of_5000_digits": ("crashed", UNUSABLE),
    "runs_are_a_number": ("crashed", UNUSABLE + ".*runs"),
    "runs_are_numbers": ("crashed", UNUSABLE + ".*runs"),
    "status_of_its_own": ("crashed", UNUSABLE + ".*status"),
    "a_list": ("crashed", UNUSABLE),
    "seconds_that_are_no_number": ("crashed", UNUSABLE),
    "seconds_of_400_digits": ("crashed", UNUSABLE),
    "hardware_nested": ("crashed", UNUSABLE),
    "nested_deep": ("crashed", UNUSABLE),
    "half_a_character": ("crashed", UNUSABLE),
    "error_of_50_megabytes": ("crashed", UNUSABLE + "larger than"),
    "error_of_5_megabytes": ("failed", "characters ..."),
    "raises_30_megabytes": ("failed", "characters ..."),
    "escapes_a_crash": ("crashed", "SIGSEGV"),
    "escapes_an_exit": ("crashed", "left no outcome"),
    "forks_twice": ("crashed", "exit code 3"),
    "holds_the_pipe": ("crashed", "SIGKILL"),
    "breeds": ("crashed", "left no outcome"),
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[bytes]"]:
    folder = tmp_path_factory.mktemp("workers")
    (folder / "outside").mkdir()
    algorithms = [f"attack[mode={json.dumps(mode)}]" for mode in ATTACKS]
    lists = {"algorithms": json.dumps(algorithms), "environments": '["short"]', "seeds": 1, "steps": 60}
    (folder / "suite.toml").write_text(SUITE.format(**lists))
    told = {"PYTHONPATH": str(FIXTURES / "workers"), "HARNESS_PLUGINS": "workers"}
    return folder, subprocess.run(
        [sys.executable, "-m", "harness", "run", "suite.toml", "-j", "2", "--time-limit", "30"],
        cwd=folder,
        env={**os.environ, **told, "WORKERS_OUTSIDE": str(folder / "outside")},
        capture_output=True,
        timeout=280,
    )


def stored(folder: Path) -> dict[str, dict]:
    contents = [json.loads(path.read_text())["run"] for path in folder.glob("results/hostile/*/run.json")]
    return {json.loads(run["config"])["mode"]: run for run in contents}


@pytest.mark.parametrize("mode", ATTACKS)
def test_every_attack_has_its_status_and_a_bounded_reason(session, mode: str) -> None:
    folder, finished = session
    assert mode in stored(folder), finished.stderr.decode()
    run = stored(folder)[mode]
    status, reason = ATTACKS[mode]

    assert run["status"] == status
    assert re.search(reason, run["error"])
    assert len(run["error"]) < 25_000


def test_every_attack_is_tried() -> None:
    told = (FIXTURES / "workers" / "workers_train.py").read_text()
    assert set(re.findall(r"^def (\w+)\(job, run\):", told, re.MULTILINE)) == {*ATTACKS, "kills_its_server"}


def test_the_session_ends_as_one_with_failed_runs(session) -> None:
    _, finished = session
    assert finished.returncode == 3, finished.stderr.decode()
    assert b"Traceback" not in finished.stderr
    assert len(finished.stderr) < 1_000_000


def test_nothing_is_left_running(session) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (left := sleepers()):
        time.sleep(0.1)
    assert not left


def sleepers() -> list[str]:
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if re.match(r"sleep 606\d", line)]


def test_nothing_is_written_outside(session) -> None:
    folder, _ = session
    assert list((folder / "outside").iterdir()) == []
    assert {path.name for path in folder.iterdir()} == {"outside", "results", "suite.toml"}


def test_what_is_stored_holds_files_of_ours_only(session) -> None:
    folder, _ = session
    kept = {"run.json", "log.txt", "evaluations.parquet", "episodes.parquet", "diagnostics.parquet"}
    for run in folder.glob("results/hostile/*/run.json"):
        assert {path.name for path in run.parent.iterdir()} <= kept
        assert all(path.is_file() and not path.is_symlink() for path in run.parent.iterdir())
        assert not (run.parent / "log.txt").exists() or (run.parent / "log.txt").stat().st_size <= 64 * 1024
