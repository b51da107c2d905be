"""A single environment copy with the meter around it."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

import gymnasium

from harness.contract.specs import EnvironmentSpec
from harness.measuring import environments, seeding
from harness.measuring.clock import Clock
from harness.measuring.environments import Env
from harness.measuring.ledger import Ledger
from harness.measuring.unmetered import WATCH

StepResult = tuple[Any, Any, bool, bool, dict[str, Any]]


class CopyMeter(Protocol):
    """What an environment asks of the meter, in whatever process it steps."""

    clock: Clock

    def take(self, count: int = 1) -> bool:
        """Take all these steps of each run before they are made or raise `BudgetExhausted`; tells whether to settle."""

    def settle(self) -> None:
        """Let a due evaluation happen, once the steps taken have been made and their episodes recorded."""

    def ended(self, run: int, copy: int, value: float, length: int, terminated: bool, truncated: bool) -> None:
        """Record a finished episode of a copy of a run."""

    def close(self) -> None:
        """Give back what is held open for one environment."""


class MeteredEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Counts every step, stops exactly at the budget, and owns the seeds.

    It sits outside the time limit and every wrapper, so the return is what the environment as declared gives. ``seed``
    is the run's; the streams of this copy, the one of that index within the run, are derived from it.
    """

    def __init__(self, env: Env, meter: CopyMeter, seed: int, copy: int) -> None:
        super().__init__(env)
        self._meter = meter
        self._clock = meter.clock
        self._ledger = Ledger(0.0, 1, lambda _, *episode: meter.ended(0, copy, *episode))
        self._seed: int | None = seeding.integer(seed, seeding.ENVIRONMENT, copy)
        self._take: Callable[[Any], StepResult] = reset_first
        self.action_space.seed(seeding.integer(seed, "action_space", copy))
        self.observation_space.seed(seeding.integer(seed, "observation_space", copy))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode. ``seed`` is ignored: seeds belong to the harness."""
        began = perf_counter()
        with WATCH:
            result = self.env.reset(seed=self._seed, options=options)
        self._clock.environment += perf_counter() - began
        self._seed = None
        self._take = self.env.step
        self._ledger.returns, self._ledger.began[0] = 0.0, self._ledger.time
        return result

    def step(self, action: Any) -> StepResult:
        """Take one step and count it, then let a due evaluation happen; `BudgetExhausted` instead if none is left."""
        take, ledger = self._take, self._ledger
        if take is reset_first:
            reset_first(action)  # before a step is taken from the budget
        due = self._meter.take()
        WATCH.entered += 1
        began = perf_counter()
        try:
            result = take(action)
        finally:
            WATCH.left += 1
        self._clock.environment += perf_counter() - began
        ledger.returns += environments.reward_of(result[1])
        ledger.time += 1
        if result[2] or result[3]:
            self._take = reset_first
            ledger.end(0, ledger.returns, result[2], result[3])
        if due:
            self._meter.settle()
        return result

    def close(self) -> None:
        """Close the environment and what the meter holds open for it."""
        self._meter.close()
        super().close()


def reset_first(action: Any) -> StepResult:
    """What stepping does while no episode is running."""
    raise gymnasium.error.ResetNeeded("call reset() before step(): no episode is running")


def metered(environment: EnvironmentSpec, meter: CopyMeter, seed: int, copy: int) -> Env:
    """A fresh copy of an environment on a meter."""
    return MeteredEnv(environments.make(environment), meter, seed, copy)
