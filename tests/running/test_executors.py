"""Executors: a second one that uses nothing but the contract, and the checks that tell a right one from a wrong one."""

import ast
import contextlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

import harness
from harness.api import supervise
from harness.conformance.check import CheckFailed
from harness.conformance.executors import MARKER, Bench, ExecutorSubject, _require_quiet, executor_checks
from harness.conformance.toy_algorithms import ALIVE
from harness.contract.errors import ExitCode
from harness.contract.executor import ExecutorOptions, Job
from harness.contract.specs import ExecutorSpec
from harness.running import provenance
from harness.running.executor_local import LocalExecutor
from support.hostile import HOSTILE, write_suite
from support.paths import FIXTURES

ELSEWHERE = FIXTURES / "elsewhere"


def run(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join((str(ELSEWHERE), str(HOSTILE)))
    variables = {**os.environ, "PYTHONPATH": path, "HARNESS_PLUGINS": "elsewhere,hostile,algorithms,environments"}
    line = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=280)


def test_the_second_executor_imports_nothing_of_the_harness_but_the_contract():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in ELSEWHERE.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}

    assert {name for name in imported if name.startswith("harness")} == {"harness.api"}


def test_an_executor_that_knows_only_the_contract_gives_the_local_ones_tables_to_the_last_digit(tmp_path):
    algorithms = ["algorithms/q_learning", "algorithms/reinforce", "hostile/raises", "hostile/segfaults"]
    suite = write_suite(tmp_path, algorithms, ["cliff-walking", "cartpole"], seeds=3, steps=300)

    here = run(tmp_path, "run", suite, "--out", "here")
    there = run(tmp_path, "run", suite, "--out", "there", "--executor", "elsewhere", "--jobs", "2")

    assert here.returncode == there.returncode == ExitCode.INCOMPLETE, there.stderr
    one, other = harness.load(tmp_path / "here"), harness.load(tmp_path / "there")
    clocks = [name for name in one.runs if name.endswith(("_seconds", "_mib", "_at"))]
    same = ["error", *clocks]  # tracebacks tell other paths
    pd.testing.assert_frame_equal(one.runs.drop(columns=same), other.runs.drop(columns=same))
    for name in ("evaluations", "episodes", "diagnostics"):
        tables = [getattr(results, name).drop(columns="train_seconds", errors="ignore") for results in (one, other)]
        pd.testing.assert_frame_equal(*tables)
    pd.testing.assert_frame_equal(one.scores(), other.scores())


def test_an_executor_is_given_its_settings_and_refuses_others(tmp_path):
    suite = write_suite(tmp_path, ["algorithms/q_learning"], ["cliff-walking"])

    right = run(tmp_path, "run", suite, "--executor", "elsewhere", "--executor-option", "cores=1")
    wrong = run(tmp_path, "run", suite, "--executor", "elsewhere", "--executor-option", "core=1")
    local = run(tmp_path, "run", suite, "--executor-option", "lag=1")
    twice = run(tmp_path, "plan", suite, "--executor-option", "lag=1", "--executor-option", "lag=2")

    assert right.returncode == ExitCode.YES, right.stderr
    assert wrong.returncode == local.returncode == twice.returncode == ExitCode.USAGE
    assert "--executor-option core: unknown; there is cores" in wrong.stderr
    assert "--executor-option lag: the local executor has no options" in local.stderr
    assert "each key once" in twice.stderr


def test_what_an_executor_lacks_is_skipped_with_its_own_reason(tmp_path):
    suite = write_suite(tmp_path, ["algorithms/reinforce"], ["cartpole"])

    planned = run(tmp_path, "plan", suite, "--device", "cuda", "--executor", "elsewhere", "--json")

    (cell,) = json.loads(planned.stdout)["cells"]
    assert cell["skipped"] == "there is no GPU elsewhere"


def test_the_machine_of_a_run_is_that_of_its_worker_also_where_it_died(tmp_path):
    suite = write_suite(tmp_path, ["algorithms/q_learning", "hostile/segfaults"], ["cliff-walking"], seeds=1)

    run(tmp_path, "run", suite, "--executor", "elsewhere", "--executor-option", "cores=1")

    runs = harness.load(tmp_path / "results").runs
    assert set(runs["status"]) == {"done", "crashed"}
    assert all(", 1 cores, " in machine for machine in runs["machine"])
    assert ", 1 cores, " not in provenance.machine()


@pytest.mark.parametrize("name", ["local", "elsewhere"])
def test_a_right_executor_passes_every_check(tmp_path, name):
    ended = run(tmp_path, "check", "executor", name, "--json")

    outcomes = json.loads(ended.stdout)
    assert [(o["check"], o["reason"]) for o in outcomes if o["status"] != "pass"] == []
    assert len(outcomes) == 8


class Forgetful(LocalExecutor):
    """Brings nothing back."""

    def wait(self, seconds):
        ended = super().wait(seconds)
        for job in self.kept if ended else ():  # not before, lest it could not start
            for path in job.folder.glob("*.json"):
                path.unlink()
        return ended

    def start(self, job):
        self.kept = [*getattr(self, "kept", []), job]
        super().start(job)


class Patient(LocalExecutor):
    """Knows no limits."""

    def start(self, job):
        super().start(type(job)(job.id, job.folder, job.device, job.cpus, 4.0, 1e9, job.variables))

    def _stop(self, running, ending, error):
        super()._stop(running, "crashed", "stopped, for whatever reason")


class Greedy(LocalExecutor):
    """Always has room."""

    def has_room(self, device, cpus):
        return True


class Deaf(LocalExecutor):
    """Starts jobs without their variables."""

    def start(self, job):
        super().start(type(job)(job.id, job.folder, job.device, job.cpus, job.seconds, job.memory_gib))


class Immortal(LocalExecutor):
    """Leaves jobs alone when it is closed, until it is closed for the third time."""

    closed = 0

    def close(self):
        self.closed += 1
        if self.closed > 2:
            super().close()


class KillsMain(LocalExecutor):
    """Kills the process that it started, and nothing that this started."""

    def _kill(self, running):
        running.process.kill()

    def _end_orphans(self):
        pass


class WeighsMain(LocalExecutor):
    """Weighs the process that it started, and nothing that this started; it looks for that when it kills."""

    def _watch(self, running):
        running.look_again = math.inf
        super()._watch(running)

    def _kill(self, running):
        with contextlib.suppress(psutil.NoSuchProcess):
            running.seen |= {child.pid: child for child in running.own.children(recursive=True)}
        super()._kill(running)


class Silent(LocalExecutor):
    """Lacks nothing, in no words."""

    def lacks(self, device):
        return None


WRONG = [
    ("returns_everything", Forgetful, "its outcome is missing"),
    ("returns_everything", Deaf, "not started with the variables"),
    ("keeps_the_time_limit", Patient, "a job that never ends is 'crashed'"),
    ("keeps_the_time_limit", KillsMain, "what it started, goes on after its end was reported"),
    ("keeps_the_memory_limit", KillsMain, "what it started, goes on after its end was reported"),
    ("keeps_the_memory_limit", WeighsMain, "a job that hoards memory is 'timeout'"),
    ("counts_its_room", Greedy, "it has room"),
    ("closing_ends_jobs", Immortal, "goes on after the executor was closed"),
    ("closing_ends_jobs", KillsMain, "goes on after the executor was closed"),
    ("says_what_it_lacks", Silent, "lacks"),
]


@pytest.mark.parametrize(("check", "wrong", "reason"), WRONG, ids=[f"{w.__name__}-{check}" for check, w, _ in WRONG])
def test_a_wrong_executor_is_found(check, wrong, reason, monkeypatch):
    monkeypatch.setattr("harness.running.executor_local.create", wrong)
    monkeypatch.setattr("harness.running.executor_local.end_processes_in", lambda folder: None)  # its second net
    monkeypatch.setattr("harness.conformance.executors.GRACE_SECONDS", 8.0)
    spec = ExecutorSpec("wrong", "harness.running.executor_local:create")
    (asked,) = (each for each in executor_checks(ExecutorSubject("x/wrong", spec)) if each.name == check)

    with pytest.raises(CheckFailed, match=reason):
        asked()


def test_a_job_has_its_own_variables_not_those_of_an_earlier_executor(tmp_path):
    def told(place: Path, executor: LocalExecutor) -> bool:
        place.mkdir()
        bench = Bench(executor, place)
        job = bench.start()
        bench.end(job)
        executor.close()
        return str(MARKER) in (job.folder / "log.txt").read_text(encoding="utf-8")

    assert told(tmp_path / "one", LocalExecutor(ExecutorOptions(1)))
    assert not told(tmp_path / "two", Deaf(ExecutorOptions(1)))


def test_settings_that_are_ignored_are_found(monkeypatch):
    monkeypatch.setattr("harness.running.executor_local.create", LocalExecutor)
    spec = ExecutorSpec("wrong", "harness.running.executor_local:create")
    (asked,) = (c for c in executor_checks(ExecutorSubject("x/w", spec)) if c.name == "refuses_unknown_settings")

    with pytest.raises(CheckFailed, match="is accepted"):
        asked()


def test_a_plain_process_runs_a_job_and_has_its_streams_and_folder_back(tmp_path):
    """The documented entry point, called from a process that no executor of ours has prepared."""
    code = (
        "import os, sys; from harness.api import run_job; before = os.getcwd(); run_job(sys.argv[1], 'cpu');"
        "print('back', os.getcwd() == before)"
    )
    bench = Bench(LocalExecutor(ExecutorOptions(1)), tmp_path)
    job = bench.start()
    bench.end(job)
    bench.executor.close()
    again = tmp_path / "again"
    again.mkdir()
    (again / "job.json").write_text((job.folder / "job.json").read_text(encoding="utf-8"), encoding="utf-8")
    for session in (False, True):
        line = [sys.executable, "-c", code, str(again)]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=100, start_new_session=session)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == "back True\n"
        assert json.loads((again / "outcome.json").read_text(encoding="utf-8"))["status"] == "done"
        for path in ("outcome.json", "place.json", "log.txt", "progress"):
            (again / path).unlink(missing_ok=True)
        subprocess.run(["rm", "-rf", str(again / "work"), str(again / ("0" * 20))], check=True)


class Kept:
    """Starts nothing: keeps the job."""

    def has_room(self, device, cpus):
        return True

    def start(self, job):
        self.job = job


def test_supervising_a_job_ends_all_of_it_at_its_limit_or_once_nobody_wants_it(tmp_path):
    bench = Bench(Kept(), tmp_path)
    late, dropped = bench.start("sleep", seconds=2.0), bench.start("sleep")

    ended = supervise(late)
    nothing = supervise(dropped, lambda steps: not (dropped.folder / "work" / ALIVE).exists())

    assert (ended.id, ended.ending, ended.error) == (late.id, "timeout", "stopped after its time limit of 2 s")
    assert nothing is None
    for job in (late, dropped):
        _require_quiet(job, "it was supervised")


def test_supervising_a_job_for_a_device_that_is_not_there_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)

    ended = supervise(Job("j", tmp_path, "cuda", 1, None, 4.0))

    assert (ended.ending, ended.error) == ("crashed", "no CUDA device on this machine")
