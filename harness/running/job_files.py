"""The files of a job, by which the runner and the process of a trial talk to each other."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.measuring.description import TrialOutcome

JOB = "job.json"  # the description of the trial
PLACE = "place.json"  # where it runs, known from its beginning on
OUTCOME = "outcome.json"  # how it ended
PROGRESS = "progress"  # steps taken, eight bytes, little-endian
LOG = "log.txt"  # what it printed

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# Python draws the seed of strings' hashes anew for every process, and with it the order of sets.
SAME_HASHES = {"PYTHONHASHSEED": "0"}
# What a job's process is started with; pydantic's own plugins would be looked for in every trial.
VARIABLES = {**dict.fromkeys(THREADS, "1"), **SAME_HASHES, "PYDANTIC_DISABLE_PLUGINS": "__all__"}


def child_variables() -> dict[str, str]:
    """What another process of ours is started with: this one's variables and path."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, **SAME_HASHES, "PYTHONPATH": path}


def leave(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file: it is there as a whole or not at all."""
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
    temporary.rename(path)


def outcome_in(folder: Path) -> TrialOutcome:
    """What a job left behind; of one that died, as much as it had said before."""
    for name in (OUTCOME, PLACE):
        try:
            return TrialOutcome.from_json(json.loads((folder / name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError):
            continue
    return TrialOutcome()
