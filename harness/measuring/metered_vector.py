"""Native vector environments with the meter around them.

A vector of single metered copies needs nothing of this: each copy counts itself.
"""

from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from harness.measuring import seeding
from harness.measuring.meter import Meter

VectorEnv = gymnasium.vector.VectorEnv[Any, Any, Any]


class MeteredVectorEnv(gymnasium.vector.VectorWrapper):
    """Counts the real steps of an environment that steps all its copies in one call.

    With autoreset in the next step, the call after an episode's end only resets that copy: it is no step.
    A call that the budget does not hold whole is not made, so such a run may end up to ``num_envs - 1`` steps short.

    Args:
        env: the vector environment.
        meter: of the run.
        seed: the run's seed.
        first: index of its first copy within the run; the others follow.
    """

    def __init__(self, env: VectorEnv, meter: Meter, seed: int, first: int = 0) -> None:
        super().__init__(env)
        self._meter = meter
        self._first = first
        meter.slack = env.num_envs - 1
        self._seed: int | None = seeding.integer(seed, seeding.ENVIRONMENT, first)
        self._mode = env.metadata["autoreset_mode"]
        self._ended = np.zeros(env.num_envs, bool)  # [N], whose last step ended an episode
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self.action_space.seed(seeding.integer(seed, "action_space", first))

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start episodes: all, or those of ``options["reset_mask"]``. ``seed`` is ignored."""
        began = perf_counter()
        mask = None if options is None else options.get("reset_mask")
        result = self.env.reset(seed=self._seed, options=options)
        self._meter.clock.environment += perf_counter() - began
        self._seed = None
        fresh = np.ones_like(self._ended) if mask is None else np.asarray(mask, bool)
        self._ended[fresh] = False
        self._returns[fresh] = 0.0
        self._lengths[fresh] = 0
        return result

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all copies and count those that really stepped.

        Raises:
            BudgetExhausted: the budget does not hold this step of all copies; nothing was done.
            ResetNeeded: without autoreset, a copy's episode ended and it was not reset.
        """
        meter = self._meter
        if self._mode == AutoresetMode.DISABLED and self._ended.any():
            raise gymnasium.error.ResetNeeded(
                "reset the copies whose episode ended: options={'reset_mask': ...}"
            )
        live = ~self._ended if self._mode == AutoresetMode.NEXT_STEP else np.ones_like(self._ended)
        count = int(live.sum())
        if meter.steps + count > meter.budget:
            raise meter.stop()
        began = perf_counter()
        result = self.env.step(actions)
        meter.clock.environment += perf_counter() - began
        meter.steps += count
        _, reward, terminated, truncated, _ = result
        self._returns += np.where(live, reward, 0.0)
        self._lengths += live
        self._ended = (terminated | truncated) & live
        for copy in np.flatnonzero(self._ended):
            value, length = float(self._returns[copy]), int(self._lengths[copy])
            self._returns[copy], self._lengths[copy] = 0.0, 0
            meter.ended(self._first + int(copy), value, length, terminated[copy], truncated[copy])
        if meter.steps >= meter.next_mark:
            meter.reached_mark()
        return result
