"""Folding finished runs into one file per table, so that thousands of them load fast."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.storage.files import StoreError, state_of
from harness.storage.results_files import Stored, read
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
    lock = store.lock(COMPACT_FOLDER)
    if lock is None:
        raise StoreError(f"{store.folder}: another session is compacting it")
    try:
        seen = {path.parent.name: state_of(path) for path in store.folder.glob(f"*/{RUN_FILE}")}
        stored = read(store.folder)
        _refuse_damage(stored, store.folder / COMPACT_FOLDER)
        done = [key for key, run in stored.runs.items() if run["status"] == "done"]
        damaged = {problem.key for problem in stored.problems}
        fresh = [key for key in done if key in seen and key not in damaged]
        if fresh:
            with store.staging() as staging:
                _write(stored, done, staging, store.folder / COMPACT_FOLDER)
        return sum(_discard(store, key, seen[key]) for key in fresh)
    except OSError as error:
        raise StoreError(f"{store.folder / COMPACT_FOLDER}: cannot be written: {error}") from error
    finally:
        lock.release()


def _discard(store: Store, key: str, version: tuple[int, ...]) -> bool:
    """Remove a run's folder if it still holds what was read, under the lock that whoever replaces it needs.

    Claims are taken one by one, because each holds a file open and runs come in thousands.
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
            why_not = "nothing was compacted, because the runs in it would be lost"
            raise StoreError(f"{problem.path}: {problem.message}; {why_not}")


def _write(stored: Stored, done: list[str], staging: Path, place: Path) -> None:
    """Write the four files beside their place and rename them into it, the list of runs last."""
    keys = pa.array(done, pa.string())
    tables = {}
    for name, schema in TABLES.items():
        pieces = [piece.cast(schema) for piece in stored.tables[name]]
        table = pa.concat_tables(pieces) if pieces else schema.empty_table()
        tables[name] = table.filter(pc.is_in(table["key"], keys))
    rows = [{**stored.runs[key], "manifest": _text(stored.manifests[key])} for key in done]
    tables["runs"] = pa.Table.from_pylist(rows, COMPACT_RUNS)
    place.mkdir(exist_ok=True)
    for name, table in tables.items():
        path = staging / f"{name}.parquet"
        formatted = table.replace_schema_metadata({FORMAT_KEY: str(RUN_FORMAT)})
        pq.write_table(formatted, path, compression="zstd", write_page_checksum=True)
        flush(path)
        path.replace(place / path.name)
    flush(place)


def _text(manifest: object) -> str:
    return manifest if isinstance(manifest, str) else json.dumps(manifest)
