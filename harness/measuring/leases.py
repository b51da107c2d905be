"""Steps of a trial that spans machines: leased from its meter in blocks, made elsewhere, counted when told.

No block reaches beyond the next mark or the end of the budget, nor do all together that are out. So the sum is exact,
and evaluations happen where they would. Who reports gives back what is left of the block; that of a machine that is
lost is given back for it: what it had made and not told has been seen by nobody, and does not count.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from harness.contract.specs import EnvironmentSpec, as_json, environment_from_json
from harness.contract.trial import BudgetExhausted, ContractBroken, Made
from harness.measuring.clock import Clock
from harness.measuring.environments import Env
from harness.measuring.meter import Meter
from harness.measuring.metered_env import metered


class Lease:
    """The meter of one environment copy on another machine: it holds a block of steps.

    Attributes:
        left: steps that it may still make.
    """

    def __init__(self) -> None:
        self.clock = Clock()  # what it is billed is in no table: there is no such split of a time that is shared
        self.left = 0
        self._steps = 0
        self._episodes: list[tuple[int, float, int, bool, bool]] = []

    def take(self, count: int = 1) -> bool:
        """Take steps from the block."""
        if count > self.left:
            raise BudgetExhausted("the lease is spent: ask for another")
        self.left, self._steps = self.left - count, self._steps + count
        return False

    def settle(self) -> None:
        """The trial evaluates when it is told."""

    def ended(self, run: int, copy: int, value: float, length: int, terminated: bool, truncated: bool) -> None:
        """Note a finished episode."""
        self._episodes.append((self._steps, value, length, terminated, truncated))

    def close(self) -> None:
        """Nothing is held open."""

    def made(self) -> Made:
        """What was done since this was last asked; what is left of the block goes back with it."""
        told = Made(self._steps, tuple(self._episodes))
        self.left, self._steps, self._episodes = 0, 0, []
        return told


def leased_copy(environment: Mapping[str, Any], seed: int, copy: int) -> tuple[Env, Lease]:
    """One environment copy, made of its description as JSON values on any machine, and its meter."""
    lease = Lease()
    return metered(environment_from_json(environment), lease, seed, copy), lease


class Leases:
    """The trial's side: hands out blocks, and counts what it is told in its meter."""

    def __init__(self, meter: Meter, environment: EnvironmentSpec, seed: int) -> None:
        self._meter = meter
        self._environment = environment
        self._seed = seed
        self._out = 0  # steps in blocks

    def env_factory(self, index: int) -> Callable[[], tuple[Env, Lease]]:
        """Makes environment copy ``index`` and its meter, on any machine that has what is installed here."""
        return functools.partial(leased_copy, as_json(self._environment), self._seed, index)

    def grant(self, most: int) -> int:
        """Steps for one copy to make, at most so many; 0 while others hold all that there are before the next mark.

        Raises:
            BudgetExhausted: the budget is spent.
        """
        meter = self._meter
        if meter.left <= 0:
            raise meter.stop()
        granted = max(0, min(most, int(min(meter.next_mark, meter.budget)) - meter.steps - self._out))
        self._out += granted
        return granted

    def redeem(self, index: int, granted: int, made: Made) -> int:
        """Count what copy ``index`` has made of a block; returns all steps so far, at a mark once it has evaluated.

        Raises:
            ContractBroken: that is more than it was granted.
        """
        latest = max((made.steps, *(episode[0] for episode in made.episodes)))
        if not 0 <= made.steps <= latest <= granted:
            raise ContractBroken(f"environment copy {index} made {latest} steps of {granted} that it was granted")
        self._out -= granted
        counted = 0
        for steps, value, length, terminated, truncated in (*made.episodes, (made.steps, 0.0, 0, False, False)):
            if steps > counted:
                self._meter.take(steps - counted)
                counted = steps
            if terminated or truncated:
                self._meter.ended(0, index, value, length, terminated, truncated)
        self._meter.settle()
        return self._meter.steps
