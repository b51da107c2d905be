"""Folding finished runs into one file per table, so that thousands of them load fast."""

import contextlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.storage.files import StoreError, state_of
from harness.storage.results_files import Stored, read, read_compact
from harness.storage.schema_tables import COMPACT_FOLDER, COMPACT_RUNS, FORMAT_KEY, RUN_FILE, RUN_FORMAT, TABLES
from harness.storage.store import Store, flush


def compact(store: Store) -> int:
    """Fold every run that is done into ``compact/`` and remove its folder; returns how many were removed.

    The folder of a run that another session is at work on stays, and so does one whose result is newer than what was
    folded: it counts more than the compacted copy.

    A kill at any moment loses nothing: tables grow before the list of runs does, rows of runs that are not listed
    are not read, and a folder goes only once its run is listed.

    Raises:
        StoreError: another session is compacting, what was compacted before is damaged, or the disk is full.
    """
    with _alone(store) as place:
        seen = {path.parent.name: state_of(path) for path in store.folder.glob(f"*/{RUN_FILE}")}
        stored = read(store.folder)
        _refuse_damage(stored, place)
        done = [key for key, run in stored.runs.items() if run["status"] == "done"]
        damaged = {problem.key for problem in stored.problems}
        fresh = [key for key in done if key in seen and key not in damaged]
        if fresh:
            with store.staging() as staging:
                _write(stored, done, staging, place)
        return sum(_discard(store, key, seen[key]) for key in fresh)


def remove(store: Store, unwanted: Collection[str]) -> int:
    """Remove runs for good, folder and compacted rows; returns how many. A folder that a session works on stays.

    A kill leaves some of them whole, for the list of compacted runs shrinks first. Raises what `compact` does.
    """
    with _alone(store) as place:
        seen = {key: state_of(store.folder / key / RUN_FILE) for key in unwanted}
        read_compact(place, stored := Stored())
        _refuse_damage(stored, place)
        kept = [key for key in stored.runs if key not in seen]
        if len(kept) < len(stored.runs):
            with store.staging() as staging:
                _write(stored, kept, staging, place, shrinks=True)
        folders = {key for key, state in seen.items() if _discard(store, key, state)}
        return len(folders | (stored.runs.keys() - kept))


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[Path]:
    """The folder of compacted runs, to which no other session writes meanwhile."""
    place, lock = store.folder / COMPACT_FOLDER, store.lock(COMPACT_FOLDER)
    if lock is None:
        raise StoreError(f"{store.folder}: another session is compacting it")
    try:
        store.clear_abandoned()
        yield place
    except OSError as error:
        raise StoreError(f"{place}: cannot be written: {error}") from error
    finally:
        lock.release()


def _discard(store: Store, key: str, version: tuple[int, ...]) -> bool:
    """Remove a run's folder if it still holds what was read, under the lock that whoever replaces it needs.

    Locks are taken one by one, because each holds a file open and runs come in thousands.
    """
    lock = store.lock(key)
    if lock is None:
        return False
    try:
        unchanged = bool(version) and state_of(store.folder / key / RUN_FILE) == version
        if unchanged:
            store.discard(store.folder / key)
        return unchanged
    finally:
        lock.release()


def _refuse_damage(stored: Stored, place: Path) -> None:
    """Refuse to write anew beside compacted runs that cannot be read: that would erase them."""
    for problem in stored.problems:
        if Path(problem.path).is_relative_to(place):
            raise StoreError(f"{problem.path}: {problem.message}; nothing was done, for the runs in it would be lost")


def _write(stored: Stored, done: list[str], staging: Path, place: Path, shrinks: bool = False) -> None:
    """Write the four files beside their place and rename them into it, the list of runs last, or first to shrink."""
    keys = pa.array(done, pa.string())
    tables = {}
    for name, schema in TABLES.items():
        table = pa.concat_tables([schema.empty_table(), *(piece.cast(schema) for piece in stored.tables[name])])
        tables[name] = table.filter(pc.is_in(table["key"], keys))
    told = {key: text if isinstance(text, str) else json.dumps(text) for key, text in stored.manifests.items()}
    rows = [{**stored.runs[key], "manifest": told[key]} for key in done]
    tables["runs"] = pa.Table.from_pylist(rows, COMPACT_RUNS)
    place.mkdir(exist_ok=True)
    for name in reversed(tables) if shrinks else tables:
        path = staging / f"{name}.parquet"
        formatted = tables[name].replace_schema_metadata({FORMAT_KEY: str(RUN_FORMAT)})
        pq.write_table(formatted, path, compression="zstd", write_page_checksum=True)
        flush(path)
        path.replace(place / path.name)
    flush(place)
