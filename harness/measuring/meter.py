"""The meter of one run: steps, the exact budget, episodes, and when the next evaluation is due."""

import math
from collections.abc import Callable
from typing import NamedTuple

from harness.contract import BudgetExhausted
from harness.measuring.clock import Clock


class Diverged(Exception):  # noqa: N818, because it is an outcome, which the harness reports as a status
    """Every run of the trial had a return that is not finite: training ends, with status ``diverged``."""


class Episode(NamedTuple):
    """One finished training episode; fields as in the table ``episodes``."""

    copy: int
    step: int
    train_seconds: float
    value: float
    length: int
    terminated: bool
    truncated: bool


class EvaluationEpisode(NamedTuple):
    """One evaluation episode; fields as in the table ``evaluations``."""

    evaluation: int
    step: int
    train_seconds: float
    episode: int
    seed: int
    value: float
    length: int
    terminated: bool
    truncated: bool


def evaluation_marks(budget: int, points: int) -> tuple[int, ...]:
    """The steps at which evaluations fall due before training has ended: evenly spread from 0 on."""
    return tuple(sorted({round(budget * k / points) for k in range(points)} - {budget}))


class Meter:
    """Counts what one run does. Environment copies of the run share one meter.

    ``steps``, ``budget`` and ``next_mark`` are plain attributes, read and written on every step.

    Args:
        budget: steps the run may take.
        marks: steps at which ``on_mark`` is called, from inside ``env.step``; at 0, when the policy is first set.
        on_mark: evaluates; the meter has moved on to the next mark before it is called.
        on_diverged: called when this run has diverged; raises `Diverged` when no run of the trial is left.
        clock: of the trial.

    Attributes:
        diverged: why the run diverged; empty if it did not.
    """

    def __init__(
        self,
        budget: int,
        marks: tuple[int, ...],
        on_mark: Callable[[], None],
        on_diverged: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.budget = budget
        self.steps = 0
        self.slack = (
            0  # steps that may stay unused, since a native vector environment steps all copies or none
        )
        self.exhausted = False
        self.clock = clock
        self.episodes: list[Episode] = []
        self.diverged = ""
        self._on_mark = on_mark
        self._on_diverged = on_diverged
        self._marks = [*marks, math.inf]
        self._mark = 0
        self.next_mark: float = self._marks[0]

    def stop(self) -> BudgetExhausted:
        """The exception to raise instead of a step that the budget does not hold."""
        self.exhausted = True
        return BudgetExhausted(f"the budget of {self.budget} steps is spent")

    def reached_mark(self) -> None:
        """Call ``on_mark`` once for all marks that ``steps`` has reached."""
        while self._marks[self._mark] <= self.steps:
            self._mark += 1
        self.next_mark = self._marks[self._mark]
        self._on_mark()

    def ended(self, copy: int, value: float, length: int, terminated: bool, truncated: bool) -> None:
        """Record a finished episode."""
        episode = Episode(
            copy, self.steps, self.clock.training, value, length, bool(terminated), bool(truncated)
        )
        self.episodes.append(episode)
        self.check(value, "training")

    def check(self, value: float, phase: str) -> None:
        """Mark the run as diverged if an episode's return is not finite."""
        if not math.isfinite(value):
            self.diverged = (
                self.diverged or f"the return of an episode in {phase} is {value} at step {self.steps}"
            )
            self._on_diverged()
