"""Tiny environments on which any algorithm can be tried in a second: one for every pair of common spaces.

A token walks on a ring of five places. The reward is a cosine of place and action, so two action sequences that
differ anywhere have different returns, and equal returns mean equal behaviour. Every episode ends after at most
ten steps, some by termination. Importing this module registers nothing; `register` does.
"""

import itertools
import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from harness.specs import EnvironmentSpec

OBSERVATIONS = ("Box", "Discrete")
ACTIONS = ("Discrete", "Box")
PLACES = 5
TERMINATES = 0.1  # probability, per step
LONGEST = 10  # steps

Observation = Any  # float32 [2] on the unit circle, or the place


class Ring(gymnasium.Env[Observation, Any]):
    """A token on a ring.

    Args:
        observation: "Box" or "Discrete".
        action: "Discrete", three ways to move, or "Box", a push [2] in [−1, 1].
        stream: seed of an environment whose stream ignores the run's; None takes the run's.

    Attributes:
        outside: every action seen so far in this process, by any ring, that its action space does not hold.
    """

    outside: list[str] = []  # noqa: RUF012, because all rings of a process share it

    def __init__(self, observation: str = "Box", action: str = "Discrete", stream: int | None = None) -> None:
        circle, places = spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.Discrete(PLACES)
        self.observation_space = circle if observation == "Box" else places
        self.action_space = (
            spaces.Discrete(3) if action == "Discrete" else spaces.Box(-1.0, 1.0, (2,), np.float32)
        )
        self._stream = stream
        self._place = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Put the token anywhere."""
        super().reset(seed=seed if self._stream is None or seed is None else self._stream)
        self._place = int(self.np_random.integers(PLACES))
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move the token by the action and a random place or none."""
        if not self._holds(action):
            Ring.outside.append(repr(action))
        push = float(np.sum(np.clip(action, -1, 2)))  # also where the action is not valid
        reward = math.cos(1 + 2 * self._place + 3 * push)
        self._place = int(self._place + round(push) + self.np_random.integers(2)) % PLACES
        return self._observe(), reward, bool(self.np_random.random() < TERMINATES), False, {}

    def _holds(self, action: Any) -> bool:
        """Whether an action is valid; of any float type, since rounding to float32 is harmless."""
        if isinstance(self.action_space, spaces.Box):
            array = np.asarray(action, np.float32)
            return array.shape == self.action_space.shape and bool(self.action_space.contains(array))
        return bool(self.action_space.contains(action))

    def _observe(self) -> Observation:
        angle = 2 * math.pi * self._place / PLACES
        on_circle = isinstance(self.observation_space, spaces.Box)
        return np.asarray([math.cos(angle), math.sin(angle)], np.float32) if on_circle else self._place


def register() -> None:
    """Make the rings known to Gymnasium in this process."""
    for observation, action in itertools.product(OBSERVATIONS, ACTIONS):
        name = ring(observation, action).id
        if name not in gymnasium.registry:
            kinds = {"observation": observation, "action": action}
            gymnasium.register(name, f"{__name__}:Ring", kwargs=kinds, max_episode_steps=LONGEST)


def ring(observation: str, action: str, stream: int | None = None) -> EnvironmentSpec:
    """The description of a ring with these kinds of spaces; ``stream`` as in `Ring`."""
    return EnvironmentSpec(
        f"ring-{observation.lower()}-{action.lower()}",
        f"harness/Ring{observation}{action}-v0",
        imports=("harness.conformance.toy_registration",),
        kwargs={} if stream is None else {"stream": stream},
    )
