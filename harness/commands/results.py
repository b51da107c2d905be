"""List or compact stored runs."""

from pathlib import Path

import click

from harness.commands.common import name_problems, note
from harness.contract.errors import UsageError


@click.group(help=__doc__)
def command() -> None:
    """Work on stored runs."""


@command.command("ls")
@click.argument("path", type=click.Path(path_type=Path), default=Path("results"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_runs(path: Path, as_json: bool) -> None:
    """List the runs stored at or below a folder."""
    from harness.commands.printing import print_json, print_table
    from harness.storage.results_files import read

    columns = ("key", "suite", "algorithm", "environment", "seed", "device", "status", "steps", "finished_at")
    stored = read(existing(path))
    name_problems(stored.problems)
    rows = sorted(stored.runs.values(), key=lambda run: [run[name] for name in columns[1:5]])
    if as_json:
        print_json({"schema": 1, "runs": rows, "problems": [problem._asdict() for problem in stored.problems]})
    else:
        print_table(columns, [[run[name] for name in columns] for run in rows])


@command.command("compact")
@click.argument("path", type=click.Path(path_type=Path))
def compact_runs(path: Path) -> None:
    """Fold the finished runs of results/SUITE into one file per table."""
    from harness.storage.compaction import compact
    from harness.storage.store import Store

    folded = compact(Store(existing(path)))
    note(f"{path}: {folded} runs compacted")


def existing(path: Path) -> Path:
    """The folder itself, which must be one."""
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder of results")
    return path
