"""MountainCar with a reward of +10 at the flag (M. Zhou's tutorial, 5.2, prioritized replay)."""

from typing import Any

import gymnasium
from gymnasium.envs.classic_control.mountain_car import MountainCarEnv


class MountainCarPlus10(MountainCarEnv):
    """Gymnasium's MountainCar, except that the step that reaches the flag gives 10 instead of −1."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, 10.0 if terminated else reward, terminated, truncated, info


# The tutorial sets no limit, which lets a policy that never finishes run for ever. MountainCar-v0 stops after 200
# steps, and a random policy never sees the +10.
gymnasium.register(
    "harness_environments/MountainCarPlus10-v0", f"{__name__}:MountainCarPlus10", max_episode_steps=10_000
)
