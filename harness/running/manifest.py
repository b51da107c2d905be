"""What ``run.json`` says about a run: its row in the table of runs, and everything needed to repeat it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.contract.executor import Ended
from harness.contract.specs import Score, as_json
from harness.measuring.description import SECONDS, RunOutcome, TrialOutcome
from harness.running import provenance
from harness.running.plan import Cell, TrialPlan

UNKNOWN_MACHINE = "unknown machine"  # of a job that ended before it could say


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Session:
    """What all runs of one call of the harness share.

    Attributes:
        suite: its name.
        version: of the suite.
        question: that the suite asks.
        jobs: trials at the same time.
        started_at: when the session began.
    """

    suite: str
    version: str
    question: str
    jobs: int
    started_at: str = field(default_factory=now)
    machine: str = field(default_factory=provenance.machine)
    git: Mapping[str, Any] = field(default_factory=provenance.git)
    command: tuple[str, ...] = field(default_factory=lambda: tuple(provenance.command_line()))


def identity_row(session: Session, cell: Cell, seed: int) -> dict[str, Any]:
    """The columns that say which run it is."""
    algorithm, environment = cell.contestant.entry, cell.environment
    return {
        "key": cell.keys[seed],
        "suite": session.suite,
        "algorithm": cell.contestant.label,
        "algorithm_id": algorithm.id,
        "algorithm_version": algorithm.spec.version,
        "config": _text(cell.contestant.config),
        "environment": environment.spec.name,
        "environment_id": environment.spec.id,
        "environment_version": environment.spec.version,
        "seed": seed,
        "device": cell.device,
        "fits": cell.fits,
        "budget": cell.task.steps,
        "budget_unit": algorithm.spec.budget_unit,
        "task_hash": cell.task_hash,
        "machine": session.machine,
        "commit": session.git.get("commit", ""),
        "random_score": _value(environment.spec.random_score),
        "reference_score": _value(environment.spec.reference_score),
        "threshold": environment.spec.threshold,
    }


def skipped_row(session: Session, cell: Cell, seed: int) -> dict[str, Any]:
    """The row of a run that cannot take place."""
    moment = now()
    return {
        **identity_row(session, cell, seed),
        "status": "skipped",
        "error": cell.reason,
        **_measured({}, None),
        "steps": 0,
        "simulated_steps": None,
        "fingerprint": "",
        "threads": cell.contestant.needs.cpus,
        "jobs": session.jobs,
        "runs_in_trial": 1,
        "started_at": moment,
        "finished_at": moment,
    }


def run_row(
    session: Session, trial: TrialPlan, seed: int, started_at: str, ended: Ended | None, outcome: TrialOutcome
) -> dict[str, Any]:
    """The row of a run that ended.

    Args:
        session: it belongs to.
        trial: it was part of.
        seed: of the run.
        started_at: when the trial began.
        ended: how its process ended; None if the session was interrupted before.
        outcome: what that left behind.
    """
    cell = trial.cell
    run = outcome.of(cell.keys[seed])
    status, error = _status(ended, outcome, run)
    return {
        **identity_row(session, cell, seed),
        "machine": outcome.machine or UNKNOWN_MACHINE,
        "status": status,
        "error": error.encode("utf-8", "replace").decode(),  # no table can hold undecodable bytes of a name
        **_measured(outcome.measured, ended),
        "steps": 0 if run is None else int(run.steps),
        "simulated_steps": None if run is None else int(run.simulated),
        "fingerprint": "" if run is None else str(run.fingerprint),
        "threads": cell.contestant.needs.cpus,
        "jobs": session.jobs,
        "runs_in_trial": len(trial.seeds),
        "started_at": started_at,
        "finished_at": now(),
    }


def _status(ended: Ended | None, outcome: TrialOutcome, run: RunOutcome | None) -> tuple[str, str]:
    """Exactly one status, and the reason unless it is "done"."""
    if ended is None:
        return "interrupted", "the session was interrupted while this trial ran"
    if ended.ending != "ended":
        return ended.ending, ended.error
    if not outcome.status:
        return "crashed", "its process ended before training did, and left no outcome"
    if run is not None and run.diverged:
        return "diverged", str(run.diverged)
    if outcome.status == "done" and run is not None:
        return "done", ""
    return str(outcome.status), str(outcome.error) or "it left no result"


def _measured(measured: Mapping[str, Any], ended: Ended | None) -> dict[str, Any]:
    return {
        **{f"{name}_seconds": _number(measured.get(f"{name}_seconds")) for name in SECONDS},
        "total_seconds": None if ended is None else ended.total_seconds,
        "cpu_seconds": _number(measured.get("cpu_seconds")),
        "peak_memory_mib": _number(measured.get("peak_memory_mib")),
        "peak_gpu_memory_mib": _number(measured.get("peak_gpu_memory_mib")),
    }


def manifest(session: Session, trial: TrialPlan, outcome: TrialOutcome) -> dict[str, Any]:
    """Everything else: descriptions in full, versions, hardware, and what would repeat the trial."""
    algorithm, environment = trial.cell.contestant.entry, trial.cell.environment
    distributions = (algorithm.plugin.distribution, environment.plugin.distribution)
    return {
        "suite": {"name": session.suite, "version": session.version, "question": session.question},
        "job": trial.description.to_json(),
        "environment": environment.id,
        "algorithm_spec": as_json(algorithm.spec),
        "versions": provenance.versions((*distributions, *_names(algorithm.plugin.requires))),
        "hardware": {**outcome.hardware, "device_name": outcome.measured.get("device_name", "")},
        "git": dict(session.git),
        "command": list(session.command),
    }


def _names(requirements: tuple[str, ...]) -> tuple[str, ...]:
    """Distribution names of requirement strings."""
    from packaging.requirements import Requirement

    return tuple(Requirement(text).name for text in requirements)


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(dict(config), sort_keys=True)


def _value(score: Score | None) -> float | None:
    return None if score is None else float(score.value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
