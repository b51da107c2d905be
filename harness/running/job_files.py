"""The files of a job, by which the runner and the process of a trial talk to each other."""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.measuring.description import TrialOutcome
from harness.storage.files import UnusableError, read_bytes, read_end
from harness.storage.results_files import check_done, run_table
from harness.storage.schema_tables import TABLES
from harness.text import complaint

JOB = "job.json"  # the description of the trial
PLACE = "place.json"  # where it runs, known from its beginning on
OUTCOME = "outcome.json"  # how it ended
PROGRESS = "progress"  # steps taken, eight bytes, little-endian
LOG = "log.txt"  # what it printed

OUTCOMES = TypeAdapter(TrialOutcome)
OUTCOME_BYTES, TABLE_BYTES = 2**24, 2**30  # larger files of a job are not read
LOG_BYTES = 2**16  # of a log, the end is kept

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# Python draws the seed of strings' hashes anew for every process, and with it the order of sets.
SAME_HASHES = {"PYTHONHASHSEED": "0"}
# By MKL's own choice last digits of a product go by where its matrices lie in memory, hence by the seeds beside.
SAME_DIGITS = {"MKL_CBWR": "AUTO"}
# What a job's process is started with; pydantic's own plugins would be looked for in every trial.
VARIABLES = {**dict.fromkeys(THREADS, "1"), **SAME_HASHES, **SAME_DIGITS, "PYDANTIC_DISABLE_PLUGINS": "__all__"}


def child_variables() -> dict[str, str]:
    """What another process of ours is started with: this one's variables and path."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, **SAME_HASHES, **SAME_DIGITS, "PYTHONPATH": path}


def leave(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file: it is there as a whole or not at all."""
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
    temporary.rename(path)


def outcome_in(folder: Path) -> TrialOutcome:
    """What a job left behind; of one that died, or whose outcome cannot be used, as much as it had said before."""
    error = ""
    for name in (OUTCOME, PLACE):
        try:
            outcome = OUTCOMES.validate_json(read_bytes(folder / name, OUTCOME_BYTES))
            return replace(outcome, error=outcome.error or error)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as unusable:
            error = f"{name}: {complaint(unusable)}"
    return TrialOutcome(error=error)


def take_tables(job: Path, place: Path, run: Mapping[str, Any]) -> str:
    """Copy what can be used of what a job left of a run, and the end of its log, into a folder that it never had.

    Returns what cannot, if ``run`` is said to be done.
    """
    unusable = f"{run['steps']:,} steps" if run["steps"] > run["budget"] else ""
    tables = {}
    for name in TABLES:
        left, taken = job / run["key"] / f"{name}.parquet", place / f"{name}.parquet"
        with contextlib.suppress(OSError, ValueError):
            if not left.parent.is_symlink():
                taken.write_bytes(read_bytes(left, TABLE_BYTES))
        try:
            tables[name] = run_table(place, name, run, {})
            if run["status"] == "done" and len(tables) == len(TABLES):
                check_done(place, run, tables["evaluations"], tables["episodes"])
        except UnusableError as why_not:
            taken.unlink(missing_ok=True)
            unusable = unusable or f"{why_not.path.name}: {why_not}"
    with contextlib.suppress(OSError, ValueError):
        if log := read_end(job / LOG, LOG_BYTES):
            (place / LOG).write_bytes(log)
    return unusable if run["status"] == "done" else ""
