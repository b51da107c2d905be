"""Reading stored runs: every file is checked, and what is broken or foreign is reported, never raised.

Files come from killed sessions, full disks and strangers, so nothing in them is trusted: only regular files of bounded
size are opened, no pickle, types and schemas compared with `harness.storage.schema_tables`, checksums with the run's
own manifest, returns with its fingerprint. Every command reads through here: what one calls damaged is done for none.

Schemas grow, and runs are read for years: a column that is missing reads as null if it may be null, one that is
unknown is ignored, and what a newer harness wrote in another format is refused as that.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.storage import schema_tables
from harness.storage.files import NewerFormatError, StoreError, UnusableError, read_file, size_of, state_of
from harness.storage.schema_tables import (
    COMPACT_FOLDER,
    KEY,
    RUN_FILE,
    RUNS,
    STATUSES,
    TABLES,
    check_format,
    fingerprint,
)

LARGEST_RUN = 2**24  # bytes of a run.json; most of an ordinary one's ten thousand are descriptions
LARGEST_TABLE = 2**30  # bytes of a table of one run
# A table may take so many bytes of memory, and so many more for each of its file's; a row of it takes about so many.
ROOM, EXPANSION, ROW_BYTES = 2**30, 2**7, 64
EXACT = 2**53  # whole numbers up to here are floating-point numbers too
HUGE = 1e100  # squares of what is larger, and sums of these, may be infinite


class Problem(NamedTuple):
    """A stored file that could not be used.

    ``key`` is that of the run that is therefore missing from the tables, or, if it is not done, from this one only; ""
    where it is not known.
    """

    path: str
    key: str
    message: str


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
    try:
        if not _read_suite(path, stored):
            for folder in _folders(path):
                _read_suite(folder, stored)
    except OSError as error:
        stored.problems.append(Problem(str(error.filename), "", f"not readable: {error.strerror}"))
    return stored


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _read_suite(folder: Path, stored: Stored) -> bool:
    """Read one suite's folder; tells whether it is one."""
    found = False
    for place in (place for place in _folders(folder) if place.name != COMPACT_FOLDER):
        try:
            found |= _read_run(place, stored)
        except UnusableError as reason:
            found = True
            stored.problems.append(Problem(str(reason.path), place.name, str(reason)))
    return read_compact(folder / COMPACT_FOLDER, stored) or found


def _read_run(folder: Path, stored: Stored) -> bool:
    """Read one run's folder; False if it holds no run (another session may be making it)."""
    path = folder / RUN_FILE
    try:
        content = json.loads(read_file(path, LARGEST_RUN), parse_constant=_refuse_constant)
    except FileNotFoundError:
        if any((folder / f"{name}.parquet").exists() for name in TABLES):
            raise UnusableError(path, "missing, beside tables of a run") from None
        return False
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnusableError(path, f"not a readable JSON file: {error}") from None
    check_format(path, content.get("schema") if isinstance(content, dict) else type(content).__name__)
    run, manifest = content.get("run"), content.get("manifest")
    if not isinstance(run, dict) or not isinstance(manifest, dict):
        raise UnusableError(path, 'must hold the tables "run" and "manifest"')
    row = checked_row(path, run)
    if row["key"] != folder.name:
        raise UnusableError(path, f"is of run {row['key']!r:.80}, not of the run that names its folder")
    if row["key"] in stored.runs:
        return True
    tables = {}
    for name in TABLES:
        try:
            tables[name] = run_table(folder, name, row, manifest)
        except UnusableError as reason:
            if row["status"] == "done":
                raise
            # Without its row, a run that failed would count for nothing.
            stored.problems.append(Problem(str(reason.path), row["key"], str(reason)))
    if row["status"] == "done":
        check_done(folder, row, tables["evaluations"], tables["episodes"])
    stored.runs[row["key"]], stored.manifests[row["key"]] = row, manifest
    for name, table in tables.items():
        if table is not None:
            stored.tables[name].append(table)
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def checked_row(path: Path, run: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `RUNS` and no others, types checked; an `UnusableError` says which is missing or wrong."""
    row: dict[str, Any] = {}
    for name, (kinds, nullable) in _COLUMNS.items():
        value = run.get(name)
        if not (type(value) in kinds or (value is None and nullable)):
            raise UnusableError(path, f"run.{name}: expected {kinds[-1].__name__}, found {value!r:.80}")
        if isinstance(value, int | float) and not _in_range(name, value):
            raise UnusableError(path, f"run.{name}: {value!r:.80} is out of range")
        # JSON can spell halves of characters, as of file names in error texts, that no table can hold.
        row[name] = value.encode(errors="replace").decode() if isinstance(value, str) else value
    if KEY.fullmatch(row["key"]) is None:
        raise UnusableError(path, f"run.key: {row['key']!r:.80} is no key")
    if row["status"] not in STATUSES:
        raise UnusableError(path, f"run.status: {row['status']!r:.80} is none of {', '.join(STATUSES)}")
    return row


_KINDS: dict[pa.DataType, tuple[type, ...]] = {pa.string(): (str,), pa.bool_(): (bool,), pa.float64(): (int, float)}
_COLUMNS = {column.name: (_KINDS.get(column.type, (int,)), column.nullable) for column in RUNS}
_LARGEST = {
    column.name: np.iinfo(column.type.to_pandas_dtype()).max for column in RUNS if pa.types.is_integer(column.type)
}
_NOTHING: Mapping[str, Any] = {"return": (), "length": ()}
_REPEATED = ("key", "name")  # columns of repeated text


def _in_range(name: str, value: float) -> bool:
    if name in _LARGEST:
        return 0 <= value <= _LARGEST[name]
    return abs(value) <= (EXACT if isinstance(value, int) else HUGE)  # False where it is no number


def run_table(folder: Path, name: str, run: Mapping[str, Any], manifest: Mapping[str, Any]) -> pa.Table | None:
    """One table of one run; None where a run that is not done left none. An `UnusableError` if it cannot be that."""
    path = folder / f"{name}.parquet"
    files = manifest.get("files")
    checksum = files.get(path.name) if isinstance(files, dict) else None
    try:
        content = read_file(path, LARGEST_TABLE)
    except FileNotFoundError:
        if run["status"] != "done" and checksum is None:
            return None
        raise UnusableError(path, "missing") from None
    if checksum is not None and hashlib.sha256(content).hexdigest() != checksum:
        raise UnusableError(path, "not the file that was stored: its checksum differs from the manifest's")
    table = _table(path, pa.BufferReader(content), len(content), TABLES[name])
    if set(_keys(table)) - {run["key"]}:
        raise UnusableError(path, "holds rows of another run")
    return table


def check_done(folder: Path, run: Mapping[str, Any], evaluated: Any, trained: Any) -> None:
    """A run that is done has scores, they are numbers, and all its returns are those that it was stored with."""
    path = folder / "evaluations.parquet"
    if not len(evaluated["return"]):
        raise UnusableError(path, "holds no evaluation, but the run is done")
    if not np.abs(evaluated["return"]).max() <= HUGE:
        raise UnusableError(path, "holds a return that is not finite, but the run is done")
    returns, lengths = (np.concatenate([trained[name], evaluated[name]]) for name in ("return", "length"))
    if run["fingerprint"] and fingerprint(returns, lengths) != run["fingerprint"]:
        raise UnusableError(path, "these or the returns in episodes.parquet are not those of the run's fingerprint")


def _table(path: Path, source: Any, size: int, schema: pa.Schema) -> pa.Table:
    """The columns of a schema from a Parquet file, those of repeated text dictionary-encoded."""
    wanted = _as_read(schema)
    try:
        repeated = [name for name in _REPEATED if name in schema.names]
        file = pq.ParquetFile(source, read_dictionary=repeated, page_checksum_verification=True)
        found = file.schema_arrow
        if found.names != wanted.names or found.types != wanted.types or found.metadata:
            _refuse_foreign(path, found, wanted)
        _refuse_bomb(path, file.metadata, size)
        table = file.read(columns=[name for name in wanted.names if name in found.names], use_threads=False)
        table.validate(full=True)
    except KeyError as error:
        raise UnusableError(path, f"not this table: it has no column {error}") from None
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise UnusableError(path, f"not a readable Parquet file: {error}") from None
    return table if table.schema.equals(wanted, check_metadata=True) else _completed(path, table, wanted)


def _refuse_bomb(path: Path, metadata: pq.FileMetaData, size: int) -> None:
    """Refuse a small file that would fill the memory: what was measured does not compress to nothing."""
    groups = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    expanded = max(sum(groups), metadata.num_rows * ROW_BYTES)
    if expanded > ROOM + EXPANSION * size:
        raise UnusableError(path, f"{size:,} bytes would take {expanded:,} in memory")


def _refuse_foreign(path: Path, found: pa.Schema, wanted: pa.Schema) -> None:
    """Raise unless each column is there with its type, or may be missing, and the format is one that is known."""
    version = (found.metadata or {}).get(schema_tables.FORMAT_KEY, str(schema_tables.RUN_FORMAT).encode())
    check_format(path, int(version) if version.isdigit() else version.decode(errors="replace"))
    for column in wanted:
        told = found.field(column.name).type if column.name in found.names else None
        if told != column.type and (told is not None or not column.nullable):
            has = f"its columns are {', '.join(found.names):.200}" if told is None else f"{column.name} is {told}"
            raise UnusableError(path, f"not this table: {has}")


def _completed(path: Path, table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """The table with exactly these columns: those that are missing are null, and null is where it may be."""
    columns = [
        table[column.name] if column.name in table.column_names else pa.nulls(len(table), column.type)
        for column in wanted
    ]
    for column, values in zip(wanted, columns, strict=True):
        if not column.nullable and values.null_count:
            raise UnusableError(path, f"column {column.name!r} has missing values")
    return pa.Table.from_arrays(columns, schema=wanted)


@cache
def _as_read(schema: pa.Schema) -> pa.Schema:
    """A schema with its columns of repeated text dictionary-encoded."""
    encoded = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([c.with_type(encoded) if c.name in _REPEATED else c for c in schema])


def _keys(table: pa.Table) -> list[str]:
    """The distinct keys of a table."""
    return [key for chunk in table["key"].chunks for key in chunk.dictionary.to_pylist()]


def _by_key(table: pa.Table) -> dict[str, Any]:
    """The returns and lengths of every run in a table."""
    return dict(iter(table.select(["key", "return", "length"]).to_pandas().groupby("key", observed=True)))


def read_compact(folder: Path, stored: Stored) -> bool:
    """Add the compacted runs that have no folder of their own; tells whether there is something."""
    path = folder / "runs.parquet"
    try:
        if not folder.is_dir() or not (path.exists() or _holds_lost_runs(folder)):
            return False
        rows = _table(path, path, size_of(path), schema_tables.COMPACT_RUNS).to_pylist()
        places = {name: folder / f"{name}.parquet" for name in TABLES}
        tables = {name: _table(place, place, size_of(place), TABLES[name]) for name, place in places.items()}
    except (UnusableError, FileNotFoundError) as error:
        reason = error if isinstance(error, UnusableError) else UnusableError(Path(error.filename), "missing")
        stored.problems.append(Problem(str(reason.path), "", str(reason)))
        return True
    evaluated, trained = _by_key(tables["evaluations"]), _by_key(tables["episodes"])
    fresh = []
    for row in rows:
        key = row["key"]
        if key in stored.runs:
            continue
        try:
            run = checked_row(path, row)
            if run["status"] == "done":
                check_done(folder, run, evaluated.get(key, _NOTHING), trained.get(key, _NOTHING))
        except UnusableError as error:
            stored.problems.append(Problem(str(error.path), key, str(error)))
            continue
        fresh.append(key)
        stored.runs[key], stored.manifests[key] = run, row["manifest"]
    for name, table in tables.items():
        stored.tables[name].append(table.filter(pc.is_in(table["key"].cast(pa.string()), pa.array(fresh, pa.string()))))
    return True


def _holds_lost_runs(folder: Path) -> bool:
    """Whether tables without a list of runs, as a killed first compaction leaves them, hold one that has no folder."""
    places = {folder / f"{name}.parquet": schema for name, schema in TABLES.items()}
    tables = [_table(place, place, size_of(place), schema) for place, schema in places.items() if place.exists()]
    return not {key for table in tables for key in _keys(table)} <= {entry.name for entry in _folders(folder.parent)}


def as_table(manifest: Any) -> dict[str, Any]:
    """A manifest, or a table in it, whichever way it is stored; empty where a stranger's is something else."""
    try:
        table = json.loads(manifest) if isinstance(manifest, str) else manifest
    except (ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


class StoredRuns:
    """What is stored in ``results/<suite>``, run by run, which is only read; ``problems`` are what it met, by path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: dict[str, Problem] = {}
        self._rows: dict[str, tuple[object, dict[str, Any] | None]] = {}  # with the state of the files they are of
        self._compacted: tuple[object, frozenset[str]] = (None, frozenset())

    def row(self, key: str) -> dict[str, Any] | None:
        """The row of the run of this key; None if there is none or it is damaged. `StoreError` if a newer harness's."""
        folder, stored = self.folder / key, Stored()
        state = [state_of(folder / name) for name in (RUN_FILE, *(f"{name}.parquet" for name in TABLES))]
        if key not in self._rows or self._rows[key][0] != state:
            try:
                _read_run(folder, stored)
            except NewerFormatError as reason:  # to run it again would replace what is no worse
                raise StoreError(f"{reason.path}: {reason}") from None
            except UnusableError as reason:
                self.problems[str(reason.path)] = Problem(str(reason.path), key, str(reason))
            self._rows[key] = state, stored.runs.get(key)
        return self._rows[key][1]

    def is_done(self, key: str) -> bool:
        """Whether a run of this key is complete: whether the tables of results hold it as done."""
        row = self.row(key)
        return key in self._compacted_keys() if row is None else row["status"] == "done"

    def _compacted_keys(self) -> frozenset[str]:
        """Keys of the compacted runs that are done, read again only when their files have changed."""
        folder = self.folder / COMPACT_FOLDER
        state = [state_of(folder / f"{name}.parquet") for name in ("runs", *TABLES)]
        if self._compacted[0] != state:
            read_compact(folder, stored := Stored())
            self.problems |= {problem.path: problem for problem in stored.problems}
            self._compacted = state, frozenset(key for key, run in stored.runs.items() if run["status"] == "done")
        return self._compacted[1]
