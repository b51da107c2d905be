"""Pendulum as in M. Zhou's tutorial: 11 torques in 5.1 (double DQN), 25 in 5.3 (dueling DQN), continuous elsewhere.

The tutorial divides rewards by 10, or takes (r + 8) / 8 (12, PPO); how it scales them is part of the task.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control.pendulum import PendulumEnv


class DiscretePendulum(PendulumEnv):
    """Gymnasium's Pendulum, driven by one of several torques, spread evenly over [−2, 2] N m.

    Args:
        torques: how many; action k is the torque −2 + 4 k / (torques − 1).
        reward_scale: what Gymnasium's reward is multiplied by.
        render_mode: as in Gymnasium.
    """

    def __init__(self, torques: int, reward_scale: float = 1.0, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self._reward_scale = reward_scale
        self._torques = np.linspace(-self.max_torque, self.max_torque, torques, dtype=np.float32)
        self.action_space = spaces.Discrete(torques)

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Apply the torque for one step of 0.05 s."""
        obs, reward, terminated, truncated, info = super().step(self._torques[[action]])
        return obs, self._reward_scale * reward, terminated, truncated, info


class ShiftedPendulum(PendulumEnv):
    """Gymnasium's Pendulum, except that a reward r is given as (r + 8) / 8."""

    def step(self, u: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Apply a torque for one step of 0.05 s."""
        obs, reward, terminated, truncated, info = super().step(u)
        return obs, (reward + 8) / 8, terminated, truncated, info


class ScaledReward(gymnasium.RewardWrapper[Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Rewards times a constant.

    Args:
        env: to wrap.
        factor: the constant.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], factor: float) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, factor=factor)
        gymnasium.RewardWrapper.__init__(self, env)
        self._factor = factor

    def reward(self, reward: Any) -> Any:
        """The reward, scaled."""
        return self._factor * reward


for _made in (DiscretePendulum, ShiftedPendulum):
    gymnasium.register(
        f"harness_environments/{_made.__name__}-v0", f"{__name__}:{_made.__name__}", max_episode_steps=200
    )
