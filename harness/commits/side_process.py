"""Programs of a side of a gate, each in its own environment and gone when this process is."""

import subprocess
from pathlib import Path
from typing import IO, Any

from harness.commits.checkout import Code
from harness.commits.question import Question
from harness.contract.errors import ExitCode, HarnessError

TIED = Path(__file__).resolve().with_name("tied.py")


class SideError(HarnessError):
    """A side that cannot run the suite at all: what the `harness` command that it was told to run ended with."""

    def __init__(self, side: str, command: str, code: int) -> None:
        advice = "; what it has not yet is left out by naming the rest with -a and -e" if side == "base" else ""
        super().__init__(
            f"the {side} cannot run this suite: its `harness {command}` ended with {code}, as said above{advice}"
        )
        known = {each.value for each in ExitCode} - {ExitCode.NO}
        self.exit_code = ExitCode(code) if code in known else ExitCode.DEFECT


def start(
    code: Code,
    question: Question,
    *arguments: str,
    asked: bool = False,
    stdout: Any = subprocess.PIPE,
    stderr: IO[Any] | None = None,
) -> "subprocess.Popen[str]":
    """Start ``harness ARGUMENT...`` of a side, with its own interpreter.

    It runs in a session of its own, so that Ctrl-C reaches this process alone, which then ends its sides in order.
    Its stdin is a pipe, on which it may be ``asked`` something; when that is closed, by whatever becomes of this
    process, it is killed.
    """
    return subprocess.Popen(
        code.command(str(TIED), "asked" if asked else "alone", "harness", *arguments),
        cwd=code.folder,
        env={**code.variables(), **question.variables()},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        text=True,
        errors="replace",
        start_new_session=True,
    )
