"""Errors that a command reports as a message instead of a traceback, each with its exit code."""


class HarnessError(Exception):
    """Something a person has to decide or repair; the message says what and how.

    Attributes:
        exit_code: what the process ends with.
    """

    exit_code = 2


class UsageError(HarnessError):
    """A wrong argument, suite or configuration."""

    exit_code = 2
