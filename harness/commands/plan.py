"""Show what `run` would do, and do nothing."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import DEVICE, GlobalOptions, name_problems, stacked
from harness.contract.errors import ExitCode, UsageError
from harness.contract.executor import Executor, ExecutorOptions
from harness.contract.specs import made

if TYPE_CHECKING:
    from harness.running.plan import Plan


def executor_option(meaning: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option of which `parse_settings` makes the settings of an executor."""
    return click.option("--executor-option", "settings", multiple=True, metavar="KEY=VALUE", help=meaning)


# What is asked for and where it would run, shared by ``run``, ``plan`` and ``time-blocks``.
plan_options = stacked(
    click.argument("suite"),
    click.option("-a", "--algorithm", "algorithms", multiple=True, help="Contestant, replacing the suite's."),
    click.option("-e", "--environment", "environments", multiple=True, help="Only this environment."),
    click.option("--seeds", help="Seeds, replacing the suite's: 0-9 or 1,5,7."),
    click.option("--device", "devices", multiple=True, type=DEVICE, help="Device, replacing the suite's."),
    click.option("--keep-going", is_flag=True, help="Run the rest where an environment cannot be made."),
    click.option("--out", default="results", show_default=True, help="Folder of results."),
    click.option("--executor", default="local", show_default=True, help="Where trials run."),
    executor_option("What that executor alone understands."),
)


@click.command(help=__doc__)
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(given: GlobalOptions, /, as_json: bool, **options: Any) -> ExitCode:
    """Show the plan of a suite."""
    from harness.commands.printing import print_json, print_table
    from harness.storage.results_files import StoredRuns

    plan = planned(given, where_to_run(given, options), **options)
    stored = StoredRuns(Path(options["out"]) / plan.suite.name)
    columns = ("algorithm", "environment", "device", "steps", "runs", "complete", "skipped")
    rows: list[tuple[Any, ...]] = []
    for cell in plan.cells:
        runs, complete = 0 if cell.reason else len(cell.keys), sum(map(stored.is_done, cell.keys.values()))
        where = cell.contestant.label, cell.environment.id, cell.device
        rows.append((*where, cell.task.steps, runs, complete, cell.reason))
    name_problems(stored.problems.values())
    if as_json:
        cells = [dict(zip(columns, row, strict=True)) for row in rows]
        for told, cell in zip(cells, plan.cells, strict=True):
            told["algorithm_version"] = cell.contestant.entry.spec.version
            told["environment_version"] = cell.environment.spec.version
        print_json({"schema": 1, "suite": plan.suite.name, "cells": cells})
    else:
        print_table(columns, rows)
    return ExitCode.YES if plan.runs else ExitCode.NOTHING_RAN


def planned(
    given: GlobalOptions,
    executor: Executor,
    suite: str,
    algorithms: tuple[str, ...],
    environments: tuple[str, ...],
    seeds: str | None,
    devices: tuple[str, ...],
    out: str,
    keep_going: bool,
) -> "Plan":
    """The plan that the options ask for."""
    from harness.running.plan import make_plan
    from harness.suite.reading import find_suite

    found = find_suite(suite, given.registry)
    chosen = () if seeds is None else parse_seeds(seeds)
    selected = algorithms, environments, chosen, devices
    return make_plan(found, given.registry, *selected, executor.lacks, origin=suite, keep_going=keep_going)


def where_to_run(given: GlobalOptions, options: dict[str, Any], jobs: int = 0, gpu_share: float = 1.0) -> Executor:
    """The executor that the options name; they are taken out of ``options``."""
    told = parse_settings(options.pop("settings"))
    entry = given.registry.resolve("executor", options.pop("executor"))
    given.registry.check_requirements(entry)
    where: Executor = made(entry.spec, ExecutorOptions(jobs, gpu_share, told))
    return where


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """``key=value`` of each."""
    told: dict[str, str] = {}
    for setting in settings:
        key, given, value = setting.partition("=")
        if not (key and given) or key in told:
            raise UsageError(f"--executor-option {setting}: write KEY=VALUE, and each key once")
        told[key] = value
    return told


def parse_seeds(text: str) -> tuple[int, ...]:
    """``0-9``, ``3`` or ``1,5,7-9`` as seeds."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part.strip())
        if match is None:
            raise UsageError(f"--seeds {text}: write 0-9, or 1,5,7")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise UsageError(f"--seeds {text}: {part.strip()} runs backwards; write {high}-{low}")
        if not 0 <= low <= high < 2**32 or high - low >= 10_000:
            raise UsageError(f"--seeds {text}: seeds are at most 10,000 numbers from 0 to 2**32 - 1")
        seeds |= dict.fromkeys(range(low, high + 1))
    return tuple(seeds)
