"""Compare two sets of stored runs, or two algorithms of one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import loaded
from harness.contract.errors import ExitCode, UsageError
from harness.suite.measures import OF_RUNS, USUAL

if TYPE_CHECKING:
    from harness.analysis.results import Results


@click.command(name="compare")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path), required=False)
@click.option("--algorithms", nargs=2, metavar="A B", help="Compare these two of BASE: is B better or worse than A?")
@click.option("--measure", default=USUAL, show_default=True, metavar="NAME", help=f"Of a run: {', '.join(OF_RUNS)}.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
def command(
    base: Path, head: Path | None, algorithms: tuple[str, str] | None, measure: str, json_wanted: bool
) -> ExitCode:
    """Compare the runs in two folders, or two algorithms of one folder.

    Is HEAD better or worse than BASE, on which environments, and how sure is that? Ends with 5 if nothing is
    comparable.
    """
    from harness.analysis.comparison import Finding, compare, compare_algorithms
    from harness.commands.printing import print_json, print_table
    from harness.reporting.comparison_output import HEADER, as_json, cells

    if (head is None) == (algorithms is None):
        raise UsageError("name two folders, or one folder and --algorithms A B")
    if head is not None and head.resolve() == base.resolve():
        raise UsageError(f"both folders are {base}; for two algorithms of one folder, use --algorithms A B")
    if head is not None:
        comparison = compare(_with_runs(base), _with_runs(head), measure)
    else:
        assert algorithms is not None
        comparison = compare_algorithms(_with_runs(base), *algorithms, measure)
    if json_wanted:
        print_json(as_json(comparison))
    else:
        click.echo(f"{comparison.measure}: head {comparison.head}, base {comparison.base}\n")
        print_table(HEADER, [cells(row) for row in (*comparison.tasks, *comparison.overall)])
    compared = any(row.verdict is not Finding.NOT_COMPARABLE for row in comparison.tasks)
    return ExitCode.YES if compared else ExitCode.NOTHING_RAN


def _with_runs(path: Path) -> "Results":
    results = loaded(path)
    if results.runs.empty:
        raise UsageError(f"{path}: holds no run")
    return results
