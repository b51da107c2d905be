"""Judge the claims of a suite on stored runs."""

from pathlib import Path

import click

from harness.commands.common import GlobalOptions, loaded, note
from harness.contract.errors import ExitCode


@click.command(name="claims")
@click.argument("suite")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="An undecided claim, too, is answered with exit code 1.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(given: GlobalOptions, suite: str, path: Path | None, strict: bool, as_json: bool) -> ExitCode:
    """Judge the claims of SUITE, a name or a TOML file, on the runs stored in PATH; default: results/SUITE.

    Exit codes: 0 none fails, 1 one fails, 3 none fails but one could not be judged. An undecided claim is
    named on stderr.
    """
    from harness.commands.printing import print_json
    from harness.reporting.claims_sheet import claims_text, evidence
    from harness.suite.reading import find_suite
    from harness.text import counted
    from harness.verdicts.claims import ClaimVerdict, judged

    asked = find_suite(suite, given.registry)
    results = loaded(path or Path("results") / asked.name)
    claims = judged(asked, results)
    if as_json:
        print_json({"schema": 1, "suite": asked.name, "claims": evidence(claims)})
    else:
        click.echo(claims_text(claims))
    verdicts = [each.verdict for each in claims]
    if undecided := verdicts.count(ClaimVerdict.UNDECIDED):
        be = "is" if undecided == 1 else "are"
        note(f"{undecided} of {counted(len(verdicts), 'claim')} {be} undecided: more seeds are needed")
    if ClaimVerdict.FAILS in verdicts or (strict and undecided):  # outweighs one that could not be judged
        return ExitCode.NO
    return ExitCode.INCOMPLETE if ClaimVerdict.NOT_JUDGED in verdicts else ExitCode.YES
