"""Tiny environments on which any algorithm can be tried in a second: one for every pair of common spaces.

A token walks on a ring of five places. The reward is a cosine of place and action, so two action sequences that
differ anywhere have different returns, and equal returns mean equal behaviour. Every episode ends after at most
ten steps, some by termination. Importing this module registers nothing; importing `toy_registration` does.
"""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from harness.contract.specs import AlgorithmSpec, EnvironmentSpec

OBSERVATIONS = ("Box", "Discrete")
ACTIONS = ("Discrete", "Box")
PLACES = 5
TERMINATES = 0.1  # probability, per step
LONGEST = 10  # steps
RECORDED = 40  # episodes
STONES, MOST = 7, 3  # of the game

Observation = Any  # float32 [2] on the unit circle, or the place
Info = dict[str, Any]
REGISTRATION, KNOWN = ("harness.conformance.toy_registration",), "harness.conformance.toy_known"


class Ring(gymnasium.Env[Observation, Any]):
    """A token on a ring. ``stream`` is the seed of an environment that ignores the run's; None takes the run's."""

    # Every action seen so far in this process, by any ring, that its action space does not hold.
    outside: list[str] = []  # noqa: RUF012, because all rings of a process share it

    def __init__(self, observation: str = "Box", action: str = "Discrete", stream: int | None = None) -> None:
        circle, places = spaces.Box(-1.0, 1.0, (2,), np.float32), spaces.Discrete(PLACES)
        self.observation_space = circle if observation == "Box" else places
        self.action_space = spaces.Discrete(3) if action == "Discrete" else spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._stream = stream
        self._place = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observation, Info]:
        """Put the token anywhere."""
        super().reset(seed=seed if self._stream is None or seed is None else self._stream)
        self._place = int(self.np_random.integers(PLACES))
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, Info]:
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


class Nim(gymnasium.Env[Observation, Any]):
    """The game of `toy_game` against random moves, as either player; an illegal move loses at once."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (STONES + 1 + MOST,), np.float32)
        self.action_space = spaces.Discrete(MOST)
        self._left = 0

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observation, Info]:
        """Set up the stones; the opponent may begin."""
        super().reset(seed=seed)
        self._left = STONES - int(self.np_random.integers(MOST + 1))
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, Info]:
        """Take stones, then have the opponent take some."""
        if action + 1 >= self._left:
            won = action + 1 == self._left
            self._left = 0 if won else self._left
            return self._observe(), 1.0 if won else -1.0, True, False, {}
        self._left -= int(action) + 1
        self._left -= int(self.np_random.integers(min(MOST, self._left))) + 1
        return self._observe(), -1.0 if self._left == 0 else 0.0, self._left == 0, False, {}

    def _observe(self) -> Observation:
        stones = np.arange(STONES + 1) == self._left
        return np.concatenate((stones, np.arange(1, MOST + 1) <= self._left)).astype(np.float32)


def recorded(observation: str, action: str) -> Iterator[SimpleNamespace]:
    """Episodes of random actions on the ring with these spaces, always the same; fields are those of Minari's."""
    env = Ring(observation, action)
    env.action_space.seed(0)
    for number in range(RECORDED):
        seen, over = [env.reset(seed=number)[0]], False
        actions: list[Any] = []
        rewards: list[Any] = []
        while not over and len(actions) < LONGEST:
            actions.append(env.action_space.sample())
            obs, reward, over, _, _ = env.step(actions[-1])
            seen.append(obs)
            rewards.append(reward)
        last = np.arange(len(actions)) == len(actions) - 1
        ends = {"terminations": last & over, "truncations": last & (not over)}
        yield SimpleNamespace(observations=np.array(seen), actions=np.array(actions), rewards=np.array(rewards), **ends)


def ring(observation: str, action: str, stream: int | None = None) -> EnvironmentSpec:
    """The description of a ring with these kinds of spaces; ``stream`` as in `Ring`."""
    name, id_ = f"ring-{observation}-{action}".lower(), f"harness/Ring{observation}{action}-v0"
    dataset = f"harness.conformance.toy_data.{observation}_{action}".lower()
    kwargs = {} if stream is None else {"stream": stream}
    return EnvironmentSpec(name, id_, imports=REGISTRATION, kwargs=kwargs, known=KNOWN, dataset=dataset)


NIM = EnvironmentSpec("nim", "harness/Nim-v0", imports=REGISTRATION, game="harness.conformance.toy_game")


def toy_for(algorithm: AlgorithmSpec, observation: str, action: str, stream: int | None = None) -> EnvironmentSpec:
    """The toy on which an algorithm is tried: a ring with these kinds of spaces, or the game."""
    return NIM if algorithm.game else ring(observation, action, stream)
