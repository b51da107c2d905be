"""Probe environments with known values (A. Jones, "Debugging reinforcement learning systems", 2021).

Each probe needs one more thing to work than the probe before it, so the first that an agent fails tells
what is broken. All observe one number, float32 [1] in [−1, 1], and offer two actions or, if ``continuous``, one
number in [−1, 1], clipped to it.

The observation at a terminated end is one that is acted on too, so an agent that bootstraps from it sees its
own value there and learns one about 1/(1−γ) times too large.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

Observation = np.ndarray[Any, np.dtype[np.float32]]


def agreement(action: Any, target: float, continuous: bool) -> float:
    """How well an action meets the target, −1 or 1: at best 1.

    Action 1 says 1 and action 0 says −1, which gives −1 where the target is the other. A number a gives
    1 − (2 a − target)²: the best is target / 2, inside the bounds, where an action of the wrong scale costs.
    """
    if continuous:
        return 1.0 - (2.0 * float(np.clip(action[0], -1.0, 1.0)) - target) ** 2
    return target * (2.0 * float(action) - 1.0)


class Probe(gymnasium.Env[Observation, Any]):
    """What all probes share: the spaces, and a number to observe.

    Args:
        continuous: whether the action is a number.
    """

    def __init__(self, continuous: bool = False) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space: spaces.Space[Any] = (
            spaces.Box(-1.0, 1.0, (1,), np.float32) if continuous else spaces.Discrete(2)
        )
        self._continuous = continuous
        self._number = 0.0

    def _first(self) -> float:
        """The number observed at the start of an episode."""
        return 0.0

    def _observe(self) -> Observation:
        return np.asarray([self._number], np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self._number = self._first()
        return self._observe(), {}


class OneStepProbe(Probe):
    """A probe whose episodes are one step long."""

    def _reward(self, action: Any) -> float:
        """The reward of the only step."""
        raise NotImplementedError

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Give the reward and terminate."""
        return self._observe(), self._reward(action), True, False, {}

    def _random_sign(self) -> float:
        return 2.0 * float(self.np_random.integers(2)) - 1.0


class Constant(OneStepProbe):
    """Probe 1: reward 1 in one step. Known: Q = 1 for every action. Fails where the value's regression fails."""

    def _reward(self, action: Any) -> float:
        return 1.0


class ObservationDependent(OneStepProbe):
    """Probe 2: the number is −1 or 1, and so is the reward. Known: Q(x, ·) = x. Tests the way from input to value."""

    def _first(self) -> float:
        return self._random_sign()

    def _reward(self, action: Any) -> float:
        return self._number


class Discounting(Probe):
    """Probe 3: 0, then 1, then reward 1. Known: Q(1, ·) = 1, Q(0, ·) = γ. Tests bootstrapping and discounting."""

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move from 0 to 1, or give the reward and terminate."""
        terminated = self._number == 1.0
        self._number = 1.0
        return self._observe(), float(terminated), terminated, False, {}


class ActionDependent(OneStepProbe):
    """Probe 4: the reward is the `agreement` of the action with 1. Tests the choice of actions.

    Known: Q(0) = −1, Q(1) = 1; of a number, Q(a) = 1 − (2a − 1)². So V* = 1.
    """

    def _reward(self, action: Any) -> float:
        return agreement(action, 1.0, self._continuous)


class ObservationAndActionDependent(OneStepProbe):
    """Probe 5: the observation x is −1 or 1, and the reward is the `agreement` of the action with it.

    Known: Q(x, 1) = x, Q(x, 0) = −x; of a number, Q(x, a) = 1 − (2a − x)². So V* = 1. Tests that observations and
    actions stay in pairs.
    """

    def _first(self) -> float:
        return self._random_sign()

    def _reward(self, action: Any) -> float:
        return agreement(action, self._number, self._continuous)


class Truncation(Probe):
    """Truncation probe: reward 1 for ever, cut by the time limit of 10 steps. Known: Q = 1 / (1 − γ).

    One-step learning from uniformly sampled steps that takes the time limit for a terminal state finds
    1 / (1 − 0.9 γ) instead.
    """

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Give the reward; never terminate."""
        return self._observe(), 1.0, False, False, {}


for _probe in (Constant, ObservationDependent, Discounting, ActionDependent, ObservationAndActionDependent, Truncation):
    gymnasium.register(
        f"harness_environments/Probe{_probe.__name__}-v0", f"{__name__}:{_probe.__name__}", max_episode_steps=10
    )
