"""Running a plan: skip what is complete, keep the executor busy, commit every run with exactly one status."""

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contract.executor import Ended, Executor, Job
from harness.discovery.registry import Registry
from harness.measuring.description import TrialOutcome
from harness.running.job_files import JOB, VARIABLES, leave, outcome_in, take_tables
from harness.running.manifest import Session, code, manifest, now, run_row
from harness.running.plan import Cell, Plan, TrialPlan, trials
from harness.running.progress import Progress
from harness.storage.files import StoreError
from harness.storage.store import Lock, Store

POLL_SECONDS = 0.5


@dataclass
class Tally:
    """What became of the runs of a session."""

    complete: int = 0  # runs found complete
    statuses: Counter[str] = field(default_factory=Counter)  # how many runs of this session ended in each
    problems: list[str] = field(default_factory=list)  # what observers of the session did wrong

    @property
    def unfinished(self) -> int:
        """Runs that ended without a result."""
        return sum(count for status, count in self.statuses.items() if status not in ("done", "skipped"))


@dataclass
class _InFlight:
    trial: TrialPlan
    folder: Path
    locks: list[Lock]
    started_at: str


@dataclass
class Runner:
    """Runs plans into a store."""

    store: Store
    executor: Executor
    registry: Registry  # whose observers are told about finished runs
    session: Session
    progress: Progress  # the display
    seconds: float | None  # wall-clock limit of a trial
    memory_gib: float  # limit of a trial
    _in_flight: dict[str, _InFlight] = field(default_factory=dict)
    _elsewhere: list[TrialPlan] = field(default_factory=list)
    _started: int = 0
    _tally: Tally = field(default_factory=Tally)

    def run(self, plan: Plan, force: bool = False) -> Tally:
        """Run what is not complete, and if forced what is.

        Raises:
            KeyboardInterrupt: trials in flight were stopped and recorded as interrupted.
            StoreError: results can no longer be written; trials in flight were stopped.
        """
        queue = deque(self._pending(plan, force))
        with ExitStack() as stack:
            staging = stack.enter_context(self.store.staging())
            stack.callback(self.executor.close)  # before the folders of its jobs go
            try:
                while queue or self._in_flight or self._elsewhere:
                    self._fill(queue, staging, force)
                    for ended in self.executor.wait(POLL_SECONDS):
                        self._finish(ended.id, ended)
                    self.progress.advanced(self.executor.progress())
                    self._look_elsewhere(queue)
            except KeyboardInterrupt:
                self.executor.close()
                for job in list(self._in_flight):
                    self._finish(job, None)
                raise
            except OSError as error:
                raise StoreError(f"{self.store.folder}: cannot go on: {error}") from error
            finally:
                for flight in self._in_flight.values():
                    _release(flight.locks)
        return self._tally

    def _pending(self, plan: Plan, force: bool) -> list[TrialPlan]:
        """Trials to run, the longest first so that none is left alone at the end."""
        pending: list[TrialPlan] = []
        for cell in plan.cells:
            if cell.reason:
                self._skip(cell)
                continue
            missing = [seed for seed, key in cell.keys.items() if force or not self.store.is_done(key)]
            self._tally.complete += len(cell.keys) - len(missing)
            if missing:
                pending += trials(cell, missing)
        return sorted(pending, key=lambda trial: -trial.cell.task.steps * len(trial.seeds))

    def _skip(self, cell: Cell) -> None:
        """Record why a cell has no runs, except where an earlier session, on another machine perhaps, had them."""
        for seed, key in cell.keys.items():
            lock = self.store.lock(key)
            if lock is None or self.store.is_done(key):
                self._tally.complete += 1
            else:
                stored = self.store.row(key)
                if stored is None or stored["error"] != cell.reason:
                    trial, nothing = TrialPlan(cell, (seed,)), TrialOutcome()
                    row = run_row(self.session, trial, seed, now(), None, nothing)
                    self._commit(row, manifest(self.session, trial, nothing))
                self._tally.statuses["skipped"] += 1
            if lock is not None:
                lock.release()

    def _commit(self, row: dict[str, Any], facts: Mapping[str, Any], job: Path | None = None) -> None:
        """Store a run with what its job left, which changes the row if that is not what it says."""
        with self.store.staging() as folder:
            place = folder / row["key"]
            place.mkdir()
            if job is not None and (missing := take_tables(job, place, row)):
                row |= {"status": "failed", "error": f"it left no usable result: {missing}"}
            # A forced run that did not finish takes nothing away.
            if row["status"] == "done" or not self.store.is_done(row["key"]):
                self.store.commit(place, row, facts)

    def _fill(self, queue: deque[TrialPlan], staging: Path, force: bool) -> None:
        """Start every trial for which the executor has room; one without does not hold up those behind it."""
        for _ in range(len(queue)):
            trial = queue.popleft()
            cell = trial.cell
            if self.executor.has_room(cell.device, cell.contestant.needs.cpus):
                self._start(trial, staging, force)
            else:
                queue.append(trial)

    def _start(self, trial: TrialPlan, staging: Path, force: bool) -> None:
        mine, locks = self._locked(trial, force)
        if mine is None:
            return
        try:
            job = self._job(mine, staging)
            self.executor.start(job)
        except BaseException:
            _release(locks)
            raise
        self._in_flight[job.id] = _InFlight(mine, job.folder, locks, now())
        self.progress.started(job.id, mine)

    def _locked(self, trial: TrialPlan, force: bool) -> tuple[TrialPlan | None, list[Lock]]:
        """The seeds of a trial that are ours to run, with the locks on them.

        Seeds that another session is running are put aside; those it completed meanwhile are counted.
        """
        mine: dict[int, Lock] = {}
        busy: list[int] = []
        for seed, key in zip(trial.seeds, trial.keys, strict=True):
            lock = self.store.lock(key)
            if lock is None:
                busy.append(seed)
            elif not force and self.store.is_done(key):
                lock.release()
                self._tally.complete += 1
            else:
                mine[seed] = lock
        if busy:
            self._elsewhere.append(TrialPlan(trial.cell, tuple(busy)))
        return (TrialPlan(trial.cell, tuple(mine)) if mine else None), list(mine.values())

    def _job(self, trial: TrialPlan, staging: Path) -> Job:
        self._started += 1
        folder = staging / f"{self._started:06d}"
        folder.mkdir(parents=True)  # for a trial may have removed the others' as well
        leave(folder / JOB, {**trial.description.to_json(), "code": code(trial)})
        cpus = trial.cell.contestant.needs.cpus
        return Job(folder.name, folder, trial.cell.device, cpus, self.seconds, self.memory_gib, VARIABLES)

    def _finish(self, job: str, ended: Ended | None) -> None:
        """Commit the runs of a trial; ``ended`` is None if it was interrupted."""
        flight = self._in_flight.pop(job)
        outcome = outcome_in(flight.folder)
        statuses: dict[int, str] = {}
        errors: dict[int, str] = {}
        facts = manifest(self.session, flight.trial, outcome)
        try:
            for seed in flight.trial.seeds:
                row = run_row(self.session, flight.trial, seed, flight.started_at, ended, outcome)
                self._commit(row, facts, flight.folder)
                statuses[seed], errors[seed] = row["status"], row["error"]
                self._tally.statuses[row["status"]] += 1
                self._tally.problems += self.registry.run_finished(row)
        finally:
            _release(flight.locks)
        self.progress.finished(job, flight.trial, statuses, errors)

    def _look_elsewhere(self, queue: deque[TrialPlan]) -> None:
        """Count what other sessions finished, and take over what they gave up."""
        waiting, self._elsewhere = self._elsewhere, []
        for trial in waiting:
            for seed, key in zip(trial.seeds, trial.keys, strict=True):
                lock = self.store.lock(key)
                if lock is None:
                    self._elsewhere.append(TrialPlan(trial.cell, (seed,)))
                    continue
                lock.release()
                run = self.store.row(key)
                if run and run["finished_at"] >= self.session.started_at and run["status"] != "interrupted":
                    self._tally.statuses[run["status"]] += 1
                else:
                    queue.append(TrialPlan(trial.cell, (seed,)))
        if self._elsewhere and not self._in_flight:
            time.sleep(POLL_SECONDS)


def _release(locks: Iterable[Lock]) -> None:
    for lock in locks:
        lock.release()
