"""S seeds x N copies of an environment, stepped together, as tensors."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
import torch

from harness.contract.trial import ContractBroken, Step
from harness.measuring import seeding
from harness.measuring.environments import EnvFactory, EnvironmentError_, reward_of
from harness.measuring.ledger import Ledger
from harness.measuring.meter import Meter
from harness.measuring.unmetered import WATCH


def array_dtype(space: gymnasium.Space[Any]) -> np.dtype[Any]:
    """The dtype of lockstep arrays of a space: float32 for reals, int64 for Discrete, bytes kept."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.dtype(np.int64)
    assert space.dtype is not None
    return np.dtype(np.float32) if space.dtype.kind == "f" else np.dtype(space.dtype)


def check_actions_from_zero(space: gymnasium.Space[Any]) -> None:
    """Refuse discrete actions that do not start at 0, where an algorithm counts from."""
    if np.any(getattr(space, "start", 0)):
        raise EnvironmentError_(f"{space}: in lockstep, actions must start at 0")


class Lockstep:
    """What steps S seeds x N copies together: they share a meter, and a ledger of the episodes that all are in.

    ``returns`` are zeros [S * N], seed-major; ``first`` is the index of the first copy within each run.
    """

    def __init__(self, meter: Meter, num_seeds: int, copies: int, first: int, returns: Any) -> None:
        self.num_seeds = num_seeds
        self.copies = copies
        self._meter = meter
        self._started = False
        self._ledger = Ledger(
            returns, len(returns), lambda row, *episode: meter.ended(row // copies, first + row % copies, *episode)
        )

    def _start(self) -> float:
        """The time, unless this is a second ``reset``, which would begin episodes amid those under way."""
        if self._started:
            raise ContractBroken("reset() is called once: in step, whatever has ended begins anew by itself")
        self._started = True
        return self._now()

    def _now(self) -> float:
        """The time, once the device has finished: to wait for it is learning's time, not the environment's."""
        self._meter.clock.synchronize()
        return perf_counter()

    def _take(self) -> int:
        """Take a step of each copy from the budget, or of as many as it holds; returns that number."""
        held = min(self.copies, self._meter.left) or self.copies
        self._meter.take(held)
        return held

    def _bill(self, began: float) -> None:
        self._meter.clock.environment += perf_counter() - began

    def _report(self, over: list[int], at_limit: list[int], terminated: torch.Tensor, copies: int) -> None:
        """Report the episodes that end now, in the order of copies, of those copies that the budget held."""
        returns, flags = self._ledger.returns.tolist(), terminated.reshape(-1).tolist()
        for i in over:
            if i % self.copies < copies:
                self._ledger.end(i, returns[i], flags[i], i in at_limit)
            self._ledger.began[i] = self._ledger.time

    def _settle(self, stepped: int) -> None:
        """Let a due evaluation happen; then end training if the budget did not hold a step of every copy."""
        self._meter.settle()
        if stepped < self.copies:
            raise self._meter.stop()


class EnvLockstep(Lockstep):
    """Implements `harness.contract.trial.LockstepEnv` over Gymnasium environments, one per seed and copy."""

    def __init__(
        self, make: EnvFactory, meter: Meter, seeds: Sequence[int], copies: int, device: torch.device, first: int = 0
    ) -> None:
        super().__init__(meter, len(seeds), copies, first, np.zeros(len(seeds) * copies))
        self._device = device
        self._envs = [make() for _ in range(len(seeds) * copies)]  # seed-major
        self._seeds = [seeding.integer(s, seeding.ENVIRONMENT, first + n) for s in seeds for n in range(copies)]
        self.single_observation_space = self._envs[0].observation_space
        self.single_action_space = self._envs[0].action_space
        check_actions_from_zero(self.single_action_space)
        self._obs_dtype = array_dtype(self.single_observation_space)

    def reset(self) -> torch.Tensor:
        """Start the first episode of every copy; returns obs [S, N, ...]."""
        began = self._start()
        with WATCH:
            obs = [env.reset(seed=seed)[0] for env, seed in zip(self._envs, self._seeds, strict=True)]
        self._bill(began)
        return self._tensor(obs)

    def step(self, action: torch.Tensor) -> Step:
        """Take one step in every copy with action [S, N, ...]; `BudgetExhausted` after those that the budget holds."""
        copies = self._take()
        chosen = action.cpu().numpy()
        began = self._now()
        with WATCH:
            reward, discount, ended, next_obs, obs, finished = self._step_copies(chosen, copies)
        self._bill(began)
        for i, value, terminated, truncated in finished:
            self._ledger.end(i, value, terminated, truncated)
            self._ledger.returns[i] = 0.0
        self._settle(copies)
        flags = np.asarray((reward, discount, ended), np.float32).reshape(3, self.num_seeds, self.copies)
        flags_on_device = torch.from_numpy(flags).to(self._device)
        successor = self._tensor(next_obs)
        current = successor if not finished else self._tensor(obs)
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
            rewards[i] = reward_of(gain)
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

    def _tensor(self, observations: list[Any]) -> torch.Tensor:
        rows = np.asarray(observations, self._obs_dtype)
        return torch.from_numpy(rows.reshape(self.num_seeds, self.copies, *rows.shape[1:])).to(self._device)

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()
