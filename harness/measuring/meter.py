"""The meter of a trial: steps, the exact budget, episodes, and when the next evaluation is due.

There are two kinds. `LocalMeter` counts in the trial's process; `harness.measuring.shared_meter.SharedMeter` counts for
environments in several. A trial asks them the same questions, and so does an environment copy.
"""

import functools
import math
import mmap
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from harness.contract.specs import EnvironmentSpec
from harness.contract.trial import BudgetExhausted, ContractBroken
from harness.measuring.clock import Clock
from harness.measuring.environments import EnvFactory
from harness.measuring.metered_env import CopyMeter, metered
from harness.measuring.random_state import Generators
from harness.measuring.records import Diverged, Episode, RunRecord


def evaluation_marks(budget: int, points: int) -> tuple[int, ...]:
    """The steps at which evaluations fall due before training has ended: evenly spread from 0 on."""
    return tuple(sorted({round(budget * k / points) for k in range(points)} - {budget}))


class Marks:
    """The steps at which evaluations fall due; ``next`` is the first not reached, infinite after the last."""

    def __init__(self, steps: Sequence[int]) -> None:
        self._left = [*steps]
        self.next: float = min(steps, default=math.inf)

    def pass_by(self, steps: int) -> None:
        """Strike out all marks up to so many steps."""
        self._left = [mark for mark in self._left if mark > steps]
        self.next = min(self._left, default=math.inf)


def check_return(runs: Sequence[RunRecord], run: RunRecord, value: float, phase: str, step: int) -> None:
    """Mark a run as diverged if the return of an episode is not finite; raise `Diverged` if none of them is left."""
    if math.isfinite(value):
        return
    run.diverged = run.diverged or f"the return of an episode in {phase} is {value} at step {step}"
    if all(each.diverged for each in runs):
        raise Diverged(runs[0].diverged)


class Meter(CopyMeter):
    """What a trial asks, and what both kinds have.

    At each of the steps ``marks``, ``on_mark`` evaluates: from inside ``env.step``; at 0, when the policy is first set.
    The meter has moved on to the next mark before it is called. ``runs`` receive their episodes.
    """

    own_process = True  # where all environments step

    def __init__(
        self, budget: int, marks: Sequence[int], on_mark: Callable[[], None], runs: Sequence[RunRecord], clock: Clock
    ) -> None:
        self.budget = budget
        self.slack = 0  # steps that may stay unused, since a native vector environment steps all copies or none
        self.clock = clock
        self._marks = Marks(marks)
        self._on_mark = on_mark
        self._runs = runs
        self._evaluator: int | None = None  # the thread that is evaluating
        self.unmetered = memoryview(mmap.mmap(-1, 8)).cast("q")  # steps beside it, those of forks included

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps taken by each run; where others step meanwhile, an answer waits until the trial has evaluated."""

    @property
    def left(self) -> int:
        """Steps that each run may still take."""
        return self.budget - self.steps

    @property
    def next_mark(self) -> float:
        """The step at which the next evaluation falls due; infinite if none does before the end."""
        return self._marks.next

    @property
    @abstractmethod
    def exhausted(self) -> bool:
        """Whether a step was refused because the budget is spent."""

    def close(self) -> None:
        """Nothing is held open for an environment of the trial's own process."""

    def stop(self) -> BudgetExhausted:
        """The exception to raise instead of a step that the budget does not hold."""
        return BudgetExhausted(f"the budget of {self.budget} steps is spent")

    def start(self) -> None:
        """Evaluate the policy that was just set, and let steps begin."""

    @abstractmethod
    def training(self) -> AbstractContextManager[None]:
        """What goes on beside ``train``; when it is left, steps and episodes are complete."""

    @property
    def evaluates(self) -> bool:
        """Whether this thread is evaluating."""
        return threading.get_ident() == self._evaluator

    @contextmanager
    def evaluating(self, generators: Generators, index: int) -> Iterator[Callable[[], None]]:
        """Protect training from an evaluation, unless in another thread; yields as `Generators.evaluating` does."""
        self._evaluator = threading.get_ident()
        try:
            with generators.evaluating(index) if self.own_process else nullcontext(lambda: None) as begin:
                yield begin
        finally:
            self._evaluator = None

    @abstractmethod
    def env_factory(self, environment: EnvironmentSpec, seed: int, copy: int) -> EnvFactory:
        """Makes one metered copy of the environment; picklable if other processes may step."""

    def require_own_process(self, what: str) -> None:
        """Refuse what only works where all environments step in the trial's process."""
        if not self.own_process:
            raise ContractBroken(f'{what} would have a meter of its own; processes="many" has trial.env_factory')

    @abstractmethod
    def is_end(self, error: Exception) -> bool:
        """Whether an error in ``train`` is how the spent budget ended it."""


class LocalMeter(Meter):
    """Counts what all runs of a trial do in this process; they step together."""

    steps = 0
    exhausted = False

    def take(self, count: int = 1) -> bool:
        """Take steps from the budget, as `CopyMeter` says."""
        steps = self.steps + count
        if steps > self.budget:
            raise self.stop()
        self.steps = steps
        return steps >= self._marks.next

    def settle(self) -> None:
        """Evaluate once for all marks that have been reached."""
        if self.steps >= self._marks.next:
            self._marks.pass_by(self.steps)
            self._on_mark()

    def ended(self, run: int, copy: int, value: float, length: int, terminated: bool, truncated: bool) -> None:
        """Record a finished episode."""
        record = self._runs[run]
        record.episodes.append(Episode(copy, self.steps, self.clock.training, value, length, terminated, truncated))
        check_return(self._runs, record, value, "training", self.steps)

    def stop(self) -> BudgetExhausted:
        """Remember that a step was refused."""
        self.exhausted = True
        return super().stop()

    def start(self) -> None:
        """Evaluate at 0: a step before this would have met that mark without a policy."""
        self.settle()

    def training(self) -> AbstractContextManager[None]:
        """Nothing goes on beside training."""
        return nullcontext()

    def env_factory(self, environment: EnvironmentSpec, seed: int, copy: int) -> EnvFactory:
        """Makes one metered copy, in this process."""
        return functools.partial(metered, environment, self, seed, copy)

    def is_end(self, error: Exception) -> bool:
        """Whether the refused step is what an error is, wraps or followed."""
        return self.exhausted and first_of(BudgetExhausted, error) is not None


def first_of(kind: type[Exception], error: BaseException) -> BaseException | None:
    """The error of a kind that an error is, wraps or followed: libraries raise their own in place of ours."""
    if isinstance(error, kind):
        return error
    earlier: list[Any] = [cause for cause in dict.fromkeys((error.__cause__, error.__context__)) if cause]
    return next((found for cause in earlier if (found := first_of(kind, cause))), None)
