"""Train what a suite asks for, then report."""

import math
import signal
from pathlib import Path
from typing import Any

import click

from harness.commands.common import GlobalOptions, name_problems, note
from harness.commands.plan import plan_options, planned, where_to_run
from harness.commands.report import report
from harness.contract.errors import ExitCode, UsageError
from harness.contract.executor import DetachableExecutor
from harness.text import counted, one_line

SHARE, LIMIT = click.FloatRange(0.01, 1.0), click.FloatRange(min=0, min_open=True)


@click.command(help=__doc__)
@plan_options
@click.option("-j", "--jobs", default=0, type=click.IntRange(min=0), help="Trials at a time; default: the cores.")
@click.option("--gpu-share", default=1.0, show_default=True, type=SHARE, help="Part of a GPU that a trial takes.")
@click.option("--time-limit", type=LIMIT, metavar="S", help="Seconds per trial.")
@click.option("--memory-limit", type=LIMIT, metavar="GIB", help="Memory per trial.")
@click.option("--force", is_flag=True, help="Run complete runs again, too.")
@click.option("--detach", is_flag=True, help="Hand all to the executor and return; `harness collect` stores results.")
@click.option("--dry-run", is_flag=True, help="Print what --detach would hand over, such as a batch script.")
@click.pass_obj
def command(
    given: GlobalOptions,
    /,
    jobs: int,
    gpu_share: float,
    time_limit: float | None,
    memory_limit: float | None,
    force: bool,
    detach: bool,
    dry_run: bool,
    **options: Any,
) -> ExitCode:
    """Run a suite."""
    from harness.running.detached import damaged
    from harness.running.manifest import Session
    from harness.running.progress import shown
    from harness.running.runner import Runner
    from harness.storage.store import Store

    for name, limit in (("--time-limit", time_limit), ("--memory-limit", memory_limit), ("--gpu-share", gpu_share)):
        if limit is not None and math.isnan(limit):
            raise UsageError(f"{name} nan: write a number")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    executor = options["executor"]
    where = where_to_run(given, options, jobs, gpu_share)
    if (detach or dry_run) and not isinstance(where, DetachableExecutor):
        raise UsageError(f"--detach and --dry-run: what {executor!r} runs ends with this command; leave them out")
    plan = planned(given, where, **options)
    store = Store(Path(options["out"]) / plan.suite.name, writes=not dry_run)
    if not dry_run:
        store.clear_abandoned()
    keys = [key for cell in plan.cells if not cell.reason for key in cell.keys.values()]
    detached = sum(map(store.is_detached, keys))
    missing = sum((force or not store.is_done(key)) and not store.is_detached(key) for key in keys)
    name_problems(store.problems.values())
    counts = (
        f"{counted(plan.runs, 'run')}, {plan.runs - missing - detached} complete, {missing} to run, into {store.folder}"
    )
    reasons = dict.fromkeys(f"skipped: {c.environment.spec.name}: {c.reason}" for c in plan.cells if c.reason)
    note("\n".join((f"{plan.suite.name}: {plan.suite.question}", counts, *reasons)))
    seconds, memory = time_limit or plan.suite.limits.seconds, memory_limit or plan.suite.limits.memory_gib
    session = Session(plan.suite.name, plan.suite.version, plan.suite.question, where.jobs)
    if complaint := session.git.get("complaint"):
        note(f"warning: runs do not tell their commit: {complaint} (git config --global --add safe.directory FOLDER)")
    with shown(missing) as progress:
        runner = Runner(store, where, given.registry, session, progress, seconds, memory)
        if dry_run:
            click.echo(runner.preview(plan, force))
            return ExitCode.YES
        tally = runner.detach(plan, executor, force) if detach else runner.run(plan, force)
    unusable = damaged(store, keys)
    if (in_flight := tally.detached - len(unusable)) > 0:
        are = f"{counted(in_flight, 'run')} {'is' if in_flight == 1 else 'are'} in flight"
        note(f"{are}; `harness collect {store.folder}` stores what has ended of {'it' if in_flight == 1 else 'them'}")
    for problem in unusable:
        note(problem)
    if tally.handed_over:
        note(one_line(tally.handed_over))
    for problem in tally.problems:
        note(problem)
    if detach:
        return ExitCode.YES
    if tally.detached == plan.runs > 0:  # nothing to report yet
        return ExitCode.INCOMPLETE
    report(given, store.folder, suite=plan.suite)
    if plan.runs == 0 and not plan.broken:
        return ExitCode.NOTHING_RAN
    return ExitCode.INCOMPLETE if tally.unfinished or plan.broken else ExitCode.YES
