"""Trials in flight without a session: the records that one leaves, and collecting the trials that have ended.

A record may be a stranger's: what it says is checked before it is stored, and nothing of it is executed or followed.
"""

import json
import os
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.contract.errors import HarnessError
from harness.contract.executor import DetachableExecutor, Ended, Job
from harness.measuring.description import Text, TrialOutcome
from harness.running.finishing import Finisher, Flight, release
from harness.running.job_files import OUTCOME_BYTES, leave
from harness.running.manifest import run_row
from harness.storage.files import StoreError, UnusableError, read_bytes
from harness.storage.results_files import checked_row
from harness.storage.schema_tables import RUNS
from harness.storage.store import DETACHED, Store, remove_tree
from harness.text import complaint, one_line

BATCH, PLACE = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{32}/[0-9]{6,12}")  # of jobs, and of one
TRIAL_LENGTH, REASON_LENGTH = 1_000, 300  # of a name that is read again, and of what is wrong with a record
LEVELS = 100  # that may lie around and above facts where they are written


@dataclass(frozen=True)
class Record:
    """A run in flight: whose, in the folder of which job, and what will be stored of it."""

    executor: Text
    trial: Text
    job: Text
    row: dict[str, Any]
    facts: dict[str, Any]


RECORDS = TypeAdapter(Record)


@dataclass
class Collected:
    """What was not stored."""

    # Trials, what their executor's system calls their jobs, the steps they took, and their budgets.
    in_flight: list[tuple[str, str, int, int]] = field(default_factory=list)
    runs: int = 0  # of these trials
    problems: list[str] = field(default_factory=list)  # records that cannot be used
    refused: list[HarnessError] = field(default_factory=list)  # by executors, of whose jobs nothing was stored


@contextmanager
def detaching(store: Store) -> Iterator[Path]:
    """A new folder for jobs that outlive this session; whatever fails leaves none of them in flight."""
    with _alone(store) as place:
        batch = (place / uuid.uuid4().hex).absolute()
        batch.mkdir()
        try:
            yield batch
        except BaseException:
            for path in place.glob("*.json"):
                if _batch(path) == batch.name:
                    path.unlink()
            raise


@contextmanager
def _alone(store: Store) -> Iterator[Path]:
    """The folder of detached jobs, at which no other session is; jobs that no record can be of go in the end."""
    place = store.folder / DETACHED
    if place.exists() and not place.is_dir():
        raise StoreError(f"{place}: not a folder; remove it")
    lock = store.lock(DETACHED)
    if lock is None:
        raise StoreError(f"{store.folder}: another session detaches or collects there; try again when it has ended")
    try:
        place.mkdir(exist_ok=True)
        yield place
    finally:
        named = {_batch(path) for path in place.glob("*.json")}
        for batch in place.iterdir() if "" not in named else ():
            if BATCH.fullmatch(batch.name) and batch.name not in named:
                remove_tree(batch)
        lock.release()


def _batch(record: Path) -> str:
    """The name of the folder of jobs that a record, usable or not, is of; empty if it can be of any."""
    try:
        job = json.loads(read_bytes(record, OUTCOME_BYTES))["job"]
        return job.partition("/")[0] if PLACE.fullmatch(job) else ""
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return ""


def leave_records(store: Store, executor: str, flight: Flight) -> None:
    """Have the runs of a trial be in flight by an executor, from here on and whatever becomes of this session."""
    job = f"{flight.folder.parent.name}/{flight.folder.name}"
    for row in flight.rows:
        leave(
            store.folder / DETACHED / f"{row['key']}.json",
            asdict(Record(executor, flight.trial[:TRIAL_LENGTH], job, row, flight.facts)),
        )


def collect(finisher: Finisher, made: Callable[[str], DetachableExecutor]) -> Collected:
    """Store what has ended of all that was detached; ``made`` makes the executor of a name."""
    collected = Collected()
    with _alone(finisher.store) as place:
        trials: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for path in sorted(place.glob("*.json")):
            try:
                record = _read(path)
                trials[record.executor, record.job].append(record)
            except UnusableError as why:
                collected.problems.append(one_line(f"{path}: {why}"))
        for name in sorted({name for name, _ in trials}):
            of_name = {job: records for (its, job), records in trials.items() if its == name}
            try:
                _collect(finisher, made(name), place, of_name, collected)
            except HarnessError as why:
                collected.refused.append(why)
    return collected


def damaged(store: Store, keys: Iterable[str]) -> list[str]:
    """Of these keys, the records that hold one and that no collection can use, each with the reason."""
    found: list[str] = []
    for path in (store.folder / DETACHED / f"{key}.json" for key in keys if store.is_detached(key)):
        try:
            _read(path)
        except UnusableError as why:
            if os.path.lexists(path):  # else it has been collected meanwhile
                found.append(one_line(f"{path}: {why}"))
    return found


def _collect(
    finisher: Finisher, executor: DetachableExecutor, place: Path, trials: dict[str, list[Record]], collected: Collected
) -> None:
    """Store what has ended of an executor's jobs."""
    for job, (record, *_) in trials.items():
        executor.reattach(Job(job, place / job, record.row["device"], record.row["threads"], None, float("inf")))
    while found := executor.wait(0.0):  # which may tell of some only
        for ended in found:
            if _settle(finisher, place / ended.id, trials[ended.id], ended):
                del trials[ended.id]
    steps, names = executor.progress(), executor.names()
    collected.runs += sum(map(len, trials.values()))
    for job, (record, *_) in trials.items():
        collected.in_flight.append((record.trial, names.get(job, ""), steps.get(job, 0), record.row["budget"]))
    executor.detach()


def _settle(finisher: Finisher, folder: Path, records: list[Record], ended: Ended) -> bool:
    """Store how a trial ended, unless another session is at one of its runs just now."""
    store, keys = finisher.store, [record.row["key"] for record in records]
    locks = [lock for key in keys if (lock := store.lock(key))]
    try:
        if len(locks) < len(keys):
            return False
        # What a collection that was killed had stored already stays as it is.
        rows = [
            each.row
            for each in records
            if each.row["started_at"] != (store.row(each.row["key"]) or {}).get("started_at")
        ]
        if rows:
            finisher.finish(ended.id, Flight(records[0].trial, folder, tuple(rows), records[0].facts, []), ended)
        for key in keys:
            (store.folder / DETACHED / f"{key}.json").unlink()
        remove_tree(folder)
        return True
    finally:
        release(locks)


def _read(path: Path) -> Record:
    """A record that can be stored."""
    try:
        record = RECORDS.validate_python(json.loads(read_bytes(path, OUTCOME_BYTES)))
        facts: Any = record.facts
        for _ in range(LEVELS):
            facts = [facts]
        json.dumps(facts, indent=1, allow_nan=False)
        told = {**dict.fromkeys(RUNS.names), **record.row, "status": ""}
        row = checked_row(path, run_row(told, None, TrialOutcome()))
        folder = path.parent / record.job
        if f"{row['key']}.json" != path.name or not PLACE.fullmatch(record.job):
            raise ValueError("its key or its job is another")
        if folder.is_symlink() or folder.parent.is_symlink():
            raise ValueError("the folder of its job is a link")
    except (OSError, ValueError, RecursionError, UnusableError) as error:
        why = complaint(error)[:REASON_LENGTH]
        raise UnusableError(path, f"not the record of a detached run: {why}; remove it") from None
    return replace(record, trial=one_line(record.trial), row={**row, "status": ""})
