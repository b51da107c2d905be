"""Tables and figures of stored runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import GlobalOptions, loaded, note
from harness.contract.errors import UsageError

if TYPE_CHECKING:
    from harness.analysis.results import Results
    from harness.suite.reading import Suite

OF_TASKS = ("scores", "sample_efficiency", "wall_clock", "reliability", "failures")
OF_PAIRS = ("pairwise", "pairwise_steps", "improvement")
OVERALL = ("aggregates", "profiles", "overall_curves", "trade_off", "left_out")
OF_GAMES = ("ratings",)


@click.command(name="report")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; default: PATH/report.")
@click.option(
    "--suite", metavar="SUITE", help="Name or file of the suite whose claims are judged; default: as installed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the tables as JSON.")
@click.pass_obj
def command(given: GlobalOptions, path: Path, out: Path | None, suite: str | None, as_json: bool) -> None:
    """Write a report of results/SUITE, or of a folder of several suites: a page, tables and figures."""
    from harness.suite.reading import find_suite

    asked = find_suite(suite, given.registry) if suite else None
    report(given, path, out, as_json, asked)


def report(
    given: GlobalOptions, path: Path, out: Path | None = None, as_json: bool = False, suite: "Suite | None" = None
) -> None:
    """Write the report of the runs stored at ``path`` into a folder of it, or ``out``, and print its tables.

    The claims of ``suite`` are judged; of those installed under the names that the runs have, if it is not given.
    """
    from harness.commands.printing import print_json
    from harness.reporting.answer import answer
    from harness.reporting.claims_sheet import TEXT_WIDTH, claims_text, evidence
    from harness.reporting.plain_cells import records
    from harness.reporting.report import terminal_table, write_report
    from harness.verdicts.claims import judged

    results = loaded(path)
    folder = path / "report" if out is None else out
    if out is None and folder.is_symlink():  # as archives of strangers may hold one
        raise UsageError(f"{folder}: is a link, so the report would be written elsewhere; remove it, or use --out")
    suites = [suite] if suite else _installed(given, results)
    claims = [each for asked in suites if asked.claims and len(results.runs) for each in judged(asked, results)]
    try:
        page = write_report(results, given.registry, folder, claims)
    except OSError as error:
        raise UsageError(f"{folder}: the report cannot be written there: {error}") from error
    if as_json:
        problems = [problem._asdict() for problem in results.problems]
        told = {"report": str(page), "problems": problems, "claims": evidence(claims)}
        names = [*OF_TASKS, *OF_PAIRS, *OVERALL, *(OF_GAMES if len(results.ratings()) else ())]
        print_json(told | {name: records(getattr(results, name)()) for name in names})
    else:
        click.echo(terminal_table(results))
        if claims:
            click.echo(f"\n{claims_text(claims)}")
        for line in answer(results, claims):
            click.echo(f"\n{click.wrap_text(line, TEXT_WIDTH)}")
    note(f"wrote {page}")


def _installed(given: GlobalOptions, results: "Results") -> "Iterator[Suite]":
    """The installed suites that the runs name; one that cannot be used is only noted, for its runs can."""
    from harness.suite.reading import find_suite

    names = {entry.spec.name for entry in given.registry.suites.values()}
    for name in sorted(names.intersection(results.runs["suite"])):
        try:
            yield find_suite(name, given.registry)
        except UsageError as error:
            note(f"the claims of suite {name!r} are not judged: {error}")
