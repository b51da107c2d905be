"""Compare two sets of stored runs, or two algorithms of one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.session import loaded
from harness.contract.errors import ExitCode, UsageError
from harness.suite.measures import OF_RUNS, USUAL

if TYPE_CHECKING:
    from harness.analysis.comparison import Comparison, Row
    from harness.analysis.results import Results

HEADER = (
    "environment",
    "algorithm",
    "n",
    "base",
    "head",
    "difference",
    "95 % interval",
    "p",
    "p adjusted",
    "verdict",
)


@click.command(name="compare")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path), required=False)
@click.option(
    "--algorithms", nargs=2, metavar="A B", help="Compare these two of BASE: is B better or worse than A?"
)
@click.option(
    "--measure", default=USUAL, show_default=True, metavar="NAME", help=f"Of a run: {', '.join(OF_RUNS)}."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    base: Path, head: Path | None, algorithms: tuple[str, str] | None, measure: str, as_json: bool
) -> ExitCode:
    """Compare the runs in two folders, or two algorithms of one folder.

    Is HEAD better or worse than BASE, on which environments, and how sure is that? Ends with 5 if nothing is
    comparable.
    """
    from harness.analysis.comparison import Finding, compare, compare_algorithms
    from harness.commands.printing import print_json, print_table

    if (head is None) == (algorithms is None):
        raise UsageError("name two folders, or one folder and --algorithms A B")
    if head is not None and head.resolve() == base.resolve():
        raise UsageError(f"both folders are {base}; for two algorithms of one folder, use --algorithms A B")
    if head is not None:
        comparison = compare(_with_runs(base), _with_runs(head), measure)
    else:
        assert algorithms is not None
        comparison = compare_algorithms(_with_runs(base), *algorithms, measure)
    if as_json:
        print_json(_as_json(comparison))
    else:
        click.echo(f"{comparison.measure}: head {comparison.head}, base {comparison.base}\n")
        print_table(HEADER, [_cells(row) for row in (*comparison.tasks, *comparison.overall)])
    compared = any(row.verdict is not Finding.NOT_COMPARABLE for row in comparison.tasks)
    return ExitCode.YES if compared else ExitCode.NOTHING_RAN


def _with_runs(path: Path) -> "Results":
    """The runs in a folder.

    Raises:
        UsageError: there is none.
    """
    results = loaded(path)
    if results.runs.empty:
        raise UsageError(f"{path}: holds no run")
    return results


def _as_json(comparison: "Comparison") -> dict[str, Any]:
    from dataclasses import asdict

    rows = [asdict(row) for row in (*comparison.tasks, *comparison.overall)]
    return {
        "schema": 1,
        "measure": comparison.measure,
        "base": comparison.base,
        "head": comparison.head,
        "rows": [{name: None if value != value else value for name, value in row.items()} for row in rows],
    }


def _cells(row: "Row") -> tuple[str, ...]:
    """A row as a person reads it."""
    name = row.environment if row.tasks == 1 else f"{row.environment} {row.tasks}"
    named = name if row.device == "cpu" else f"{name} ({row.device})"
    verdict = f"{row.verdict} ({row.reason})" if row.reason else row.verdict
    return (
        named,
        row.algorithm,
        f"{row.pairs} pairs" if row.pairs else f"{row.base_runs} and {row.head_runs}",
        _score(row.base, row.base_failed),
        _score(row.head, row.head_failed),
        _number(row.difference, "+"),
        _interval(row),
        _number(row.p, digits=2),
        _number(row.p_adjusted, digits=2),
        verdict,
    )


def _score(value: float, failed: int) -> str:
    return f"{_number(value)} ({failed} failed)" if failed else _number(value)


def _interval(row: "Row") -> str:
    if row.low != row.low:
        return "-" if row.difference != row.difference else "none below 3 runs"
    return f"{_number(row.low, '+')} to {_number(row.high, '+')}"


def _number(value: float, sign: str = "", digits: int = 4) -> str:
    return "-" if value != value else f"{value:{sign}.{digits}g}"
