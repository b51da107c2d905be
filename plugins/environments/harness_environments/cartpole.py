"""CartPole as in M. Zhou's tutorial: −20 at the fall (8, actor-critic), or paid by how well it stands (6, DQN)."""

from typing import Any

import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv


class CartPoleFall(CartPoleEnv):
    """Gymnasium's CartPole, except that the step that fails gives −20 instead of 1."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, -20.0 if terminated else reward, terminated, truncated, info


class CartPoleShaped(CartPoleEnv):
    """Gymnasium's CartPole, except that a step is paid by the position x and the angle θ that it leads to.

    It gives (x_max − |x|) / x_max − 0.8 + (θ_max − |θ|) / θ_max − 0.5, where an episode ends beyond x_max or θ_max.
    """

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        obs, _, terminated, truncated, info = super().step(action)
        farthest, steepest = self.x_threshold, self.theta_threshold_radians
        near = (farthest - abs(self.state[0])) / farthest - 0.8
        upright = (steepest - abs(self.state[2])) / steepest - 0.5
        return obs, float(near + upright), terminated, truncated, info


# The tutorial cuts the first after 1,000 steps and the second never.
gymnasium.register("harness_environments/CartPoleFall-v0", f"{__name__}:CartPoleFall", max_episode_steps=1_000)
gymnasium.register("harness_environments/CartPoleShaped-v0", f"{__name__}:CartPoleShaped", max_episode_steps=500)
