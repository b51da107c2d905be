"""What can be wrong with stored runs, from a flipped bit to a device in the place of a file, and what comes of each."""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from support.results import edited, rewritten, with_column

TABLES = ("evaluations", "episodes", "diagnostics")
FILES = ("run.json", *(f"{name}.parquet" for name in TABLES))


class Place(NamedTuple):
    """What a mutation may change, and what it must leave alone."""

    suite: Path  # folder of the suite
    run: Path  # of a run in it that is done
    outside: Path  # that nothing may write to
    rng: np.random.Generator

    def pick(self, values: Iterable[Any]) -> Any:
        values = list(values)
        return values[self.rng.integers(len(values))]


class Mutation(NamedTuple):
    """A change, and what must become of the run: ``damaged`` ones are named, and trained again if not ``refused``."""

    change: Callable[[Place], object]
    damaged: bool = True
    refused: bool = False  # `run` or `compact` may say that they do not touch this


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else in the place of a file or folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"PAR1")
        file.truncate(2**40)


def a_socket(path: Path) -> None:
    before = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(path.name)
    os.chdir(before)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a link to a file of the kernel": lambda path: path.symlink_to("/proc/self/maps"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a sparse file": sparse,
    "a folder": lambda path: path.mkdir(),
    "a socket": a_socket,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no, nothing\n" * 9),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe{}\x80" * 9),
    "missing": lambda path: None,
}


def truncated(path: Path, place: Place) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(place.rng.integers(len(content) - 1))])


def flipped(path: Path, place: Place) -> None:
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    spots = place.rng.choice(len(content), min(len(content), int(place.rng.integers(1, 20))), replace=False)
    content[spots] ^= np.uint8(1) << place.rng.integers(0, 8, len(spots)).astype(np.uint8)
    path.write_bytes(content.tobytes())


def text_with(path: Path, key: str, literal: str) -> None:
    """Set a value in a file's JSON as it is written, whatever Python thinks of it; ``key`` may be dotted."""
    content = json.loads(path.read_text())
    *above, last = key.split(".")
    table = content
    for name in above:
        table = table[name]
    table[last] = "<here>"
    path.write_text(json.dumps(content).replace('"<here>"', literal, 1))


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


WRONG = ("null", "[]", "{}", '[1, "x"]', '{"a": 1}', "true", "1e999", "NaN", "-Infinity", deep(900), deep(100_000))
BIG = ("1" + "0" * 30, str(2**63), str(-(2**63) - 1), "-1", "1" * 5_000, "1.5")
ODD_TEXT = (
    *("", " ", "x" * 300, "x" * 20_000, "<script>alert(1)</script>", "a\0b", "a\nb\r\nc", "\x1b[31mred\x1b[0m"),
    *(
        "../../x",
        "/etc/passwd",
        "%s{0}$x_1^2",
        "\ud800",
        "\u202eltr",
        "\U0001f600",
        "-rf",
        "nan",
        "#REF!",
        '"',
        "$\\frac",
    ),
)
NUMBERS = ("seed", "steps", "budget", "threads", "jobs", "runs_in_trial")
FLOATS = ("train_seconds", "total_seconds", "peak_memory_mib", "random_score", "reference_score", "threshold")
TEXTS = ("suite", "algorithm", "algorithm_id", "algorithm_version", "config", "environment", "environment_id")
TEXTS += ("environment_version", "device", "task_hash", "started_at", "finished_at", "machine", "commit")
MANIFEST = ("suite", "job", "environment", "algorithm_spec", "versions", "hardware", "git", "command", "files")
JOB = ("seeds", "budget", "points", "episodes", "config", "environment", "keys", "target")


def column_of(place: Place, change: Callable[[Place, pa.Table], pa.Table], tables: Iterable[str] = TABLES[:1]) -> None:
    """Change a table, and its checksum with it."""
    rewritten(place.run, place.pick(tables), lambda table: change(place, table))


def with_some(place: Place, table: pa.Table, name: str, value: Any) -> pa.Table:
    """The table with another value in one row."""
    values = table[name].to_pylist()
    values[int(place.rng.integers(len(values)))] = value
    return with_column(table, name, pa.array(values, table.schema.field(name).type))


def without_nulls(table: pa.Table, name: str) -> pa.Table:
    holes = table[name].to_pylist()
    holes[0] = None
    at = table.column_names.index(name)
    return table.set_column(at, pa.field(name, table.schema.field(name).type), pa.array(holes, table[name].type))


def wider(table: pa.Table, name: str, kind: pa.DataType) -> pa.Table:
    return table.set_column(table.column_names.index(name), pa.field(name, kind, False), table[name].cast(kind))


def nullable(table: pa.Table) -> pa.Table:
    return table.cast(pa.schema([field.with_nullable(True) for field in table.schema]))


def by_pandas(path: Path) -> None:
    frame: pd.DataFrame = pd.read_parquet(path)
    frame.to_parquet(path)


def checksummed(place: Place, name: str, write: Callable[[Path], object]) -> None:
    """Write a table's file anew, and its checksum with it."""
    import hashlib

    path = place.run / f"{name}.parquet"
    write(path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    edited(place.run, lambda content: content["manifest"]["files"].update({path.name: checksum}))


def bomb(path: Path) -> None:
    """A small file of very many rows."""
    schema = pq.read_schema(path)
    rows = 2**20
    columns = [pa.array(np.zeros(rows), pa.float64()).cast(f.type) if f.name != "key" else None for f in schema]
    columns[0] = pa.array([path.parent.name] * rows)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for _ in range(40):
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def run_json(key: str, values: Iterable[str]) -> Callable[[Place], None]:
    values = list(values)
    return lambda place: text_with(place.run / "run.json", key, place.pick(values))


def in_suite(name: str, make: Callable[[Path, Place], object]) -> Callable[[Place], None]:
    return lambda place: replaced(place.suite / name.format(key=place.run.name), lambda path: make(path, place))


def link(path: Path, place: Place) -> None:
    path.symlink_to(place.outside)


def file_link(path: Path, place: Place) -> None:
    path.symlink_to(place.outside / place.pick(["precious.txt", "new.txt"]))


def staged_link(place: Place) -> None:
    staging = place.suite / ".staging"
    staging.mkdir(exist_ok=True)
    (staging / "x.lock").touch()
    (staging / "x").symlink_to(place.outside)


def moved_out(place: Place) -> None:
    """A run's folder that is a link to a damaged one elsewhere."""
    there = place.outside / place.run.name
    shutil.copytree(place.run, there)
    (there / "evaluations.parquet").write_bytes(b"x")
    replaced(place.run, lambda path: path.symlink_to(there))


def foreign_run(place: Place) -> None:
    there = place.suite / place.pick(["strange", "x\ny", "report2"])
    there.mkdir()
    replaced(there / "run.json", NO_FILES[place.pick(NO_FILES)])


MUTATIONS: dict[str, Mutation] = {
    **{
        f"{name} in place of a file": Mutation(lambda p, m=make: replaced(p.run / p.pick(FILES), m))
        for name, make in NO_FILES.items()
    },
    **{
        f"{name} in place of the folder": Mutation(lambda p, m=make: replaced(p.run, m), damaged=False)
        for name, make in NO_FILES.items()
    },
    "a truncated file": Mutation(lambda p: truncated(p.run / p.pick(FILES), p)),
    "bits flipped in a table": Mutation(lambda p: flipped(p.run / p.pick(FILES[1:]), p)),
    "bits flipped in run.json": Mutation(lambda p: flipped(p.run / "run.json", p), damaged=False),
    "another format": Mutation(run_json("schema", ("0", '"1"', "null", "1.0", "true", "[]", "-1", "1e999"))),
    "a newer format": Mutation(run_json("schema", ("2", "3", "9" * 4_000)), refused=True),
    "a part of another type": Mutation(
        lambda p: run_json(p.pick(["run", "manifest"]), (*WRONG[:2], WRONG[3], '"x"', "5"))(p)
    ),
    "deep nesting": Mutation(run_json("manifest", (deep(100_000), '{"a":' * 100_000))),
    "nesting that is just allowed": Mutation(
        run_json("manifest.suite", map(deep, range(300, 1000, 30))), damaged=False
    ),
    "a list": Mutation(lambda p: (p.run / "run.json").write_text(p.pick(WRONG))),
    "a required value of another type": Mutation(lambda p: run_json(f"run.{p.pick(TEXTS + NUMBERS)}", WRONG)(p)),
    "a number out of range": Mutation(lambda p: run_json(f"run.{p.pick(NUMBERS)}", BIG)(p)),
    "a number beyond double": Mutation(
        lambda p: run_json(f"run.{p.pick(FLOATS)}", (*BIG[:3], "1e999", "NaN", "1e200"))(p)
    ),
    "a number that can be": Mutation(
        lambda p: run_json(f"run.{p.pick(FLOATS)}", ("null", "0", "-1", "1e-320", "-0.0", "1e90", "-1e90"))(p),
        damaged=False,
    ),
    "a count that can be": Mutation(
        lambda p: run_json(f"run.{p.pick(NUMBERS)}", ("0", "1", "2147483647"))(p), damaged=False
    ),
    "an odd text": Mutation(lambda p: run_json(f"run.{p.pick(TEXTS)}", map(json.dumps, ODD_TEXT))(p), damaged=False),
    "an odd configuration": Mutation(
        lambda p: run_json("run.config", map(json.dumps, (*WRONG, *BIG, '{"pause": NaN}', '{"a": 1}')))(p),
        damaged=False,
    ),
    "another key": Mutation(run_json("run.key", map(json.dumps, ("f" * 20, *ODD_TEXT)))),
    "a renamed key": Mutation(lambda p: edited(p.run, lambda c: c["run"].update(Seed=c["run"].pop(p.pick(TEXTS))))),
    "no status": Mutation(lambda p: run_json("run.status", ('"perfect"', '""', "null", "{}"))(p)),
    "another status": Mutation(
        lambda p: run_json("run.status", map(json.dumps, ("failed", "crashed", "skipped", "interrupted", "diverged")))(
            p
        ),
        damaged=False,
    ),
    "an odd manifest": Mutation(
        lambda p: run_json(f"manifest.{p.pick(MANIFEST)}", (*WRONG[:6], *BIG, *map(json.dumps, ODD_TEXT)))(p),
        damaged=False,
    ),
    "an odd job": Mutation(
        lambda p: run_json(f"manifest.job.{p.pick(JOB)}", (*WRONG[:6], *BIG, json.dumps(list(range(10**5)))))(p),
        damaged=False,
    ),
    "odd versions": Mutation(
        run_json("manifest.versions", ('{"": 1, "../x": null}', '{"a b": []}', '{"\\ud800": "\\ud800"}')), damaged=False
    ),
    "odd names of files": Mutation(
        run_json(
            "manifest.files", ('{"/dev/zero": "x"}', '{"../../x": ""}', '{"a\\u0000b": "x"}', '{".": 1}', '{"": {}}')
        ),
        damaged=False,
    ),
    "a missing column": Mutation(lambda p: column_of(p, lambda p, t: t.drop_columns([p.pick(t.column_names)]))),
    "nulls": Mutation(lambda p: column_of(p, lambda p, t: without_nulls(t, p.pick(t.column_names)))),
    "no rows": Mutation(lambda p: column_of(p, lambda p, t: t.slice(0, 0))),
    "a row less": Mutation(lambda p: column_of(p, lambda p, t: t.slice(1))),
    "a return that is no number": Mutation(
        lambda p: column_of(p, lambda p, t: with_some(p, t, "return", p.pick([np.nan, np.inf, -np.inf, 1e300])))
    ),
    "another return": Mutation(lambda p: column_of(p, lambda p, t: with_some(p, t, "return", 3.25))),
    "rows three times": Mutation(lambda p: column_of(p, lambda p, t: pa.concat_tables([t] * 3), TABLES[:2])),
    "another run's rows": Mutation(
        lambda p: column_of(p, lambda p, t: with_column(t, "key", pa.array(["f" * 20] * len(t))), TABLES[:2])
    ),
    "a column of another type": Mutation(
        lambda p: column_of(
            p, lambda p, t: wider(t, p.pick(["return", "length", "step"]), p.pick([pa.string(), pa.float32()]))
        )
    ),
    "columns that may be null": Mutation(lambda p: column_of(p, lambda p, t: nullable(t), TABLES), damaged=False),
    "written by pandas": Mutation(lambda p: checksummed(p, p.pick(TABLES), by_pandas), damaged=False),
    "another column": Mutation(
        lambda p: column_of(p, lambda p, t: t.append_column("x\n", pa.array([[1]] * len(t))), TABLES), damaged=False
    ),
    "an odd step": Mutation(
        lambda p: column_of(
            p, lambda p, t: with_some(p, t, p.pick(["step", "seed"]), p.pick([-1, 0, 2**62, -(2**63)]))
        ),
        damaged=False,
    ),
    "an odd index": Mutation(
        lambda p: column_of(
            p, lambda p, t: with_some(p, t, p.pick(["evaluation", "episode"]), p.pick([-1, 7, 2**31 - 1]))
        ),
        damaged=False,
    ),
    "odd seconds": Mutation(
        lambda p: column_of(p, lambda p, t: with_some(p, t, "train_seconds", p.pick([np.nan, np.inf, -1.0, 1e300]))),
        damaged=False,
    ),
    "a bomb": Mutation(lambda p: checksummed(p, "evaluations", bomb)),
    "a folder that is a link": Mutation(moved_out),
    "a report elsewhere": Mutation(in_suite("report", link), damaged=False, refused=True),
    "tables of a report elsewhere": Mutation(in_suite("report/tables", link), damaged=False, refused=True),
    "a page elsewhere": Mutation(in_suite("report/index.html", file_link), damaged=False),
    "a page that is a FIFO": Mutation(in_suite("report/index.html", lambda path, p: os.mkfifo(path)), damaged=False),
    "staging elsewhere": Mutation(in_suite(".staging", link), damaged=False, refused=True),
    "locks elsewhere": Mutation(in_suite(".locks", link), damaged=False, refused=True),
    "a lock elsewhere": Mutation(in_suite(".locks/{key}", file_link), damaged=False, refused=True),
    "a lock that is a folder": Mutation(
        in_suite(".locks/{key}", lambda path, p: path.mkdir()), damaged=False, refused=True
    ),
    "staged work elsewhere": Mutation(staged_link, damaged=False),
    "odd remains": Mutation(
        lambda p: in_suite(f".staging/{p.pick(['old-', 'old-..-1', 'old-x', 'x.lock', 'old-{key}-1'])}", link)(p),
        damaged=False,
        refused=True,
    ),
    "an empty compact folder": Mutation(in_suite("compact", lambda path, p: path.mkdir()), damaged=False),
    "compact elsewhere": Mutation(in_suite("compact", link), damaged=False, refused=True),
    **{
        f"{name} in place of compact": Mutation(
            in_suite("compact", lambda path, p, m=make: m(path)), damaged=False, refused=True
        )
        for name, make in NO_FILES.items()
    },
    "a stranger's folder": Mutation(foreign_run, damaged=False),
}

COMPACTED = ("runs.parquet", *FILES[1:])
OF_COMPACTED: dict[str, Mutation] = {
    **{
        f"{name} in place of a compacted table": Mutation(
            lambda p, m=make: replaced(p.suite / "compact" / p.pick(COMPACTED), m), refused=True
        )
        for name, make in NO_FILES.items()
    },
    "a truncated compacted table": Mutation(
        lambda p: truncated(p.suite / "compact" / p.pick(COMPACTED), p), refused=True
    ),
    "bits flipped in a compacted table": Mutation(
        lambda p: flipped(p.suite / "compact" / p.pick(COMPACTED), p), damaged=False, refused=True
    ),
    "a compacted table without rows": Mutation(
        lambda p: compacted(p, COMPACTED[1], lambda t: t.slice(0, 0)), refused=True
    ),
    "compacted rows three times": Mutation(
        lambda p: compacted(p, p.pick(COMPACTED[1:3]), lambda t: pa.concat_tables([t] * 3)), refused=True
    ),
    "compacted runs twice": Mutation(
        lambda p: compacted(p, COMPACTED[0], lambda t: pa.concat_tables([t] * 2)), damaged=False
    ),
    "a compacted table by pandas": Mutation(
        lambda p: by_pandas(p.suite / "compact" / p.pick(COMPACTED)), damaged=False, refused=True
    ),
    "an odd compacted manifest": Mutation(
        lambda p: compacted(p, COMPACTED[0], lambda t: with_some(p, t, "manifest", p.pick((*WRONG, *BIG, "{", "\0")))),
        damaged=False,
        refused=True,
    ),
    "an odd compacted number": Mutation(
        lambda p: compacted(
            p,
            COMPACTED[0],
            lambda t: with_some(p, t, p.pick(FLOATS), p.pick([np.nan, np.inf, -1e200, 1e90, None, 0.0])),
        ),
        damaged=False,
        refused=True,
    ),
    "an odd compacted text": Mutation(
        lambda p: compacted(
            p,
            COMPACTED[0],
            lambda t: with_some(
                p, t, p.pick((*TEXTS, "key", "status")), p.pick([text for text in ODD_TEXT if text != "\ud800"])
            ),
        ),
        damaged=False,
        refused=True,
    ),
}


def compacted(place: Place, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    path = place.suite / "compact" / name
    pq.write_table(change(pq.read_table(path)), path)
