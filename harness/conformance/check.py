"""Conformance checks: does a plugin keep the contract? Behind ``harness check`` and `harness.testing`.

A check is a function whose docstring says what is asked and why. It passes by returning, possibly with a remark;
it raises `CheckFailed` or `CheckSkipped`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.conformance.laboratory import ExperimentFailedError

CheckStatus = Literal["pass", "warn", "fail", "skip", "waived"]


class CheckFailed(AssertionError):  # noqa: N818, because it is the answer to a question
    """The contract is broken; the message says how, in a line or two."""


class CheckSkipped(Exception):  # noqa: N818, likewise
    """The question does not arise; the message says why."""


class CheckWaived(CheckSkipped):
    """The contract is broken, which the plugin has said, and why; the message has both."""


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        subject: id of what was checked.
        check: name of the check.
        status: "pass", "warn" (passed, with a remark), "fail", "skip" or "waived" (failed, as its plugin says and why).
        reason: the remark, or why it failed or was skipped; "" for a plain pass.
        question: what the check asks, in one line.
    """

    subject: str
    check: str
    status: CheckStatus
    reason: str
    question: str


@dataclass(frozen=True)
class Check:
    """One question about one subject, ready to be asked. Calling it raises unless it passes.

    Attributes:
        subject: id of what is checked.
        name: of the check.
        question: what it asks, in one line.
        ask: asks it; returns a remark or None.
        waived: why its failure is to be lived with, as the plugin says; "" if it is not.
    """

    subject: str
    name: str
    question: str
    ask: Callable[[], str | None]
    waived: str = ""

    @classmethod
    def of(cls, subject: str, function: Callable[..., str | None], *arguments: object) -> "Check":
        """The check that calls a documented function."""
        question = (function.__doc__ or "").strip().partition("\n")[0]
        return cls(subject, function.__name__, question, lambda: function(*arguments))

    def __call__(self) -> str | None:
        """Ask; returns a remark or None.

        Raises:
            CheckFailed: the contract is broken, or the plugin's code raised, crashed or took too long.
            CheckSkipped: the question does not arise, or its failure is waived.
        """
        try:
            return self.ask()
        except (ExperimentFailedError, CheckFailed) as error:
            if self.waived:
                raise CheckWaived(f"{self.waived} (waived: {error})") from error
            raise CheckFailed(str(error)) from error

    def outcome(self) -> CheckResult:
        """Ask, and say what came of it."""
        status: CheckStatus = "pass"
        reason = ""
        try:
            if remark := self():
                status, reason = "warn", remark
        except CheckFailed as failed:
            status, reason = "fail", str(failed)
        except CheckSkipped as skipped:
            status, reason = "waived" if isinstance(skipped, CheckWaived) else "skip", str(skipped)
        return CheckResult(self.subject, self.name, status, reason, self.question)


def require(condition: object, reason: str) -> None:
    """Fail the check unless the condition holds."""
    if not condition:
        raise CheckFailed(reason)
