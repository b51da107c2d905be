"""The conformance checks of executors, each a question with its reason as docstring.

They start real jobs: trials of `toy_algorithms` on a toy environment, which end in every way a trial can.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.conformance.check import Check, CheckFailed, require
from harness.conformance.toy_algorithms import ALIVE
from harness.conformance.toy_environments import ring
from harness.contract.executor import Ended, Executor, ExecutorOptions, Job
from harness.contract.specs import ExecutorSpec, made
from harness.measuring.description import TrialDescription, TrialOutcome
from harness.running.job_files import JOB, LOG, PLACE, VARIABLES, leave, outcome_in
from harness.storage.schema_tables import TABLES

TARGET = "harness.conformance.toy_algorithms"
KEY = "0" * 20
STEPS = 60
PATIENCE_SECONDS = 300.0  # for a job to end; a cluster may be slow to start one
QUIET_SECONDS = 1.0  # after which a process that is gone has touched nothing any more
MEMORY_GIB = 2.0
GRACE_SECONDS = 60.0  # beyond its limit, until a job is stopped
MARKER = {"HARNESS_CHECK_MARKER": "told"}


@dataclass(frozen=True)
class ExecutorSubject:
    """An executor under test."""

    id: str
    spec: ExecutorSpec
    settings: Mapping[str, str] = field(default_factory=dict)  # of its own, as ``--executor-option`` gives them

    @contextlib.contextmanager
    def made(self, jobs: int = 1) -> Iterator["Bench"]:
        """An executor with a folder for its jobs; closed at the end."""
        executor: Executor = made(self.spec, ExecutorOptions(jobs, settings=self.settings))
        with tempfile.TemporaryDirectory(prefix="harness-check-") as folder:
            try:
                yield Bench(executor, Path(folder))
            finally:
                executor.close()


@dataclass
class Bench:
    """An executor at work."""

    executor: Executor
    folder: Path  # of its jobs
    jobs: list[Job] = field(default_factory=list)  # started so far

    def start(self, ending: str = "done", seconds: float | None = None, device: str = "cpu") -> Job:
        """Start a trial that ends so, once there is room."""
        number = f"{len(self.jobs):06d}"
        place = self.folder / number
        place.mkdir()
        toy, config = ring("Box", "Discrete"), {"ending": ending}
        leave(place / JOB, TrialDescription(toy, budget=STEPS, target=TARGET, config=config, keys=(KEY,)).to_json())
        job = Job(number, place, device, 1, seconds, MEMORY_GIB, {**VARIABLES, **MARKER})
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.executor.has_room(device, 1):
            require(time.monotonic() < deadline, f"it has no room for a job on {device}, with none running")
            self.executor.wait(0.1)
        self.executor.start(job)
        self.jobs.append(job)
        return job

    def end(self, job: Job) -> tuple[Ended, TrialOutcome]:
        """Wait for the end of the only running job; returns that, and what the job left."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for ended in self.executor.wait(0.5):
                require(ended.id == job.id, f"it reports the end of job {ended.id!r}, which is not running")
                _require_quiet(job, "its end was reported")
                return ended, outcome_in(job.folder)
        raise CheckFailed(f"a job has not ended within {PATIENCE_SECONDS:g} s")


def executor_checks(subject: ExecutorSubject) -> list[Check]:
    """Every check of an executor."""
    asked = [returns_everything, tells_how_jobs_end, keeps_the_time_limit, keeps_the_memory_limit]
    asked += [counts_its_room, closing_ends_jobs, says_what_it_lacks, refuses_unknown_settings]
    return [Check.of(subject.id, function, subject) for function in asked]


def returns_everything(subject: ExecutorSubject) -> None:
    """Does everything a job wrote lie in its folder when its end is reported, started with the variables it asks for?

    Tables, outcome, log, and the machine it ran on: the runner commits what it finds there, and nothing else.
    """
    with subject.made() as bench:
        job = bench.start()
        ended, outcome = bench.end(job)
        require(ended.ending == "ended", f"a job that trained well is {ended.ending}: {ended.error}")
        require(outcome.status == "done", f"its outcome is {outcome.status or 'missing'}: {outcome.error}")
        require(ended.total_seconds > 0, f"it took {ended.total_seconds} seconds")
        run = outcome.of(KEY)
        require(run is not None and run.steps == STEPS, f"its run took other steps than {STEPS}")
        wanted = [job.folder / PLACE, job.folder / LOG, *(job.folder / KEY / f"{name}.parquet" for name in TABLES)]
        missing = [str(path.relative_to(job.folder)) for path in wanted if not path.is_file()]
        require(not missing, f"it did not bring back {', '.join(missing)}")
        log = (job.folder / LOG).read_text(encoding="utf-8", errors="replace")
        require(str(MARKER) in log, "its process was not started with the variables of the job")


def tells_how_jobs_end(subject: ExecutorSubject) -> None:
    """Is a job that raised told from one whose process died, and from one that left without a word?

    Each is a status of its own; whoever reads a table must be able to tell a wrong program from a lost machine.
    """
    with subject.made() as bench:
        for ending, told, status in (("raise", "ended", "failed"), ("kill", "crashed", ""), ("exit", "ended", "")):
            ended, outcome = bench.end(bench.start(ending))
            require(ended.ending == told, f"a job that ends by {ending} is {ended.ending!r}, not {told!r}")
            require(outcome.status == status, f"a job that ends by {ending} has the outcome {outcome.status!r}")
            require(told == "ended" or ended.error, f"it does not say why a job that ends by {ending} crashed")
            require(bool(outcome.machine), f"a job that ends by {ending} does not tell its machine")


def keeps_the_time_limit(subject: ExecutorSubject) -> None:
    """Is a job stopped at its limit of time, with all that it started, as a timeout?

    An algorithm that hangs must not hold up a suite.
    """
    with subject.made() as bench:
        began = time.monotonic()
        ended, _ = bench.end(bench.start("sleep", seconds=3.0))
        require(ended.ending == "timeout", f"a job that never ends is {ended.ending!r}: {ended.error}")
        require("3" in ended.error, f"its error does not name the limit: {ended.error!r}")
        took = time.monotonic() - began
        require(took < PATIENCE_SECONDS / 2 + GRACE_SECONDS, f"it was stopped after {took:.0f} s")


def keeps_the_memory_limit(subject: ExecutorSubject) -> None:
    """Is a job stopped at its limit of memory, of all its processes together, as a crash that says so?

    One that takes all memory would take the machine from the others. Here two processes hold too much between them.
    """
    with subject.made() as bench:
        ended, _ = bench.end(bench.start("hoard", seconds=GRACE_SECONDS))
        require(ended.ending == "crashed", f"a job that hoards memory is {ended.ending!r}: {ended.error}")
        require("memory" in ended.error, f"its error does not say that it was memory: {ended.error!r}")


def counts_its_room(subject: ExecutorSubject) -> None:
    """Does it take as many jobs as it says, report the progress of those that run, and have room again?

    The runner starts whatever there is room for, and waits for what was started.
    """
    with subject.made(jobs=2) as bench:
        executor = bench.executor
        require(executor.jobs >= 1, f"it runs {executor.jobs} jobs")
        jobs = [bench.start("sleep") for _ in range(min(2, executor.jobs))]
        deadline = time.monotonic() + PATIENCE_SECONDS
        seen: Mapping[str, int] = {}
        while len([steps for steps in seen.values() if steps >= STEPS // 2]) < len(jobs):
            require(time.monotonic() < deadline, f"progress is {dict(seen)} long after jobs took {STEPS // 2} steps")
            require(not executor.wait(0.5), "a job that never ends has ended")
            seen = executor.progress()
            require(set(seen) <= {job.id for job in jobs}, f"it reports progress of jobs {sorted(seen)}")
        if executor.jobs == len(jobs):
            require(not executor.has_room("cpu", 1), f"with {len(jobs)} of {executor.jobs} jobs running it has room")


def closing_ends_jobs(subject: ExecutorSubject) -> None:
    """Does closing it stop every job, with all that it started, and may it be closed twice?

    It is closed after Ctrl-C. What goes on then takes cores from whatever comes next, and its results reach nobody.
    """
    with subject.made() as bench:
        job = bench.start("sleep")
        beat = job.folder / "work" / ALIVE
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not beat.exists() and not bench.executor.progress().get(job.id):
            require(time.monotonic() < deadline, "a job was started and never ran")
            bench.executor.wait(0.1)
        bench.executor.close()
        bench.executor.close()
        _require_quiet(job, "the executor was closed")


def _require_quiet(job: Job, when: str) -> None:
    """Fail if a process of a job that was stopped touches its file, as far as that can be seen from here."""
    beat, seen = job.folder / "work" / ALIVE, set()
    for _ in range(2 if beat.exists() else 0):
        time.sleep(QUIET_SECONDS)
        seen.add(beat.stat().st_mtime_ns)
    require(len(seen) < 2, f"a job, or what it started, goes on after {when}")


def says_what_it_lacks(subject: ExecutorSubject) -> None:
    """Does it say in words why jobs for a device cannot run, and run them where it says nothing?

    It is asked before anything runs, and its machines may have what this one has not.
    """
    with subject.made() as bench:
        require(bench.executor.lacks("cpu") == "", f"it lacks processors: {bench.executor.lacks('cpu')}")
        reason = bench.executor.lacks("cuda")
        require(isinstance(reason, str), f"lacks('cuda') gives {reason!r}, not a reason or an empty text")
        if reason:
            return
        _, outcome = bench.end(bench.start(device="cuda"))
        require(outcome.status == "done", f"it lacks no CUDA, but a job there is {outcome.status}: {outcome.error}")


def refuses_unknown_settings(subject: ExecutorSubject) -> None:
    """Is a setting that it does not know refused, by name?

    One that is misspelt and ignored would leave somebody waiting for what they asked.
    """
    unknown = "harness_check_nonsense"
    try:
        executor: Executor = made(subject.spec, ExecutorOptions(settings={**subject.settings, unknown: "1"}))
    except Exception as error:
        require(unknown in str(error), f"the error does not name the setting: {error}")
        return
    executor.close()
    raise CheckFailed(f"--executor-option {unknown}=1 is accepted")
