"""``harness list``: what is installed, one line each, without importing any of it."""

from collections.abc import Sequence
from typing import Any

import click

from harness.cli import Session
from harness.listing import plain, print_json, print_table
from harness.plugins import Kind
from harness.registry import Entry
from harness.specs import AlgorithmSpec, EnvironmentSpec, Score, SuiteSpec

KINDS: dict[str, Kind] = {"algorithms": "algorithm", "environments": "environment", "suites": "suite"}
HEADERS: dict[str, tuple[str, ...]] = {
    "algorithms": ("ID", "VERSION", "OBSERVES", "ACTS", "DEVICES", "LOCKSTEP", "SUMMARY"),
    "environments": ("ID", "VERSION", "GYMNASIUM", "RANDOM", "REFERENCE", "SOLVED", "SUMMARY"),
    "suites": ("ID", "SUMMARY"),
}


@click.command(name="list")
@click.argument("what", type=click.Choice(list(KINDS)))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(session: Session, what: str, as_json: bool) -> None:
    """List what is installed."""
    registry = session.registry
    entries = registry.entries(KINDS[what]).values()
    missing = {entry.id: registry.missing_requirements(entry) for entry in entries}
    if as_json:
        print_json([_record(entry, missing[entry.id]) for entry in entries])
    else:
        print_table(HEADERS[what], [_row(entry, missing[entry.id]) for entry in entries])


def _record(entry: Entry[Any], missing: list[str]) -> dict[str, Any]:
    plugin = {"plugin": entry.plugin.name, "distribution": entry.plugin.distribution}
    return {"id": entry.id, **plugin, "missing": missing, **plain(entry.spec)}


def _row(entry: Entry[Any], missing: list[str]) -> Sequence[object]:
    spec: AlgorithmSpec | EnvironmentSpec | SuiteSpec = entry.spec
    summary = f"unavailable: needs {', '.join(missing)}" if missing else spec.summary
    if isinstance(spec, AlgorithmSpec):
        observes, acts = "|".join(spec.observation_spaces), "|".join(spec.action_spaces)
        lockstep = "yes" if spec.lockstep else "no"
        return entry.id, spec.version, observes, acts, "|".join(spec.devices), lockstep, summary
    if isinstance(spec, EnvironmentSpec):
        threshold = "-" if spec.threshold is None else f"{spec.threshold:g}"
        scores = _value(spec.random_score), _value(spec.reference_score)
        return entry.id, spec.version, spec.id, *scores, threshold, summary
    return entry.id, summary


def _value(score: Score | None) -> str:
    return "-" if score is None else f"{score.value:g}"
