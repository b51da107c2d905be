"""MountainCar as in M. Zhou's tutorial: 10 at the flag (5.2, prioritized replay), or paid by distance (6, DQN)."""

from typing import Any

import gymnasium
from gymnasium.envs.classic_control.mountain_car import MountainCarEnv


class MountainCarPlus10(MountainCarEnv):
    """Gymnasium's MountainCar, except that the step that reaches the flag gives 10 instead of −1."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, 10.0 if terminated else reward, terminated, truncated, info


class MountainCarDistance(MountainCarEnv):
    """Gymnasium's MountainCar, except that a step gives |x + 0.5| of the position x that it leads to."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        obs, _, terminated, truncated, info = super().step(action)
        return obs, float(abs(self.state[0] + 0.5)), terminated, truncated, info


# The tutorial sets no limit, which lets a policy that never finishes run for ever. MountainCar-v0 stops after 200
# steps, and a random policy never sees the +10.
for _made in (MountainCarPlus10, MountainCarDistance):
    gymnasium.register(
        f"harness_environments/{_made.__name__}-v0", f"{__name__}:{_made.__name__}", max_episode_steps=10_000
    )
