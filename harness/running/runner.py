"""Running a plan: skip what is complete, keep the executor busy, commit every run with exactly one status."""

import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness.contract.executor import DetachableExecutor, Executor, Job
from harness.discovery.registry import Registry
from harness.measuring.description import TrialOutcome
from harness.running.detached import detaching, leave_records
from harness.running.finishing import Finisher, Flight, Tally, release
from harness.running.job_files import JOB, VARIABLES, leave
from harness.running.manifest import Session, code, manifest, now, planned_row, run_row
from harness.running.plan import Cell, Plan, TrialPlan, trials
from harness.running.progress import Progress
from harness.storage.files import StoreError
from harness.storage.store import DETACHED, Lock, Store

POLL_SECONDS = 0.5


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
    _in_flight: dict[str, Flight] = field(default_factory=dict)
    _elsewhere: list[TrialPlan] = field(default_factory=list)
    _started: int = 0
    _untold: list[tuple[str, TrialPlan]] = field(default_factory=list)  # that have begun
    _tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._finisher = Finisher(self.store, self.registry, self.progress, self._tally)

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
                    found = self.executor.wait(POLL_SECONDS)
                    self._tell_started()
                    for ended in found:
                        self._finisher.finish(ended.id, self._in_flight.pop(ended.id), ended)
                    self.progress.advanced(self.executor.progress())
                    self._look_elsewhere(queue)
            except KeyboardInterrupt:
                self.executor.close()
                while self._in_flight:
                    self._finisher.finish(*self._in_flight.popitem(), None)
                raise
            except OSError as error:
                raise StoreError(f"{self.store.folder}: cannot go on: {error}") from error
            finally:
                for flight in self._in_flight.values():
                    release(flight.locks)
        return self._tally

    def detach(self, plan: Plan, name: str, force: bool = False) -> Tally:
        """Hand what is not complete to the executor, of this name, and let go of it: `collect` stores what has ended.

        Whatever fails leaves nothing in flight, and a kill nothing that could not be collected.
        """
        assert isinstance(self.executor, DetachableExecutor)
        with detaching(self.store) as place:
            try:
                for trial in self._pending(plan, force):
                    self._start(trial, place, force, name)
                self._tally.handed_over = self.executor.detach()
            except BaseException:
                self.executor.close()
                raise
        return self._tally

    def preview(self, plan: Plan, force: bool = False) -> str:
        """What `detach` would hand over, of jobs whose folders are not made."""
        assert isinstance(self.executor, DetachableExecutor)
        place = (self.store.folder / DETACHED / "SESSION").absolute()
        missing = enumerate(self._missing(plan, force), 1)
        return self.executor.preview([self._job(trial, place / f"{number:06d}") for number, trial in missing])

    def _pending(self, plan: Plan, force: bool) -> list[TrialPlan]:
        """Trials to run, once it is recorded why others are not."""
        for cell in plan.cells:
            if cell.reason:
                self._skip(cell)
        missing = self._missing(plan, force)
        keys = [key for cell in plan.cells if not cell.reason for key in cell.keys.values()]
        self._tally.detached += sum(map(self.store.is_detached, keys))
        self._tally.complete += plan.runs - self._tally.detached - sum(len(trial.seeds) for trial in missing)
        return missing

    def _missing(self, plan: Plan, force: bool) -> list[TrialPlan]:
        """Trials of what is neither complete nor in flight, the longest first so that none is left alone at the end."""
        missing: list[TrialPlan] = []
        for cell in plan.cells:
            seeds = [seed for seed, key in cell.keys.items() if force or not self.store.is_done(key)]
            seeds = [seed for seed in seeds if not self.store.is_detached(cell.keys[seed])]
            if seeds and not cell.reason:
                missing += trials(cell, seeds)
        return sorted(missing, key=lambda trial: -trial.cell.task.steps * len(trial.seeds))

    def _skip(self, cell: Cell) -> None:
        """Record why a cell has no runs, except where an earlier session, on another machine perhaps, had them."""
        for seed, key in cell.keys.items():
            lock = self.store.lock(key)
            if lock is None or self.store.is_done(key):
                self._tally.complete += 1
            else:
                stored = self.store.row(key)
                if stored is None or stored["error"] != cell.reason:
                    trial = TrialPlan(cell, (seed,))
                    row = run_row(planned_row(self.session, trial, seed, now()), None, TrialOutcome())
                    self._finisher.commit(row, manifest(self.session, trial))
                self._tally.statuses["skipped"] += 1
            if lock is not None:
                lock.release()

    def _fill(self, queue: deque[TrialPlan], staging: Path, force: bool) -> None:
        """Start every trial for which the executor has room; one without does not hold up those behind it."""
        full: set[tuple[str, int]] = set()  # needs for which there is none: not asked again for each of thousands
        for _ in range(len(queue)):
            trial = queue.popleft()
            needs = trial.cell.device, trial.cell.contestant.needs.cpus
            if needs not in full and self.executor.has_room(*needs):
                self._start(trial, staging, force)
            else:
                full.add(needs)
                queue.append(trial)

    def _start(self, trial: TrialPlan, staging: Path, force: bool, detached_by: str = "") -> None:
        """Start what of a trial is ours to run; by an executor that it names, it goes on without this session."""
        mine, locks = self._locked(trial, force)
        if mine is None:
            return
        try:
            self._started += 1
            job = self._job(mine, staging / f"{self._started:06d}")
            job.folder.mkdir(parents=True)  # for a trial may have removed the others' as well
            leave(job.folder / JOB, {**mine.description.to_json(), "code": code(mine)})
            flight = Flight.of(self.session, mine, job.folder, locks)
            if detached_by:
                leave_records(self.store, detached_by, flight)
            self.executor.start(job)
        except BaseException:
            release(locks)
            raise
        if detached_by:  # the record holds the keys from here on
            release(locks)
            self._tally.detached += len(mine.seeds)
            return
        self._in_flight[job.id] = flight
        self._untold.append((job.id, mine))

    def _tell_started(self) -> None:
        """Say which trials have begun, once the executor, which may collect them until it waits, has taken them."""
        for job, trial in self._untold:
            self.progress.started(job, trial)
        self._untold.clear()

    def _locked(self, trial: TrialPlan, force: bool) -> tuple[TrialPlan | None, list[Lock]]:
        """The seeds of a trial that are ours to run, with the locks on them.

        Seeds that another session is running are put aside; those it completed meanwhile are counted, as are those that
        a detached one has in flight.
        """
        mine: dict[int, Lock] = {}
        busy: list[int] = []
        for seed, key in zip(trial.seeds, trial.keys, strict=True):
            lock = self.store.lock(key)
            if lock is None:
                busy.append(seed)
            elif self.store.is_detached(key):
                lock.release()
                self._tally.detached += 1
            elif not force and self.store.is_done(key):
                lock.release()
                self._tally.complete += 1
            else:
                mine[seed] = lock
        if busy:
            self._elsewhere.append(TrialPlan(trial.cell, tuple(busy)))
        return (TrialPlan(trial.cell, tuple(mine)) if mine else None), list(mine.values())

    def _job(self, trial: TrialPlan, folder: Path) -> Job:
        cpus = trial.cell.contestant.needs.cpus
        return Job(folder.name, folder, trial.cell.device, cpus, self.seconds, self.memory_gib, VARIABLES)

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
