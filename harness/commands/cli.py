"""The command line: global options, commands imported only when invoked, errors as messages and exit codes."""

import contextlib
import difflib
import faulthandler
import importlib
import io
import os
import sys
import traceback
from collections.abc import Mapping, Sequence

import click

from harness.commands.common import GlobalOptions, note
from harness.contract.errors import ExitCode, HarnessError, UsageError
from harness.discovery.requirements import install_command

COMMANDS: Mapping[str, str] = {  # the module harness.commands.<name> is imported when <name> is invoked
    "run": "Train what a suite asks for, skip what is done, write the report.",
    "collect": "Store what has finished of detached runs, and say what has not.",
    "plan": "Show what `run` would do, and do nothing.",
    "list": "List the algorithms, environments or suites that are installed.",
    "show": "Show one algorithm, environment or suite.",
    "plugins": "Show every plugin and what became of it.",
    "claims": "Judge the claims of a suite: each holds, fails or is undecided.",
    "compare": "Compare two sets of stored runs, or two algorithms of one.",
    "gate": "Judge whether a commit learns worse, from stored runs of both sides.",
    "report": "Write tables and figures of finished runs.",
    "rerun": "Repeat a stored run: does it give the same result?",
    "check": "Check that a plugin keeps the contract.",
    "new": "Write a new plugin that installs and passes `check`.",
    "results": "List, compact or remove stored runs.",
    "schema": "Print the JSON Schema of suite files.",
}
HIDDEN = ("time-blocks",)  # commands that only programs use


class LazyGroup(click.Group):
    """Commands known by name and help alone, so that ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, as the help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in (*COMMANDS, *HIDDEN):
            return None
        module = importlib.import_module(f"harness.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command in the arguments, with suggestions for one that does not exist."""
        if args[0] not in (*COMMANDS, *HIDDEN) and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(COMMANDS)}."
            raise click.UsageError(f"No command {args[0]!r}. {advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and their help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-p", "choices", multiple=True, metavar="no:NAME", help="Leave a plugin or distribution out.")
@click.option("--no-plugins", is_flag=True, help="Leave every installed plugin out.")
@click.option("--strict-plugins", is_flag=True, help="Stop if any plugin has a problem.")
@click.version_option(package_name="rl-harness", message="%(package)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, choices: tuple[str, ...], no_plugins: bool, strict_plugins: bool) -> None:
    """Benchmark reinforcement-learning algorithms that plugins bring.

    HARNESS_PLUGINS=a,b imports these plugins only; HARNESS_PLUGINS= imports none. HARNESS_DEBUG=1 shows
    tracebacks.
    """
    names = "" if no_plugins else os.environ.get("HARNESS_PLUGINS")
    allowed = None if names is None else frozenset(name.strip() for name in names.split(",") if name.strip())
    ctx.obj = GlobalOptions(_blocked(choices), allowed, strict_plugins)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; ``arguments`` are those of the process unless given."""
    with contextlib.suppress(RuntimeError, OSError, ValueError):  # without a stderr
        faulthandler.enable()  # a plugin that crashes the program is shown
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever a terminal or a file cannot show, it shows as "?"
            stream.reconfigure(errors="replace")
    try:
        return _answered(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes once more at exit
        return ExitCode.BROKEN_PIPE


def _answered(arguments: Sequence[str]) -> int:
    """Run the command line, and say on stderr what went wrong, unless nobody reads it: a `BrokenPipeError` passes."""
    try:  # not cli.main(), which ends with 1 when the reader of a pipe is gone, and 1 is an answer
        with cli.make_context("harness", list(arguments)) as ctx:
            code = cli.invoke(ctx)  # a command returns None or an `ExitCode`
        sys.stdout.flush()
        return int(code or ExitCode.YES)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        note("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        raise
    except (Exception, SystemExit) as error:
        if os.environ.get("HARNESS_DEBUG") == "1":
            traceback.print_exc()
        return _explained(error)


def _explained(error: BaseException) -> int:
    """Say on stderr what went wrong; returns the exit code it stands for."""
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.USAGE
    if isinstance(error, HarnessError):
        note(str(error))
        return error.exit_code
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("harness"):
        note(f"the module {error.name!r} is missing; try: {install_command(['rl-harness'])}")
        return ExitCode.MISSING
    note(
        f"a defect of the harness or of a plugin: {type(error).__name__}: {error}. HARNESS_DEBUG=1 shows where; "
        "--no-plugins leaves plugins out"
    )
    return ExitCode.DEFECT


def _blocked(choices: Sequence[str]) -> frozenset[str]:
    """The names in ``-p no:NAME``."""
    names = [choice.removeprefix("no:") for choice in choices]
    for choice, name in zip(choices, names, strict=True):
        if choice == name or not name:
            raise UsageError(f"-p {choice}: write -p no:NAME to leave out a plugin or a distribution")
        if name in ("harness", "rl-harness"):
            raise UsageError(f"-p {choice}: the built-in plugin cannot be left out")
    return frozenset(names)
