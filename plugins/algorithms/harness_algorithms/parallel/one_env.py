"""What a backend needs whose roles run in processes of their own: one run, as tensors with an axis of one seed."""

from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from harness.api import Step
from harness_algorithms.parallel.operations import Evaluated


def streams_of(seed: int, tag: str) -> list[torch.Generator]:
    """The generator of a tag, in a list of one seed."""
    high, low = np.random.SeedSequence([seed, *tag.encode()]).generate_state(2)
    return [torch.Generator().manual_seed(int(high) << 31 | int(low) >> 1)]


def acted(policy: Evaluated, obs: Any) -> Any:
    """Actions [B, ...] of the only run, for arrays [B, ...]."""
    return policy.act(torch.as_tensor(obs).unsqueeze(0))[0].cpu().numpy()


class OneEnv:
    """One metered environment as tensors [1, 1, ...], with steps as in lockstep."""

    def __init__(self, env: "gymnasium.Env[Any, Any]") -> None:
        self._env = env
        self._discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)

    def reset(self) -> Tensor:
        """The first observation."""
        return self._tensor(self._env.reset()[0])

    def step(self, action: Tensor) -> Step:
        """Take one step; an episode that ends begins anew."""
        chosen = int(action) if self._discrete else action[0, 0].numpy()
        obs, reward, terminated, truncated, _ = self._env.step(chosen)
        next_obs = self._tensor(obs)
        ends = terminated or truncated
        current = self._tensor(self._env.reset()[0]) if ends else next_obs
        shape = (1, 1)
        return Step(
            next_obs,
            torch.full(shape, float(reward)),
            torch.full(shape, 0.0 if terminated else 1.0),
            torch.full(shape, bool(ends)),
            current,
        )

    def close(self) -> None:
        """Close it."""
        self._env.close()

    def _tensor(self, obs: Any) -> Tensor:
        rows = np.array(obs)
        return torch.from_numpy(rows.astype(np.float32) if rows.dtype.kind == "f" else rows)[None, None]
