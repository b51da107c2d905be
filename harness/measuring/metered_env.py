"""A single environment copy with the meter around it."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import gymnasium

from harness.measuring import seeding
from harness.measuring.environments import Env
from harness.measuring.meter import Meter

StepResult = tuple[Any, Any, bool, bool, dict[str, Any]]


class MeteredEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Counts every step, stops exactly at the budget, and owns the seeds.

    It sits outside the time limit and every wrapper, so the return is what the environment as declared gives.

    Args:
        env: the environment copy.
        meter: of the run; copies of one run share it.
        seed: the run's seed; the copy's own streams are derived from it.
        copy: index of this copy within the run.
    """

    def __init__(self, env: Env, meter: Meter, seed: int, copy: int) -> None:
        super().__init__(env)
        self._meter = meter
        self._copy = copy
        self._seed: int | None = seeding.integer(seed, seeding.ENVIRONMENT, copy)
        self._take: Callable[[Any], StepResult] = reset_first
        self._return = 0.0
        self._length = 0
        self.action_space.seed(seeding.integer(seed, "action_space", copy))
        self.observation_space.seed(seeding.integer(seed, "observation_space", copy))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode. ``seed`` is ignored: seeds belong to the harness."""
        began = perf_counter()
        result = self.env.reset(seed=self._seed, options=options)
        self._meter.clock.environment += perf_counter() - began
        self._seed = None
        self._take = self.env.step
        self._return = 0.0
        self._length = 0
        return result

    def step(self, action: Any) -> StepResult:
        """Take one step, count it, and let a due evaluation happen.

        Raises:
            BudgetExhausted: the budget holds no further step; nothing was done.
        """
        meter = self._meter
        if meter.steps >= meter.budget:
            raise meter.stop()
        began = perf_counter()
        result = self._take(action)
        meter.clock.environment += perf_counter() - began
        meter.steps += 1
        self._return += float(result[1])
        self._length += 1
        if result[2] or result[3]:
            self._take = reset_first
            meter.ended(self._copy, self._return, self._length, result[2], result[3])
        if meter.steps >= meter.next_mark:
            meter.reached_mark()
        return result


def reset_first(action: Any) -> StepResult:
    """What stepping does while no episode is running."""
    raise gymnasium.error.ResetNeeded("call reset() before step(): no episode is running")
