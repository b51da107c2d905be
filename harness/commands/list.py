"""What is installed, one line each, without importing any of it."""

from collections.abc import Sequence
from typing import Any

import click

from harness.commands.common import GlobalOptions, described
from harness.commands.printing import print_json, print_table
from harness.contract.specs import SPACES, AlgorithmSpec, EnvironmentSpec, Score, SuiteSpec
from harness.discovery.plugins import Kind
from harness.discovery.registry import Entry

KINDS: dict[str, tuple[Kind, tuple[str, ...]]] = {  # and the columns of their tables
    "algorithms": ("algorithm", ("ID", "VERSION", "OBSERVES", "ACTS", "DEVICES", "LOCKSTEP", "SUMMARY")),
    "environments": ("environment", ("ID", "VERSION", "GYMNASIUM", "RANDOM", "REFERENCE", "SOLVED", "SUMMARY")),
    "suites": ("suite", ("ID", "SUMMARY")),
}


@click.command(name="list")
@click.argument("what", type=click.Choice(list(KINDS)))
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(given: GlobalOptions, what: str, json_wanted: bool) -> None:
    """List what is installed."""
    registry, (kind, header) = given.registry, KINDS[what]
    entries = registry.entries(kind).values()
    if json_wanted:
        print_json([described(registry, entry) for entry in entries])
    else:
        print_table(header, [_row(entry, registry.missing_requirements(entry)) for entry in entries])


def _row(entry: Entry[Any], missing: list[str]) -> Sequence[object]:
    spec: AlgorithmSpec | EnvironmentSpec | SuiteSpec = entry.spec
    summary = f"unavailable: needs {', '.join(missing)}" if missing else spec.summary
    if isinstance(spec, AlgorithmSpec):
        spaces = _spaces(spec.observation_spaces), _spaces(spec.action_spaces)
        lockstep = "yes" if spec.lockstep else "no"
        return entry.id, spec.version, *spaces, "|".join(spec.devices), lockstep, summary
    if isinstance(spec, EnvironmentSpec):
        threshold = "-" if spec.threshold is None else f"{spec.threshold:g}"
        scores = _value(spec.random_score), _value(spec.reference_score)
        return entry.id, spec.version, spec.id, *scores, threshold, summary
    return entry.id, summary


def _spaces(names: Sequence[str]) -> str:
    return "any" if set(names) >= SPACES else "|".join(names)


def _value(score: Score | None) -> str:
    return "-" if score is None else f"{score.value:g}"
