"""Does a plugin, or one thing it provides, keep the contract?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click

from harness.commands.common import GlobalOptions, note
from harness.commands.plan import executor_option, parse_settings
from harness.commands.printing import print_json, print_table
from harness.conformance.check import Check, CheckResult
from harness.conformance.checks import CHECKED, checks_of, checks_of_kinds
from harness.contract.errors import ExitCode, UsageError
from harness.discovery.registry import Registry

HEADER = ("SUBJECT", "CHECK", "RESULT", "REASON")


@click.command(name="check")
@click.argument("words", nargs=-1, required=True, metavar="[KIND] NAME")
@executor_option("Of an executor that is checked.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(given: GlobalOptions, words: tuple[str, ...], settings: tuple[str, ...], json_wanted: bool) -> ExitCode:
    """Check an algorithm, environment, suite or executor, or a plugin with everything it provides.

    KIND, one of these words, tells what is meant where several have the name.

    Algorithms are trained for 200 steps; give settings that let them learn in so few, as in
    "sb3/ppo[n_steps=32]". The exit code is 1 if any check fails.
    """
    outcomes: list[CheckResult] = []
    for check in _asked(words, given.load_registry(), parse_settings(settings)):
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
    return ExitCode.NO if any(outcome.status == "fail" for outcome in outcomes) else ExitCode.YES


def _asked(words: Sequence[str], registry: Registry, settings: Mapping[str, str]) -> list[Check]:
    if len(words) == 1:
        return checks_of(words[0], registry, settings)
    kinds = [kind for kind in CHECKED if kind == words[0]]
    if len(words) > 2 or not kinds:
        raise UsageError(f"check {' '.join(words)}: write one NAME, before it one of {', '.join(CHECKED)} or nothing")
    return checks_of_kinds(words[1], registry, kinds, settings)
