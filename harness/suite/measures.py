"""What is measured of runs: the one table that suites, commands, comparisons, claims, gate and documents read."""

from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum

from harness.contract.errors import UsageError


class Failure(StrEnum):
    """What a run that failed by itself counts as."""

    RANDOM = "the random policy"  # or the worst run of those compared, if that is less
    BUDGET = "the whole budget"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Measure:
    """A number that a run, or a group of runs, scores."""

    name: str  # in suites, options and tables
    meaning: str  # in one line
    more_is_better: bool  # whether a higher value is a better one
    failure: Failure  # what a failed run counts as
    gated: bool = False  # whether a gate may judge by it
    of_group: bool = False  # whether it is made of the final scores of all runs of a contestant, rather than of one run

    @property
    def of_returns(self) -> bool:
        """Whether it is one run's mean return, which has bounds where the environment says which returns there are."""
        return self.failure is Failure.RANDOM and not self.of_group


USUAL = "area_under_curve"
DIAGNOSTIC, LOGGED = "diagnostic_", "NAME"  # which stands for any name that an algorithm logs under
MORE, LESS = True, False
_RECORDS = (
    Measure("final_score", "mean return of the last evaluation, at the budget", MORE, Failure.RANDOM, gated=True),
    Measure("online_return", "mean return of the training episodes", MORE, Failure.RANDOM, gated=True),
    Measure(USUAL, "mean height of the curve of evaluations over steps", MORE, Failure.RANDOM, gated=True),
    Measure(
        "steps_to_threshold",
        "steps until two evaluations in a row reach the environment's threshold, or the whole budget",
        LESS,
        Failure.BUDGET,
    ),
    Measure("worst_drop", "largest fall of a later evaluation below an earlier one", LESS, Failure.NOTHING),
    Measure(DIAGNOSTIC + LOGGED, f"mean of what was logged under {LOGGED}", LESS, Failure.NOTHING),
    Measure("worst_quarter", "mean of the worst quarter of final scores", MORE, Failure.RANDOM, of_group=True),
    Measure("spread", "interquartile range of final scores", LESS, Failure.NOTHING, of_group=True),
)
MEASURES = {record.name: record for record in _RECORDS}
GATED = tuple(name for name, measure in MEASURES.items() if measure.gated)
OF_RUNS = tuple(name for name, measure in MEASURES.items() if not measure.of_group)


def named(name: str) -> Measure:
    """The record of a measure; of "diagnostic_loss", that of all diagnostics under this name.

    Raises:
        UsageError: there is none; it names the nearest.
    """
    if name in MEASURES:
        return MEASURES[name]
    if name.startswith(DIAGNOSTIC):
        return replace(MEASURES[f"{DIAGNOSTIC}{LOGGED}"], name=name)
    near = get_close_matches(name, MEASURES, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(MEASURES)}"
    raise UsageError(f"{name!r} is no measure; {hint}")
