"""The end of a trial: its runs are stored with exactly one status each, observers told, the person too."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contract.executor import Ended
from harness.discovery.registry import Registry
from harness.running.job_files import outcome_in, take_tables
from harness.running.manifest import Session, drawings, hardware, manifest, now, planned_row, run_row
from harness.running.plan import TrialPlan
from harness.running.progress import Progress
from harness.storage.store import Lock, Store


@dataclass
class Tally:
    """What became of the runs of a session."""

    complete: int = 0  # runs found complete
    detached: int = 0  # runs that a detached session has in flight
    handed_over: str = ""  # how a person finds what this session detached, in the words of its executor
    statuses: Counter[str] = field(default_factory=Counter)  # how many runs of this session ended in each
    problems: list[str] = field(default_factory=list)  # what observers of the session did wrong

    @property
    def unfinished(self) -> int:
        """Runs without a result."""
        return self.detached + sum(
            count for status, count in self.statuses.items() if status not in ("done", "skipped")
        )


@dataclass(frozen=True)
class Flight:
    """A trial in flight: all that will be stored of it, but for how it ends."""

    trial: str  # in words
    folder: Path  # of its job
    rows: tuple[dict[str, Any], ...]  # of its runs, from `planned_row`
    facts: dict[str, Any]  # their manifest
    locks: list[Lock]

    @classmethod
    def of(cls, session: Session, trial: TrialPlan, folder: Path, locks: list[Lock]) -> "Flight":
        """A trial that begins now."""
        began = now()
        rows = tuple(planned_row(session, trial, seed, began) for seed in trial.seeds)
        return cls(str(trial), folder, rows, manifest(session, trial), locks)


@dataclass
class Finisher:
    """Stores runs."""

    store: Store
    registry: Registry  # whose observers are told about finished runs
    progress: Progress
    tally: Tally = field(default_factory=Tally)

    def finish(self, job: str, flight: Flight, ended: Ended | None) -> None:
        """Commit the runs of a trial; ``ended`` is None if it was interrupted."""
        outcome, rows = outcome_in(flight.folder), []
        facts = {**flight.facts, "hardware": hardware(outcome)}
        try:
            for planned in flight.rows:
                row = run_row(planned, ended, outcome)
                self.commit(row, facts | drawings(outcome, row["key"]), flight.folder)
                rows.append(row)
                self.tally.statuses[row["status"]] += 1
                self.tally.problems += self.registry.run_finished(row)
        finally:
            release(flight.locks)
        self.progress.finished(job, flight.trial, rows)

    def commit(self, row: dict[str, Any], facts: Mapping[str, Any], job: Path | None = None) -> None:
        """Store a run with what its job left, which changes the row if that is not what it says."""
        with self.store.staging() as folder:
            place = folder / row["key"]
            place.mkdir()
            if job is not None and (missing := take_tables(job, place, row)):
                row |= {"status": "failed", "error": f"it left no usable result: {missing}"}
            # A forced run that did not finish takes nothing away.
            if row["status"] == "done" or not self.store.is_done(row["key"]):
                self.store.commit(place, row, facts)


def release(locks: Iterable[Lock]) -> None:
    """Give keys back."""
    for lock in locks:
        lock.release()
