"""Trials that end badly in every way: each run has its own status, and the rest of the suite completes."""

import subprocess
from pathlib import Path

import psutil
import pytest

from support.hostile import harness, stored_runs, write_suite

ENDINGS = {
    "steady": ("done", ""),
    "raises": ("failed", "ValueError: torn in the middle"),
    "segfaults": ("crashed", "SIGSEGV"),
    "exits": ("crashed", "exit code 7"),
    "exits-cleanly": ("crashed", "before training did"),
    "loops": ("timeout", "time limit of 10 s"),
    "hoards": ("crashed", "out of memory"),
    "returns-early": ("failed", "returned after 1 of 60 steps"),
    "sets-no-policy": ("failed", "trial.policy was not set"),
    "leaves-children": ("failed", "left 2 processes behind"),
    "swallows-the-end": ("done", ""),
    "prints-without-end": ("done", ""),
    "forgets-threads": ("done", ""),
    "daemonises": ("failed", "left 1 processes behind"),
    "raises-bytes": ("failed", "OSError: cannot open ?t?"),
    "shares-memory": ("done", ""),
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("hostile")
    suite = write_suite(folder, list(ENDINGS), ["short"])
    limits = ("--time-limit", "10", "--memory-limit", "1")
    return folder, harness("run", suite, "-j", "2", *limits, cwd=folder)


@pytest.mark.parametrize("name", ENDINGS)
def test_every_ending_has_its_own_status_and_reason(session, name: str):
    folder, _ = session
    run = next(run for run in stored_runs(folder).values() if run["algorithm"] == f"hostile/{name}")
    status, reason = ENDINGS[name]

    assert run["status"] == status
    assert reason in run["error"]


def test_a_session_with_unfinished_runs_ends_with_code_3(session):
    _, finished = session
    assert finished.returncode == 3, finished.stderr


def test_no_process_is_left_behind(session):
    folder, _ = session
    left = [process for process in psutil.process_iter() if _works_in(process, folder)]
    assert left == []


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd().startswith(str(folder))
    except (psutil.Error, OSError):
        return False


def test_only_the_end_of_a_long_output_is_kept(session):
    folder, _ = session
    logs = [path.stat().st_size for path in folder.glob("results/hostile/*/log.txt")]
    assert logs
    assert max(logs) <= 64 * 1024


def test_the_next_call_repeats_what_failed_and_nothing_else(session):
    folder, _ = session
    suite = write_suite(folder, ["steady", "raises"], ["short"])
    before = {run["algorithm"]: run["finished_at"] for run in stored_runs(folder).values()}
    again = harness("run", suite, cwd=folder)
    after = {run["algorithm"]: run["finished_at"] for run in stored_runs(folder).values()}

    assert again.returncode == 3
    assert after["hostile/steady"] == before["hostile/steady"]
    assert after["hostile/raises"] > before["hostile/raises"]


def test_a_return_that_is_no_number_is_a_divergence_of_that_seed_alone(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady", "in-step"], ["nan-reward", "sometimes-nan"], 8)
    finished = harness("run", suite, cwd=tmp_path)
    runs = stored_runs(tmp_path).values()
    never = {run["status"] for run in runs if run["environment"] == "nan-reward"}
    lockstep = [
        run["status"]
        for run in sorted(runs, key=lambda run: run["seed"])
        if run["environment"] == "sometimes-nan" and run["algorithm"] == "hostile/in-step"
    ]

    assert finished.returncode == 3
    assert never == {"diverged"}
    assert set(lockstep) == {"done", "diverged"}


def test_a_suite_whose_every_pair_is_incompatible_runs_nothing_and_says_so(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady"], ["short"])
    finished = harness("run", suite, "--device", "cuda", cwd=tmp_path)

    assert finished.returncode == 5
    assert "steady trains on cpu, not cuda" in finished.stderr


def test_one_environment_that_cannot_be_made_stops_the_rest_only_unless_told_to_keep_going(tmp_path):
    suite = write_suite(tmp_path, ["hostile/steady"], ["hostile/short", "hostile/unmakeable"])

    refused = harness("run", suite, cwd=tmp_path)
    assert refused.returncode == 2
    assert "Unmakeable" in refused.stderr
    kept = harness("run", suite, "--keep-going", cwd=tmp_path)

    assert kept.returncode == 3, kept.stderr
    found = {row["environment"]: row for row in stored_runs(tmp_path).values()}
    assert found["short"]["status"] == "done"
    assert found["unmakeable"]["status"] == "skipped"
    assert "Unmakeable" in found["unmakeable"]["error"]
