"""Native vector environments with the meter around them.

A vector of single metered copies needs nothing of this: each copy counts itself.
"""

from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from harness.measuring import seeding
from harness.measuring.environments import VectorEnv
from harness.measuring.ledger import Ledger
from harness.measuring.meter import Meter
from harness.measuring.unmetered import WATCH


class MeteredVectorEnv(gymnasium.vector.VectorWrapper):
    """Counts the real steps of an environment that steps all its copies in one call.

    With autoreset in the next step, the call after an episode's end only resets that copy: it is no step.
    A call that the budget does not hold whole is not made, so such a run may end up to ``num_envs - 1`` steps short.
    ``seed`` is the run's, ``first`` the index of the first copy within the run.
    """

    def __init__(self, env: VectorEnv, meter: Meter, seed: int, first: int) -> None:
        super().__init__(env)
        self._meter = meter
        meter.slack = env.num_envs - 1
        self._ledger = Ledger(
            np.zeros(env.num_envs), env.num_envs, lambda row, *episode: meter.ended(0, first + row, *episode)
        )
        self._seed: int | None = seeding.integer(seed, seeding.ENVIRONMENT, first)
        self._mode = env.metadata["autoreset_mode"]
        self._ended = np.zeros(env.num_envs, bool)  # [N], whose last step ended an episode
        self.action_space.seed(seeding.integer(seed, "action_space", first))

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start episodes: all, or those of ``options["reset_mask"]``. ``seed`` is ignored."""
        began = perf_counter()
        mask = None if options is None else options.get("reset_mask")
        with WATCH:
            result = self.env.reset(seed=self._seed, options=options)
        self._meter.clock.environment += perf_counter() - began
        self._seed = None
        fresh = np.ones_like(self._ended) if mask is None else np.asarray(mask, bool)
        self._begin(fresh)
        return result

    def _begin(self, fresh: Any) -> None:
        """Begin episodes of the copies in a mask."""
        self._ended[fresh] = False
        self._ledger.returns[fresh] = 0.0
        for copy in np.flatnonzero(fresh):
            self._ledger.began[copy] = self._ledger.time

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all copies and count those that really stepped.

        Raises:
            BudgetExhausted: the budget does not hold this step of all copies; nothing was done.
            ResetNeeded: without autoreset, a copy's episode ended and it was not reset.
        """
        meter = self._meter
        if self._mode == AutoresetMode.DISABLED and self._ended.any():
            raise gymnasium.error.ResetNeeded("reset the copies whose episode ended: options={'reset_mask': ...}")
        live = ~self._ended if self._mode == AutoresetMode.NEXT_STEP else np.ones_like(self._ended)
        count = int(live.sum())
        meter.take(count)
        began = perf_counter()
        with WATCH:
            result = self.env.step(actions)
        meter.clock.environment += perf_counter() - began
        _, reward, terminated, truncated, _ = result
        ledger = self._ledger
        ledger.step(np.where(live, reward, 0.0))
        self._begin(~live)
        self._ended = (terminated | truncated) & live
        for copy in np.flatnonzero(self._ended).tolist():
            ledger.end(copy, float(ledger.returns[copy]), terminated[copy], truncated[copy])
            ledger.returns[copy] = 0.0
        meter.settle()
        return result
