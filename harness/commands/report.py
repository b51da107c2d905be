"""Tables and figures of stored runs."""

from pathlib import Path

import click

from harness.cli import Session, note
from harness.errors import UsageError


@click.command(name="report")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; default: PATH/report.")
@click.option("--json", "as_json", is_flag=True, help="Print the tables as JSON.")
@click.pass_obj
def command(session: Session, path: Path, out: Path | None, as_json: bool) -> None:
    """Write a report of results/SUITE, or of a folder of several suites: a page, tables and figures."""
    report(session, path, out or path / "report", as_json)


def report(session: Session, path: Path, out: Path, as_json: bool = False) -> None:
    """Write the report of the runs stored at ``path`` and print its tables."""
    import json

    import harness
    from harness.listing import print_json
    from harness.reporting.report import terminal_table, write_report

    results = harness.load(path)
    for problem in results.problems:
        note(f"{problem.path}: {problem.message}")
    try:
        page = write_report(results, session.registry, out)
    except OSError as error:
        raise UsageError(f"{out}: the report cannot be written there: {error}") from error
    if as_json:
        tables = ("scores", "sample_efficiency", "wall_clock", "failures")
        print_json(
            {
                "report": str(page),
                "problems": [problem._asdict() for problem in results.problems],
                **{name: json.loads(getattr(results, name)().to_json(orient="records")) for name in tables},
            }
        )
    else:
        click.echo(terminal_table(results))
    note(f"wrote {page}")
