"""List, compact or remove stored runs."""

from pathlib import Path

import click

from harness.commands.common import FOLDER, name_problems, note
from harness.contract.errors import UsageError

COLUMNS = ("key", "suite", "algorithm", "environment", "seed", "device", "status", "steps", "finished_at")


@click.group(help=__doc__)
def command() -> None:
    """Work on stored runs."""


@command.command("ls")
@click.argument("path", type=FOLDER, default=Path("results"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_runs(path: Path, as_json: bool) -> None:
    """List the runs stored at or below a folder."""
    from harness.commands.printing import print_json, print_table
    from harness.storage.results_files import read

    stored = read(path)
    name_problems(stored.problems)
    rows = sorted(stored.runs.values(), key=lambda run: [run[name] for name in COLUMNS[1:5]])
    if as_json:
        print_json({"schema": 1, "runs": rows, "problems": [problem._asdict() for problem in stored.problems]})
    else:
        print_table(COLUMNS, [[run[name] for name in COLUMNS] for run in rows])


@command.command("compact")
@click.argument("path", type=FOLDER)
def compact_runs(path: Path) -> None:
    """Fold the finished runs of results/SUITE into one file per table."""
    from harness.storage.compaction import compact
    from harness.storage.store import Store

    folded = compact(Store(path))
    note(f"{path}: {folded} runs compacted")


@command.command("rm")
@click.argument("path", type=FOLDER)
@click.argument("wanted", nargs=-1, required=True, metavar="COLUMN=VALUE...")
@click.option("--yes", is_flag=True, help="Remove them for good.")
def remove_runs(path: Path, wanted: tuple[str, ...], yes: bool) -> None:
    """List the runs of results/SUITE that have these values, such as algorithm_version=1; with --yes, remove them."""
    from harness.commands.printing import print_table
    from harness.storage.compaction import remove
    from harness.storage.results_files import read
    from harness.storage.schema_tables import RUNS
    from harness.storage.store import Store

    asked = dict(text.split("=", 1) for text in wanted if "=" in text)
    if len(asked) < len(wanted) or not asked.keys() <= set(RUNS.names):
        raise UsageError(f"{' '.join(wanted)}: write COLUMN=VALUE, each column once, of: {', '.join(RUNS.names)}")
    stored = read(path)
    name_problems(stored.problems)
    runs = [run for run in stored.runs.values() if all(str(run[name]) == value for name, value in asked.items())]
    shown = dict.fromkeys((*COLUMNS, *asked))
    print_table(tuple(shown), [[run[name] for name in shown] for run in runs])
    removed = remove(Store(path), [run["key"] for run in runs]) if yes and runs else 0
    note(f"{path}: {removed} of {len(runs)} runs removed" + ("" if yes else "; --yes removes them"))
