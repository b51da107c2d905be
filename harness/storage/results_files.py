"""Reading stored runs: every file is checked, and what is broken or foreign is reported, never raised.

Files come from killed sessions, full disks and strangers, so nothing in them is trusted: no pickle, types and
schemas compared with `harness.storage.schema_tables`, checksums with the run's own manifest.

Schemas grow, and runs are read for years: a column that is missing reads as null if it may be null, one that is
unknown is ignored, and what a newer harness wrote in another format is refused as that.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.storage.schema_tables import (
    COMPACT_FOLDER,
    COMPACT_RUNS,
    FORMAT_KEY,
    RUN_FILE,
    RUN_FORMAT,
    RUNS,
    STATUSES,
    TABLES,
    refusal,
)


class Problem(NamedTuple):
    """A stored file that could not be used.

    ``key`` is that of the run that is therefore missing from the tables, or, if it is not done, from this one only; ""
    where it is not known.
    """

    path: str
    key: str
    message: str


class _UnusableError(Exception):
    """A file that cannot be used: its path and why."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass
class Stored:
    """What the files hold."""

    # One row per key, values as in `RUNS`; and the rest of each ``run.json``, as JSON text where it was compacted.
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any] | str] = field(default_factory=dict)
    # Per name in `TABLES`, the pieces that together hold the rows of exactly these runs.
    tables: dict[str, list[pa.Table]] = field(default_factory=lambda: {name: [] for name in TABLES})
    problems: list[Problem] = field(default_factory=list)


def read(path: Path) -> Stored:
    """Every stored run at or below a suite's folder, or a folder of suites' folders."""
    stored = Stored()
    if not _read_suite(path, stored):
        for folder in _folders(path):
            _read_suite(folder, stored)
    return stored


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _read_suite(folder: Path, stored: Stored) -> bool:
    """Read one suite's folder; tells whether it is one."""
    found = False
    for place in _folders(folder):
        if place.name == COMPACT_FOLDER:
            continue
        try:
            found |= _read_run(place, stored)
        except _UnusableError as reason:
            found = True
            stored.problems.append(Problem(str(reason.path), place.name, str(reason)))
    compact = folder / COMPACT_FOLDER
    if compact.is_dir():
        found = True
        _read_compact(compact, stored)
    return found


def _read_run(folder: Path, stored: Stored) -> bool:
    """Read one run's folder; False if it holds no run (another session may be making it)."""
    path = folder / RUN_FILE
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        if any((folder / f"{name}.parquet").exists() for name in TABLES):
            raise _UnusableError(path, "missing, beside tables of a run") from None
        return False
    except (OSError, ValueError, RecursionError) as error:
        raise _UnusableError(path, f"not a readable JSON file: {error}") from None
    try:
        run, manifest = _parts(content)
        if run["key"] != folder.name:
            raise ValueError(f"is of run {run['key']!r}, not of the run that names its folder")
    except ValueError as error:
        raise _UnusableError(path, str(error)) from None
    if run["key"] in stored.runs:
        return True
    tables = {}
    for name in TABLES:
        try:
            tables[name] = _run_table(folder, name, run, manifest)
        except _UnusableError as reason:
            if run["status"] == "done":
                raise
            # Without its row, a run that failed would count for nothing.
            stored.problems.append(Problem(str(reason.path), run["key"], str(reason)))
    stored.runs[run["key"]], stored.manifests[run["key"]] = run, manifest
    for name, table in tables.items():
        if table is not None:
            stored.tables[name].append(table)
    return True


def _parts(content: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row and the manifest of a ``run.json``; a ValueError if it is not one."""
    if why_not := refusal(content.get("schema") if isinstance(content, dict) else type(content).__name__):
        raise ValueError(why_not)
    run, manifest = content.get("run"), content.get("manifest")
    if not isinstance(run, dict) or not isinstance(manifest, dict):
        raise ValueError('must hold the tables "run" and "manifest"')
    return _checked_row(run), manifest


def _checked_row(run: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `RUNS` and no others, types checked; a ValueError says which is missing or wrong."""
    row: dict[str, Any] = {}
    for name, (kinds, nullable) in _COLUMNS.items():
        value = run.get(name)
        if not (type(value) in kinds or (value is None and nullable)):
            raise ValueError(f"run.{name}: expected {kinds[-1].__name__}, found {value!r:.80}")
        # JSON can spell halves of characters, as of file names in error texts, that no table can hold.
        row[name] = value.encode(errors="replace").decode() if isinstance(value, str) else value
    if row["status"] not in STATUSES:
        raise ValueError(f"run.status: {row['status']!r:.80} is none of {', '.join(STATUSES)}")
    for name, largest in _LARGEST.items():
        if row[name] is not None and not 0 <= row[name] <= largest:
            raise ValueError(f"run.{name}: {row[name]} is out of range")
    return row


def _kinds(column: pa.Field) -> tuple[type, ...]:
    if pa.types.is_string(column.type):
        return (str,)
    if pa.types.is_boolean(column.type):
        return (bool,)
    return (int,) if pa.types.is_integer(column.type) else (int, float)


_COLUMNS = {column.name: (_kinds(column), column.nullable) for column in RUNS}
_LARGEST = {
    column.name: np.iinfo(column.type.to_pandas_dtype()).max for column in RUNS if pa.types.is_integer(column.type)
}
_REPEATED = ("key", "name")  # columns of repeated text


def table_problem(folder: Path, name: str, run: Mapping[str, Any]) -> str:
    """Why a table in a folder cannot be one of a run; empty if it can."""
    try:
        _run_table(folder, name, run, {})
    except _UnusableError as reason:
        return str(reason)
    return ""


def _run_table(folder: Path, name: str, run: Mapping[str, Any], manifest: Mapping[str, Any]) -> pa.Table | None:
    """One table of one run; None where a run that is not done left none."""
    path = folder / f"{name}.parquet"
    files = manifest.get("files")
    checksum = files.get(path.name) if isinstance(files, dict) else None
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if run["status"] != "done" and checksum is None:
            return None
        raise _UnusableError(path, "missing") from None
    except OSError as error:
        raise _UnusableError(path, f"not readable: {error}") from None
    if checksum is not None and hashlib.sha256(content).hexdigest() != checksum:
        raise _UnusableError(path, "not the file that was stored: its checksum differs from the manifest's")
    table = _table(path, pa.BufferReader(content), TABLES[name])
    if set(_keys(table)) - {run["key"]}:
        raise _UnusableError(path, "holds rows of another run")
    if name == "evaluations" and run["status"] == "done":
        _check_scores(path, pc.sum(table["return"]).as_py())
    return table


def _check_scores(path: Path, total: float | None) -> None:
    """A run that is done has scores, and they are numbers: ``total`` is the sum of its evaluation returns."""
    if total is None:
        raise _UnusableError(path, "holds no evaluation, but the run is done")
    if not math.isfinite(total):
        raise _UnusableError(path, "holds a return that is not finite, but the run is done")


def _table(path: Path, source: Any, schema: pa.Schema) -> pa.Table:
    """The columns of a schema from a Parquet file, those of repeated text dictionary-encoded."""
    wanted = _as_read(schema)
    try:
        file = pq.ParquetFile(source, read_dictionary=[name for name in _REPEATED if name in schema.names])
        found = file.schema_arrow
        if found.names != wanted.names or found.types != wanted.types or found.metadata:
            _refuse_foreign(path, found, wanted)
        table = file.read(columns=[name for name in wanted.names if name in found.names], use_threads=False)
    except KeyError as error:
        raise _UnusableError(path, f"not this table: it has no column {error}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _UnusableError(path, f"not a readable Parquet file: {error}") from None
    return table if table.schema.equals(wanted, check_metadata=True) else _completed(path, table, wanted)


def _refuse_foreign(path: Path, found: pa.Schema, wanted: pa.Schema) -> None:
    """Raise unless each column is there with its type, or may be missing, and the format is one that is known."""
    version = (found.metadata or {}).get(FORMAT_KEY, str(RUN_FORMAT).encode())
    if why_not := refusal(int(version) if version.isdigit() else version.decode(errors="replace")):
        raise _UnusableError(path, why_not)
    for column in wanted:
        told = found.field(column.name).type if column.name in found.names else None
        if told != column.type and (told is not None or not column.nullable):
            has = f"its columns are {', '.join(found.names):.200}" if told is None else f"{column.name} is {told}"
            raise _UnusableError(path, f"not this table: {has}")


def _completed(path: Path, table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """The table with exactly these columns: those that are missing are null, and null is where it may be."""
    columns = [
        table[column.name] if column.name in table.column_names else pa.nulls(len(table), column.type)
        for column in wanted
    ]
    for column, values in zip(wanted, columns, strict=True):
        if not column.nullable and values.null_count:
            raise _UnusableError(path, f"column {column.name!r} has missing values")
    return pa.Table.from_arrays(columns, schema=wanted)


@cache
def _as_read(schema: pa.Schema) -> pa.Schema:
    """A schema with its columns of repeated text dictionary-encoded."""
    encoded = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([c.with_type(encoded) if c.name in _REPEATED else c for c in schema])


def _keys(table: pa.Table) -> list[str]:
    """The distinct keys of a table."""
    return [key for chunk in table["key"].chunks for key in chunk.dictionary.to_pylist()]


def _read_compact(folder: Path, stored: Stored) -> None:
    """Add the compacted runs that have no folder of their own."""
    path = folder / "runs.parquet"
    try:
        rows = _table(path, path, COMPACT_RUNS).to_pylist()
        tables = {name: _table(place := folder / f"{name}.parquet", place, TABLES[name]) for name in TABLES}
    except _UnusableError as reason:
        stored.problems.append(Problem(str(reason.path), "", str(reason)))
        return
    returns = tables["evaluations"].group_by("key").aggregate([("return", "sum")])
    totals = dict(zip(returns["key"].to_pylist(), returns["return_sum"].to_pylist(), strict=True))
    fresh = []
    for row in rows:
        key = row["key"]
        if key in stored.runs:
            continue
        try:
            run = _checked_row(row)
            if run["status"] == "done":
                _check_scores(folder / "evaluations.parquet", totals.get(key))
        except (ValueError, _UnusableError) as error:
            stored.problems.append(Problem(str(getattr(error, "path", path)), key, str(error)))
            continue
        fresh.append(key)
        stored.runs[key], stored.manifests[key] = run, row["manifest"]
    for name, table in tables.items():
        stored.tables[name].append(table.filter(pc.is_in(table["key"].cast(pa.string()), pa.array(fresh, pa.string()))))


def read_compact_keys(folder: Path) -> frozenset[str]:
    """Keys of the usable runs in a ``compact`` folder; none where it is broken."""
    stored = Stored()
    _read_compact(folder, stored)
    return frozenset(stored.runs)
