"""An environment whose every episode is known, alone and as a native vector, and loops that drive it."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from harness.api import EnvironmentSpec
from harness.measuring import seeding
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from support.trial import local_trial


class Ladder(gymnasium.Env):
    """An episode's length and scale come from its own stream; the reward tells steps and actions apart.

    Even lengths terminate and odd ones truncate. ``taken`` counts the calls of ``step``.
    """

    def __init__(self, longest: int = 6, per_step: bool = False) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 100, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(3)
        self.longest, self.per_step, self.taken = longest, per_step, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.length = 0, int(self.np_random.integers(1, self.longest + 1))
        self.scale = float(self.np_random.integers(1, 10))
        return np.asarray([self.scale, 0], np.float32), {}

    def step(self, action):
        self.taken += 1
        self.time += 1
        over = self.time == self.length
        reward = 1.0 if self.per_step else self.scale * (1 + int(action)) + self.time / 8
        obs = np.asarray([self.scale, self.time], np.float32)
        return obs, reward, over and self.length % 2 == 0, over and self.length % 2 == 1, {}


class TenfoldReward(gymnasium.RewardWrapper):
    def reward(self, reward):
        return 10 * reward


class NativeLadder(gymnasium.vector.VectorEnv):
    """Ladders stepped in one call, with each of Gymnasium's three ways to go on after an end."""

    def __init__(self, num_envs: int = 1, mode: str = "next_step", max_episode_steps: int = 50) -> None:
        self.mode = AutoresetMode[mode.upper()]
        self.metadata = {"autoreset_mode": self.mode}
        self.num_envs = num_envs
        self.copies = [Ladder() for _ in range(num_envs)]
        self.single_observation_space = self.copies[0].observation_space
        self.single_action_space = self.copies[0].action_space
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self.obs = np.zeros((num_envs, 2), np.float32)
        self.ended = np.zeros(num_envs, bool)

    def reset(self, *, seed=None, options=None):
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        for i in np.flatnonzero(mask):
            self.obs[i], _ = self.copies[i].reset(seed=None if seed is None else seed + int(i))
        self.ended &= ~mask
        return self.obs.copy(), {}

    def step(self, actions):
        results = [self._step(i, action) for i, action in enumerate(actions)]
        self.obs = np.stack([result[0] for result in results])
        reward, terminated, truncated = (np.asarray([result[k] for result in results]) for k in (1, 2, 3))
        only_reset = self.ended if self.mode == AutoresetMode.NEXT_STEP else np.zeros_like(self.ended)
        self.ended = (terminated | truncated) & ~only_reset
        return self.obs.copy(), reward, terminated, truncated, {}

    def _step(self, i, action):
        if self.mode == AutoresetMode.NEXT_STEP and self.ended[i]:
            return self.copies[i].reset()[0], 99.0, True, False  # of a call that was no step: to be ignored
        obs, reward, terminated, truncated, _ = self.copies[i].step(action)
        if self.mode == AutoresetMode.SAME_STEP and (terminated or truncated):
            obs, _ = self.copies[i].reset()
        return obs, reward, terminated, truncated


gymnasium.register("measuring/Ladder-v0", Ladder, max_episode_steps=50)
for _mode in ("next_step", "same_step", "disabled"):
    gymnasium.register(
        f"measuring/{_mode}-v0",
        lambda mode: Ladder(),
        max_episode_steps=50,
        vector_entry_point=NativeLadder,
        kwargs={"mode": _mode},
    )

LADDER = EnvironmentSpec("ladder", "measuring/Ladder-v0", imports=("support.measuring",))
MODES = ("next_step", "same_step", "disabled")
Known = tuple[float, int, bool, bool]  # return, length, terminated, truncated


def native(mode: str) -> EnvironmentSpec:
    return EnvironmentSpec("ladder", f"measuring/{mode}-v0", imports=("support.measuring",))


def act(obs: np.ndarray) -> np.ndarray:
    """An action that depends on every part of an observation."""
    return obs.sum(-1).astype(np.int64) % 3


def act_lockstep(obs: torch.Tensor) -> torch.Tensor:
    return obs.sum(-1).long() % 3


def known_episodes(seed: int) -> Iterator[Known]:
    """The episodes of `act` in one ladder that was seeded once, counted by hand."""
    env = gymnasium.make(LADDER.id)
    obs, _ = env.reset(seed=seed)
    while True:
        value, length, over = 0.0, 0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(act(obs))
            value, length, over = value + float(reward), length + 1, terminated or truncated
        yield value, length, terminated, truncated
        obs, _ = env.reset()


def known_copy(seed: int, copy: int, number: int) -> list[Known]:
    """The first episodes of one copy of a run."""
    own = seeding.of_environment(seed, LADDER.name)
    return list(islice(known_episodes(seeding.integer(own, seeding.ENVIRONMENT, copy)), number))


def recorded_copy(trial: LocalTrial, copy: int, run: int = 0) -> list[Known]:
    episodes = [episode for episode in trial.runs[run].episodes if episode.copy == copy]
    return [(e.value, e.length, e.terminated, e.truncated) for e in episodes]


def train_single(trial: Any, config: Any = None) -> None:
    env = trial.make_env()
    trial.policy = act
    while trial.within_budget:
        (obs, _), over = env.reset(), False
        while not over:
            obs, _, terminated, truncated, _ = env.step(act(obs))
            over = terminated or truncated


def train_vector(copies: int, vectorization: str, mode: str) -> Any:
    """A training function that steps vectors as their mode wants it."""

    def train(trial: Any, config: Any = None) -> None:
        env = trial.make_vector_env(copies, vectorization, mode)
        trial.policy = act
        obs, _ = env.reset()
        while trial.within_budget:
            obs, _, terminated, truncated, _ = env.step(act(obs))
            over = terminated | truncated
            if mode == "disabled" and over.any():
                obs, _ = env.reset(options={"reset_mask": over})

    return train


def train_lockstep(copies: int) -> Any:
    def train(trial: Any, config: Any = None) -> None:
        env = trial.make_lockstep_env(copies)
        trial.policy = act_lockstep
        obs = env.reset()
        while trial.within_budget:
            obs = env.step(act_lockstep(obs)).obs

    return train


def trained(train: Any, environment: EnvironmentSpec = LADDER, **settings: Any) -> LocalTrial:
    """A finished trial."""
    trial = local_trial(environment, **settings)
    run_training(trial, train, None)
    return trial
