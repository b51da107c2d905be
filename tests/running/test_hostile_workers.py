"""What a job leaves in its folder, or running, hurts that run and nothing else."""

import ctypes
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from support.hostile import SUITE
from support.paths import FIXTURES

UNUSABLE, NO_RESULT = "outcome.json: ", "it left no usable result: evaluations.parquet: "
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
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
    "status_twice": ("failed", NO_RESULT + "missing"),
    "key_of_another": ("failed", "it left no result of this run"),
    "hardware_of_100000_facts": ("crashed", UNUSABLE + ".*at most 1000 items"),
    "logs_half_a_character": ("failed", "UnicodeEncodeError"),
    "outcome_is_a_folder": ("crashed", UNUSABLE + "not a regular file"),
    "outcome_is_a_socket": ("crashed", UNUSABLE),
    "place_is_a_link": ("crashed", "place.json: "),
    "job_is_closed": ("crashed", "Permission denied"),
    "run_is_closed": ("failed", NO_RESULT + "missing"),
    "job_is_elsewhere": ("crashed", "left no outcome"),
    "job_is_a_link": ("crashed", "left no outcome"),
    "job_is_deep": ("crashed", "left no outcome"),
    "job_of_20000_files": ("done", ""),
    "odd_names": ("done", ""),
    "run_is_there_already": ("failed", "FileExistsError"),
    "umask_of_everything": ("crashed", UNUSABLE + ".*Permission denied"),
    "work_is_gone": ("done", ""),
    "tables_of_one_return": ("done", ""),  # forged, and not seen
    "tables_of_another_run": ("failed", NO_RESULT + "holds rows of another run"),
    "tables_of_other_returns": ("failed", NO_RESULT + ".*fingerprint"),
    "tables_without_rows": ("failed", NO_RESULT + "holds no evaluation"),
    "tables_cut_off": ("failed", NO_RESULT + "not a readable Parquet file"),
    "tables_of_another_schema": ("failed", NO_RESULT + "not this table"),
    "tables_with_gaps": ("failed", NO_RESULT + "column 'return' has missing values"),
    "tables_that_expand": ("failed", NO_RESULT + ".* in memory"),
    "returns_without_end": ("failed", NO_RESULT + "holds a return that is not finite"),
    "steps_beyond_the_budget": ("failed", "it left no usable result: 1,000,000,000,000 steps"),
    "tables_are_hard_links": ("failed", NO_RESULT + "not a readable Parquet file"),
    "raises_no_exception": ("failed", "BaseException: no exception"),
    "interrupts_itself": ("failed", "KeyboardInterrupt"),
    "raises_escapes": ("failed", "alert"),
    "raises_halves": ("failed", "ValueError"),
    "limits_its_files": ("crashed", "exit code 1"),
    "limits_its_descriptors": ("crashed", "exit code 1"),
    "closes_its_output": ("done", ""),
    "closes_all_files": ("crashed", "exit code 1"),
    "fills_its_output": ("done", ""),
    "turns_back_the_clock": ("done", ""),
    "has_no_clock": ("crashed", UNUSABLE + ".*train_seconds"),
    "exits_with_255": ("crashed", "exit code 255"),
    "ends_by_a_nameless_signal": ("crashed", "signal 40"),
    "stops_itself": ("done", ""),
    "goes_on_writing": ("crashed", ""),
}
OF_ALL = ("removes_all_staging", "removes_the_locks", "stops_its_server", "kills_its_server")  # what others need


def heed_permissions() -> None:
    """Have root stopped by permissions, as everybody is."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def run(folder: Path, modes: Iterable[str], jobs: int) -> "subprocess.CompletedProcess[bytes]":
    (folder / "outside").mkdir()
    algorithms = [f"attack[mode={json.dumps(mode)}]" for mode in modes]
    lists = {"algorithms": json.dumps(algorithms), "environments": '["short"]', "seeds": 1, "steps": 60}
    (folder / "suite.toml").write_text(SUITE.format(**lists))
    told = {"PYTHONPATH": str(FIXTURES / "workers"), "HARNESS_PLUGINS": "workers"}
    return subprocess.run(
        [sys.executable, "-m", "harness", "run", "suite.toml", "-j", str(jobs), "--time-limit", "30"],
        cwd=folder,
        env={**os.environ, **told, "WORKERS_OUTSIDE": str(folder / "outside")},
        capture_output=True,
        timeout=280,
        preexec_fn=heed_permissions,
    )


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[bytes]"]:
    folder = tmp_path_factory.mktemp("workers")
    return folder, run(folder, ATTACKS, jobs=2)


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
    assert set(re.findall(r"^def (\w+)\(job, run\):", told, re.MULTILINE)) == {*ATTACKS, *OF_ALL}


def test_the_session_ends_as_one_with_failed_runs(session) -> None:
    _, finished = session
    assert finished.returncode == 3, finished.stderr.decode()
    assert b"Traceback" not in finished.stderr
    assert b"\x1b" not in finished.stderr
    assert len(finished.stderr) < 1_000_000


def test_a_trial_that_spoils_what_all_need_costs_itself_alone(tmp_path: Path) -> None:
    finished = run(tmp_path, [*OF_ALL, "honest"], jobs=1)
    statuses = {mode: run["status"] for mode, run in stored(tmp_path).items()}
    assert finished.returncode == 3, finished.stderr.decode()
    assert statuses == {**dict.fromkeys(OF_ALL, "crashed"), "honest": "done"}


def test_a_job_that_cannot_leave_an_outcome_says_why_in_its_log(session) -> None:
    folder, _ = session
    told = stored(folder)["limits_its_descriptors"]
    assert "Too many open files" in (folder / "results" / "hostile" / told["key"] / "log.txt").read_text()


def test_nothing_is_left_running(session) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (left := sleepers()):
        time.sleep(0.1)
    assert not left


def sleepers() -> list[str]:
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if re.match(r"(python3 )?sleep 606\d", line)]


def test_nothing_is_written_outside(session) -> None:
    folder, _ = session
    assert list((folder / "outside").iterdir()) == []
    assert {path.name for path in folder.iterdir()} == {"outside", "results", "suite.toml"}
    assert list((folder / "results" / "hostile" / ".staging").iterdir()) == []


def test_what_is_stored_holds_files_of_ours_only(session) -> None:
    folder, _ = session
    kept = {"run.json", "log.txt", "evaluations.parquet", "episodes.parquet", "diagnostics.parquet"}
    for run in folder.glob("results/hostile/*/run.json"):
        assert {path.name for path in run.parent.iterdir()} <= kept
        assert all(path.is_file() and not path.is_symlink() for path in run.parent.iterdir())
        assert not (run.parent / "log.txt").exists() or (run.parent / "log.txt").stat().st_size <= 64 * 1024
