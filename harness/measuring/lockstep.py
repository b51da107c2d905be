"""S seeds x N copies of an environment, stepped together, as tensors."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
import torch

from harness.contract.trial import Step
from harness.measuring import seeding
from harness.measuring.environments import Env, EnvironmentError_
from harness.measuring.ledger import Ledger
from harness.measuring.meter import Meter


def array_dtype(space: gymnasium.Space[Any]) -> np.dtype[Any]:
    """The dtype of lockstep arrays of a space: float32 for reals, int64 for Discrete, bytes kept."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.dtype(np.int64)
    assert space.dtype is not None
    return np.dtype(np.float32) if space.dtype.kind == "f" else np.dtype(space.dtype)


def check_actions_from_zero(space: gymnasium.Space[Any]) -> None:
    """Refuse discrete actions that do not start at 0, where an algorithm counts from.

    Raises:
        EnvironmentError_: they do not.
    """
    if np.any(getattr(space, "start", 0)):
        raise EnvironmentError_(f"{space}: in lockstep, actions must start at 0")


def taken(meter: Meter, copies: int) -> int:
    """Take a step of each copy from the budget, or of as many as it holds; returns that number.

    Raises:
        BudgetExhausted: it holds none.
    """
    held = min(copies, meter.left) or copies
    meter.take(held)
    return held


def ledger_of(meter: Meter, returns: Any, copies: int, first: int) -> Ledger:
    """A ledger of ``copies`` copies of each run, run after run, the first of which has the index ``first``."""
    return Ledger(
        returns, len(returns), lambda row, *episode: meter.ended(row // copies, first + row % copies, *episode)
    )


class EnvLockstep:
    """Implements `harness.contract.trial.LockstepEnv` over Gymnasium environments, one per seed and copy.

    Args:
        make: makes a fresh environment.
        meter: of the trial.
        seeds: the runs' seeds.
        copies: N.
        device: where tensors are put.
        first: index of the first copy within each run; the others follow.

    Raises:
        EnvironmentError_: its discrete actions do not start at 0, where an algorithm counts from.
    """

    def __init__(
        self,
        make: Callable[[], Env],
        meter: Meter,
        seeds: Sequence[int],
        copies: int,
        device: torch.device,
        first: int = 0,
    ) -> None:
        self.num_seeds = len(seeds)
        self.copies = copies
        self._meter = meter
        self._device = device
        self._envs = [make() for _ in range(self.num_seeds * copies)]  # seed-major
        self._seeds: list[int | None] = [
            seeding.integer(s, seeding.ENVIRONMENT, first + n) for s in seeds for n in range(copies)
        ]
        self.single_observation_space = self._envs[0].observation_space
        self.single_action_space = self._envs[0].action_space
        check_actions_from_zero(self.single_action_space)
        self._obs_dtype = array_dtype(self.single_observation_space)
        self._ledger = ledger_of(meter, np.zeros(len(self._envs)), copies, first)

    def reset(self) -> torch.Tensor:
        """Start the first episode of every copy; returns obs [S, N, ...]."""
        began = perf_counter()
        obs = [env.reset(seed=seed)[0] for env, seed in zip(self._envs, self._seeds, strict=True)]
        self._seeds = [None] * len(self._envs)  # because seeding again would repeat the first episodes
        self._bill(began)
        return self._tensor(np.asarray(obs, self._obs_dtype))

    def step(self, action: torch.Tensor) -> Step:
        """Take one step in every copy with action [S, N, ...].

        Raises:
            BudgetExhausted: the budget does not hold a step of every copy. Copies that it holds were stepped.
        """
        copies = taken(self._meter, self.copies)
        chosen = action.cpu().numpy()  # waits for the device: learning's time, not the environment's
        began = perf_counter()
        reward, discount, ended, next_obs, obs, finished = self._step_copies(chosen, copies)
        self._bill(began)
        for i, value, terminated, truncated in finished:
            self._ledger.end(i, value, terminated, truncated)
            self._ledger.returns[i] = 0.0
        self._meter.settle()
        if copies < self.copies:
            raise self._meter.stop()
        shape = (self.num_seeds, self.copies)
        flags = np.asarray((reward, discount, ended), np.float32).reshape(3, *shape)
        flags_on_device = torch.from_numpy(flags).to(self._device)
        successor = self._tensor(np.asarray(next_obs, self._obs_dtype))
        current = successor if not finished else self._tensor(np.asarray(obs, self._obs_dtype))
        return Step(successor, flags_on_device[0], flags_on_device[1], flags_on_device[2] > 0, current)

    def _step_copies(self, action: Any, copies: int) -> tuple[list[Any], ...]:
        """Step the first ``copies`` copies of every seed and reset those whose episode ended."""
        flat = action.reshape(self.num_seeds * self.copies, *action.shape[2:])
        rewards = [0.0] * len(self._envs)
        discount: list[float] = []
        ended: list[bool] = []
        next_obs: list[Any] = []
        obs: list[Any] = []
        over: list[tuple[int, bool, bool]] = []
        for i, env in enumerate(self._envs):
            if i % self.copies >= copies:
                continue
            successor, gain, terminated, truncated, _ = env.step(flat[i])
            rewards[i] = float(gain)
            ends = terminated or truncated
            discount.append(0.0 if terminated else 1.0)
            ended.append(ends)
            next_obs.append(np.array(successor) if ends else successor)  # because reset may reuse the array
            if ends:
                over.append((i, terminated, truncated))
                successor, _ = env.reset()
            obs.append(successor)
        self._ledger.step(rewards)
        finished = [(i, float(self._ledger.returns[i]), *ends) for i, *ends in over]
        return rewards, discount, ended, next_obs, obs, finished

    def _bill(self, began: float) -> None:
        self._meter.clock.environment += perf_counter() - began

    def _tensor(self, rows: np.ndarray[Any, Any]) -> torch.Tensor:
        shaped = rows.reshape(self.num_seeds, self.copies, *rows.shape[1:])
        return torch.from_numpy(shaped).to(self._device)

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()
