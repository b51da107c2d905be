"""What a gate found, as data: the answer, the evidence for it, and what was not judged."""

from dataclasses import dataclass
from enum import StrEnum
from math import nan
from typing import Literal

from harness.analysis.pairing import Difference, Task, blocks
from harness.contract.errors import ExitCode
from harness.statistics.decision import Verdict
from harness.statistics.intervals import Estimate
from harness.statistics.sequential import Look, Rule
from harness.verdicts.scope import Scope, Seeds

Inconclusive = Literal["pass", "warn", "fail"]


class GateAnswer(StrEnum):
    """What a gate says."""

    PASSED = "passed"
    IDENTICAL = "passed (identical)"
    REGRESSED = "regressed"
    WITHIN_TOLERANCE = "regressed within tolerance"
    INCONCLUSIVE = "inconclusive"
    INCOMPLETE = "incomplete"
    NOTHING = "nothing to compare"


OF_VERDICT = {
    Verdict.PASSED: GateAnswer.PASSED,
    Verdict.REGRESSED: GateAnswer.REGRESSED,
    Verdict.WITHIN_TOLERANCE: GateAnswer.WITHIN_TOLERANCE,
    Verdict.UNDECIDED: GateAnswer.INCONCLUSIVE,
}
EXIT_CODES = {
    GateAnswer.PASSED: ExitCode.YES,
    GateAnswer.IDENTICAL: ExitCode.YES,
    GateAnswer.REGRESSED: ExitCode.NO,
    GateAnswer.INCOMPLETE: ExitCode.INCOMPLETE,
    GateAnswer.NOTHING: ExitCode.NOTHING_RAN,
}


@dataclass(frozen=True)
class Change:
    """How the head differs from the base on one task, or on all."""

    relative: Estimate  # change of the mean as a share of the base's mean less the random score, with its 95 % interval
    regressed: float  # p-value that the head is no worse; of a task, adjusted for all tasks. NaN before the first look
    passed: float  # p-value that it is worse by the tolerated drop or more; NaN likewise
    spread: float  # standard deviation of such a relative change from one seed to the next; NaN below two seeds
    detectable: float  # the smallest drop, as such a share, that so many seeds show with a power of 80 %; NaN likewise


class TaskVerdict(StrEnum):
    """What a gate says about one task."""

    NEWLY_FAILING = "newly failing"
    INCOMPLETE = "incomplete"
    IDENTICAL = "identical"
    WORSE = "worse"
    LOST = "threshold lost"
    NOT_WORSE = "not worse"
    UNCLEAR = "~"


@dataclass(frozen=True)
class JudgedTask:
    """One task of a gate."""

    task: Task  # with the runs of both sides
    difference: Difference  # head less base, of the seeds looked at; of the task's own where no look was taken
    change: Change  # from base to head
    verdict: TaskVerdict


@dataclass(frozen=True)
class Judgement:
    """What a gate found."""

    suite: str
    outcome: GateAnswer
    measure: str  # of a run
    rule: Rule  # by which it was judged
    scope: Scope  # what was asked for, and what of it could not be judged
    seeds: Seeds  # of both sides
    used: int = 0  # how many of them per side the numbers are about
    look: Look | None = None  # the last one taken; None if none was
    tasks: tuple[JudgedTask, ...] = ()  # that were judged
    overall: Change | None = None  # change over all tasks, each with the same weight; None if there are none
    reasons: tuple[str, ...] = ()  # why, in words; runs that are newly failing or missing are named
    notes: tuple[str, ...] = ()  # what else a reader should know
    # Seeds per side to add until it can be expected to decide, or to tell whether a regression is within the tolerance;
    # None if there is nothing more to tell, or no number is enough.
    more: int | None = None
    minutes: float = nan  # that they take, one run after the other; NaN if not known

    @property
    def blocks(self) -> tuple[int, ...]:
        """The block of each task that was judged: in a block, seeds share their luck."""
        return blocks([judged.task for judged in self.tasks])

    def exit_code(self, strict: bool = False, inconclusive: Inconclusive = "warn") -> ExitCode:
        """What a process ends with.

        If strict, a regression within the tolerance is one; an inconclusive gate that is to "warn" ends as "pass" does.
        """
        if self.outcome is GateAnswer.WITHIN_TOLERANCE:
            return ExitCode.NO if strict else ExitCode.YES
        if self.outcome is GateAnswer.INCONCLUSIVE:
            return ExitCode.NO if inconclusive == "fail" else ExitCode.YES
        return EXIT_CODES[self.outcome]

    def warns(self, strict: bool = False, inconclusive: Inconclusive = "warn") -> bool:
        """Whether a process that ends well has something to warn of; arguments as of `exit_code`."""
        if self.outcome is GateAnswer.INCONCLUSIVE:
            return inconclusive == "warn"
        return self.outcome is GateAnswer.WITHIN_TOLERANCE and not strict
