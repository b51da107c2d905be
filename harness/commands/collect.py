"""Store what has finished of detached runs, and say what has not."""

from pathlib import Path

import click

from harness.commands.common import FOLDER, GlobalOptions, note
from harness.commands.plan import executor_option, where_to_run
from harness.contract.errors import ExitCode, UsageError
from harness.contract.executor import DetachableExecutor
from harness.text import counted


@click.command(help=__doc__)
@click.argument("path", type=FOLDER)
@executor_option("What the executor of the runs needs to find them.")
@click.pass_obj
def command(given: GlobalOptions, path: Path, settings: tuple[str, ...]) -> ExitCode:
    """Collect into results/SUITE what ``harness run SUITE --detach`` left in flight; call it as often as you like.

    The exit code is 3 while runs are in flight, and if one ended without a result.
    """
    from harness.commands.printing import print_table
    from harness.running.detached import collect
    from harness.running.finishing import Finisher
    from harness.running.progress import Plain
    from harness.storage.store import DETACHED, Store

    if not (path / DETACHED).is_dir():
        raise UsageError(f"{path}: nothing was detached there; name the folder of a suite, such as results/quickstart")

    def made(name: str) -> DetachableExecutor:
        where = where_to_run(given, {"settings": settings, "executor": name})
        if not isinstance(where, DetachableExecutor):
            where.close()
            raise UsageError(f"{path}: the executor {name!r} that has runs of it in flight cannot be asked for them")
        return where

    store = Store(path)
    store.clear_abandoned()
    finisher = Finisher(store, given.registry, Plain(len(list((path / DETACHED).glob("*.json")))))
    left = collect(finisher, made)
    if left.in_flight:
        print_table(("in flight", "job", "steps", "budget"), left.in_flight)
    for problem in (*left.problems, *finisher.tally.problems, *map(str, left.refused[1:])):
        note(problem)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(finisher.tally.statuses.items()))
    note(f"{path}: stored {counts or 'nothing'}; {counted(left.runs, 'run')} in flight")
    if left.refused:
        raise left.refused[0]
    return ExitCode.INCOMPLETE if left.in_flight or left.problems or finisher.tally.unfinished else ExitCode.YES
