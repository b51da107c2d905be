"""Does a plugin, or one thing it provides, keep the contract?"""

from dataclasses import asdict

import click

from harness.cli import Session, note
from harness.conformance.check import Outcome
from harness.conformance.checks import checks_of
from harness.errors import ExitCode
from harness.listing import print_json, print_table

HEADER = ("SUBJECT", "CHECK", "RESULT", "REASON")


@click.command(name="check")
@click.argument("name", metavar="NAME")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(session: Session, name: str, json_wanted: bool) -> ExitCode:
    """Check an algorithm, environment, suite, or a plugin with everything it provides.

    Algorithms are trained for 200 steps; give settings that let them learn in so few, as in
    "sb3/ppo[n_steps=32]". The exit code is 1 if any check fails.
    """
    outcomes: list[Outcome] = []
    for check in checks_of(name, session.load_registry()):
        if not outcomes or outcomes[-1].subject != check.subject:
            note(f"checking {check.subject}")
        outcomes.append(check.outcome())
    if json_wanted:
        print_json([asdict(outcome) for outcome in outcomes])
    else:
        print_table(HEADER, [(o.subject, o.check, o.status, o.reason or "-") for o in outcomes])
        for outcome in outcomes:
            if outcome.status == "fail":
                note(f"{outcome.check} asks: {outcome.question}")
    failed = any(outcome.status == "fail" for outcome in outcomes)
    return ExitCode.NO if failed else ExitCode.YES
