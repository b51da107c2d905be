"""Trials that end badly in every way: each run has its own status, and the rest of the suite completes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

HOSTILE = Path(__file__).parent / "fixtures" / "hostile"
SUITE = """
[suite]
name = "hostile"
version = "1"
question = "Does one bad contestant spoil the others?"
environments = {environments}
algorithms = {algorithms}
seeds = {seeds}
[budget]
steps = 60
[evaluation]
points = 2
episodes = 2
"""

ENDINGS = {
    "steady": ("done", ""),
    "raises": ("failed", "ValueError: torn in the middle"),
    "segfaults": ("crashed", "SIGSEGV"),
    "exits": ("crashed", "exit code 7"),
    "exits-cleanly": ("crashed", "before training did"),
    "loops": ("timeout", "time limit of 4 s"),
    "hoards": ("crashed", "out of memory"),
    "returns-early": ("failed", "returned after 1 of 60 steps"),
    "sets-no-policy": ("failed", "trial.policy was not set"),
    "leaves-children": ("failed", "left 2 processes behind"),
    "swallows-the-end": ("done", ""),
    "prints-without-end": ("done", ""),
}


def harness(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run the command line with the hostile plugin installed, and no other."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(HOSTILE), "HARNESS_PLUGINS": "hostile"},
        capture_output=True,
        text=True,
        timeout=280,
    )


def write_suite(folder: Path, algorithms: list[str], environments: list[str], seeds: object = 1) -> Path:
    path = folder / "hostile.toml"
    path.write_text(
        SUITE.format(
            algorithms=json.dumps(algorithms), environments=json.dumps(environments), seeds=json.dumps(seeds)
        )
    )
    return path


def stored_runs(folder: Path) -> list[dict]:
    return [json.loads(path.read_text())["run"] for path in folder.glob("results/hostile/*/run.json")]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("hostile")
    suite = write_suite(folder, list(ENDINGS), ["short"])
    limits = ("--time-limit", "4", "--memory-limit", "1")
    return folder, harness("run", str(suite), "-j", "2", *limits, cwd=folder)


@pytest.mark.parametrize("name", ENDINGS)
def test_every_ending_has_its_own_status_and_reason(session, name: str):
    folder, _ = session
    run = next(run for run in stored_runs(folder) if run["algorithm"] == f"hostile/{name}")
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
    before = {run["algorithm"]: run["finished_at"] for run in stored_runs(folder)}
    again = harness("run", str(suite), cwd=folder)
    after = {run["algorithm"]: run["finished_at"] for run in stored_runs(folder)}

    assert again.returncode == 3
    assert after["hostile/steady"] == before["hostile/steady"]
    assert after["hostile/raises"] > before["hostile/raises"]


def test_a_return_that_is_no_number_is_a_divergence_of_that_seed_alone(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady", "in-step"], ["nan-reward", "sometimes-nan"], 8)
    finished = harness("run", str(suite), cwd=tmp_path)
    runs = stored_runs(tmp_path)
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
    suite = tmp_path / "suite.toml"
    suite.write_text(SUITE.format(environments='["short"]', algorithms='["steady"]', seeds=1))
    finished = harness("run", str(suite), "--device", "cuda", cwd=tmp_path)

    assert finished.returncode == 5
    assert "steady trains on cpu, not cuda" in finished.stderr
