"""What ``run.json`` says about a run: its row in the table of runs, and everything needed to repeat it."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.contract.executor import Ended
from harness.contract.specs import INTERPRETING, Score, as_json
from harness.measuring.description import SECONDS, RunOutcome, TrialOutcome
from harness.running import provenance
from harness.running.plan import TrialPlan
from harness.storage.schema_tables import STREAMS
from harness.text import bounded

UNKNOWN_MACHINE = "unknown machine"  # of a job that ended before it could say


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Session:
    """What all runs of one call of the harness share."""

    suite: str
    version: str  # of the suite
    question: str  # that the suite asks
    jobs: int  # trials at the same time
    started_at: str = field(default_factory=now)
    machine: str = field(default_factory=provenance.machine)
    git: Mapping[str, Any] = field(default_factory=provenance.git)
    command: tuple[str, ...] = field(default_factory=lambda: (Path(sys.argv[0]).name, *sys.argv[1:]))


def planned_row(session: Session, trial: TrialPlan, seed: int, started_at: str) -> dict[str, Any]:
    """What the row of a run says before its trial has ended, which began at ``started_at``.

    Of one that cannot take place it says why, which `run_row` leaves as it is.
    """
    cell, algorithm, environment = trial.cell, trial.cell.contestant.entry, trial.cell.environment
    return {
        "key": cell.keys[seed],
        "suite": session.suite,
        "algorithm": cell.contestant.label,
        "algorithm_id": algorithm.id,
        "algorithm_version": algorithm.spec.version,
        "config": json.dumps(dict(cell.contestant.config), sort_keys=True),
        "environment": environment.spec.name,
        "environment_id": environment.spec.id,
        "environment_version": environment.spec.version,
        "seed": seed,
        "device": cell.device,
        "fits": cell.fits,
        "budget": cell.task.steps,
        "budget_unit": algorithm.spec.budget_unit,
        "task_hash": cell.task_hash,
        "machine": session.machine if cell.reason else UNKNOWN_MACHINE,
        "commit": session.git.get("commit", ""),
        "random_score": _value(environment.spec.random_score),
        "reference_score": _value(environment.spec.reference_score),
        **{name: getattr(environment.spec, name) for name in INTERPRETING},
        "status": "skipped" if cell.reason else "",
        "error": bounded(cell.reason),
        "streams": STREAMS,
        "threads": cell.contestant.needs.cpus,
        "jobs": session.jobs,
        "runs_in_trial": len(trial.seeds),
        "started_at": started_at,
    }


def run_row(planned: Mapping[str, Any], ended: Ended | None, outcome: TrialOutcome) -> dict[str, Any]:
    """The row of a run with what became of it; ``ended`` is None if the session was interrupted before."""
    told, run = outcome.measured, outcome.of(planned["key"])
    status, error = (planned["status"], planned["error"]) if planned["status"] else _status(ended, outcome, run)
    return {
        **planned,
        "machine": outcome.machine or planned["machine"],
        "status": status,
        "error": bounded(error),
        **{f"{name}_seconds": _number(told.get(f"{name}_seconds")) for name in SECONDS},
        "total_seconds": None if ended is None else _number(ended.total_seconds),
        **{name: _number(told.get(name)) for name in ("cpu_seconds", "peak_memory_mib", "peak_gpu_memory_mib")},
        "steps": 0 if run is None else run.steps,
        "simulated_steps": None if run is None else run.simulated,
        "fingerprint": "" if run is None else run.fingerprint,
        "finished_at": planned["started_at"] if status == "skipped" else now(),
    }


def _status(ended: Ended | None, outcome: TrialOutcome, run: RunOutcome | None) -> tuple[str, str]:
    """Exactly one status, and the reason unless it is "done"."""
    if ended is None:
        return "interrupted", "the session was interrupted while this trial ran"
    if ended.ending != "ended":
        return ended.ending, ended.error
    if not outcome.status:
        return "crashed", outcome.error or "its process ended before training did, and left no outcome"
    if run is not None and run.diverged:
        return "diverged", run.diverged
    if outcome.status == "done":
        return ("failed", "it left no result of this run") if run is None else ("done", "")
    return outcome.status, outcome.error or "it does not say why"


def code(trial: TrialPlan) -> dict[str, dict[str, str]]:
    """What is installed here of the code that a trial runs."""
    from packaging.requirements import Requirement

    algorithm, environment = trial.cell.contestant.entry.plugin, trial.cell.environment.plugin
    required = tuple(Requirement(text).name for text in algorithm.requires)
    return provenance.code((algorithm.distribution, environment.distribution), required)


def manifest(session: Session, trial: TrialPlan) -> dict[str, Any]:
    """Everything else known before: descriptions in full, versions, and what would repeat the trial."""
    algorithm, environment = trial.cell.contestant.entry, trial.cell.environment
    return {
        "suite": {"name": session.suite, "version": session.version, "question": session.question},
        "job": trial.description.to_json(),
        "environment": environment.id,
        "algorithm_spec": as_json(algorithm.spec, tuples=False),
        "versions": code(trial)["versions"],
        "hardware": hardware(TrialOutcome()),
        "git": dict(session.git),
        "command": list(session.command),
    }


def hardware(outcome: TrialOutcome) -> dict[str, Any]:
    """What a trial ran on, in the words of its job."""
    return {**outcome.hardware, "device_name": outcome.measured.get("device_name", "")}


def drawings(outcome: TrialOutcome, key: str) -> dict[str, Any]:
    """The positions of one game of a run as text, where there are any."""
    run = outcome.of(key)
    return {"drawings": list(run.drawings)} if run is not None and run.drawings else {}


def _value(score: Score | None) -> float | None:
    return None if score is None else float(score.value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
