"""Errors that a command reports as a message instead of a traceback, and every exit code there is."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a process ends with.

    `DEFECT` and `BROKEN_PIPE` follow the shells' custom, so that neither a crash nor a closed pipe is ever
    read as an answer.
    """

    YES = 0  # done, or the question was answered yes
    NO = 1  # the question was answered no: a regression, a failed check, a failed claim
    USAGE = 2  # wrong usage or configuration
    INCOMPLETE = 3  # some runs did not finish
    MISSING = 4  # a needed plugin or package is missing
    NOTHING_RAN = 5
    DEFECT = 70  # the harness itself failed (EX_SOFTWARE)
    INTERRUPTED = 130
    BROKEN_PIPE = 141  # whoever read the output stopped reading


class HarnessError(Exception):
    """Something a person has to decide or repair; the message says what and how."""

    exit_code: ExitCode = ExitCode.USAGE  # what the process ends with


class UsageError(HarnessError):
    """A wrong argument, suite or configuration."""


class MissingPlugin(HarnessError):  # noqa: N818, because it reads as what is wrong
    """A plugin or package that is needed is not installed, switched off, or does not load."""

    exit_code = ExitCode.MISSING
