"""The stored tables: columns, types, units and which file holds them.

One run is a folder with a ``run.json`` and three Parquet files; a compacted suite has one Parquet file per table for
many runs. Schemas may grow by columns that may be null; any other change is a new format, and a folder of every format
stays among the tests.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from harness.storage.files import NewerFormatError, UnusableError

KEY = re.compile(r"[0-9a-f]{20}")  # of a run, and the name of its folder
RUN_FILE = "run.json"
RUN_FORMAT = 1  # of run.json: {"schema": RUN_FORMAT, "run": {column: value of RUNS}, "manifest": {...}}
FORMAT_KEY = b"harness.format"  # of the metadata of compacted Parquet files; absent is 1
COMPACT_FOLDER = "compact"


def fingerprint(returns: ArrayLike, lengths: ArrayLike) -> str:
    """The hash of all (return, length) pairs of a run's training and then evaluation episodes, in order."""
    pairs = np.empty(len(np.asarray(returns)), [("return", "<f8"), ("length", "<i8")])
    pairs["return"], pairs["length"] = returns, lengths
    return hashlib.sha256(pairs.tobytes()).hexdigest()[:20]


def check_format(path: Path, found: object) -> None:
    """Raise an `UnusableError` for a format that cannot be read."""
    if isinstance(found, int) and found > RUN_FORMAT:
        upgrade = f"this one reads formats up to {RUN_FORMAT}: upgrade rl-harness"
        raise NewerFormatError(path, f"written by a newer harness, in format {found}; {upgrade}")
    if found != RUN_FORMAT or type(found) is not int:
        raise UnusableError(path, f"not a run of format {RUN_FORMAT}: schema is {found!r:.80}")


def _schema(**columns: pa.DataType) -> pa.Schema:
    """A schema whose columns may not be null."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def _nullable(schema: pa.Schema, *names: str) -> pa.Schema:
    """The schema with null allowed in the named columns."""
    return pa.schema([field.with_nullable(field.nullable or field.name in names) for field in schema])


RUNS = _nullable(
    _schema(
        key=pa.string(),
        suite=pa.string(),
        algorithm=pa.string(),  # label: full id, preset and overrides
        algorithm_id=pa.string(),
        algorithm_version=pa.string(),
        config=pa.string(),  # JSON
        environment=pa.string(),
        environment_id=pa.string(),
        environment_version=pa.string(),
        seed=pa.int64(),
        device=pa.string(),
        status=pa.string(),  # one of STATUSES
        error=pa.string(),  # "" if none
        steps=pa.int64(),  # taken
        budget=pa.int64(),  # steps allowed, or what else budget_unit says
        budget_unit=pa.string(),  # "step", "ply" (of self-play) or "update" (on recorded transitions); null is "step"
        simulated_steps=pa.int64(),  # of models and planners in training; never sample use
        fits=pa.bool_(),  # false if the algorithm could not run on this environment on any machine
        train_seconds=pa.float64(),  # of the whole trial, evaluation excluded
        environment_seconds=pa.float64(),
        learning_seconds=pa.float64(),
        evaluation_seconds=pa.float64(),
        setup_seconds=pa.float64(),
        planning_seconds=pa.float64(),  # part of learning
        total_seconds=pa.float64(),
        cpu_seconds=pa.float64(),
        peak_memory_mib=pa.float64(),
        peak_gpu_memory_mib=pa.float64(),
        threads=pa.int32(),
        jobs=pa.int32(),  # trials that ran at the same time, this one included
        runs_in_trial=pa.int32(),  # that share the seconds above
        fingerprint=pa.string(),
        task_hash=pa.string(),
        started_at=pa.string(),  # ISO 8601, UTC
        finished_at=pa.string(),
        machine=pa.string(),
        commit=pa.string(),
        random_score=pa.float64(),
        reference_score=pa.float64(),
        threshold=pa.float64(),
        lowest_return=pa.float64(),  # that an episode can have, as the environment says
        highest_return=pa.float64(),
        streams=pa.string(),  # what they are derived from: STREAMS, or null of older runs, the seed alone
    ),
    *("train_seconds", "environment_seconds", "learning_seconds", "evaluation_seconds", "setup_seconds"),
    *("total_seconds", "cpu_seconds", "peak_memory_mib", "peak_gpu_memory_mib"),
    *("planning_seconds", "budget_unit", "simulated_steps", "fits"),
    *("random_score", "reference_score", "threshold", "lowest_return", "highest_return", "streams"),
)

# A compacted run keeps the rest of its run.json as one JSON text.
COMPACT_RUNS = RUNS.append(pa.field("manifest", pa.string(), nullable=False))

EVALUATIONS = _schema(
    key=pa.string(),
    evaluation=pa.int32(),  # 0 is before training
    step=pa.int64(),  # of training, when evaluated
    train_seconds=pa.float64(),
    episode=pa.int32(),  # index in this evaluation
    seed=pa.int64(),  # of the episode
    **{"return": pa.float64()},
    length=pa.int32(),
    terminated=pa.bool_(),
    truncated=pa.bool_(),
)

EPISODES = _schema(
    key=pa.string(),
    episode=pa.int32(),
    copy=pa.int32(),  # of the environment
    step=pa.int64(),  # of the run, summed over copies, when the episode ended
    train_seconds=pa.float64(),
    **{"return": pa.float64()},
    length=pa.int32(),
    terminated=pa.bool_(),
    truncated=pa.bool_(),
)

DIAGNOSTICS = _nullable(_schema(key=pa.string(), step=pa.int64(), name=pa.string(), value=pa.float64()), "value")

# How Parquet files of single runs are written. They are small, so what costs is opening them: with zstd, thousands of
# them take more than twice as long to read and are no smaller.
RUN_TABLE_FORMAT = {"compression": "snappy", "write_statistics": False}

TABLES = {"evaluations": EVALUATIONS, "episodes": EPISODES, "diagnostics": DIAGNOSTICS}

STREAMS = "seed and environment"
STATUSES = ("done", "failed", "crashed", "timeout", "diverged", "unmetered", "interrupted", "skipped")
