"""CartPoles of M. Zhou's tutorial: −20 at the fall (8), the fall alone (12), how well it stands (6); one sees less."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv


class CartPoleFall(CartPoleEnv):
    """Gymnasium's CartPole, except that the step that fails gives −20 instead of 1."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, -20.0 if terminated else reward, terminated, truncated, info


class CartPoleFallOnly(CartPoleEnv):
    """Gymnasium's CartPole, except that the step that fails gives −11, and every other one nothing."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        obs, _, terminated, truncated, info = super().step(action)
        return obs, -11.0 if terminated else 0.0, terminated, truncated, info


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


class CartPolePosition(gymnasium.ObservationWrapper):
    """CartPole of which only the cart's position and the pole's angle are seen: velocities must be remembered."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        low, high = (bound[[0, 2]] for bound in (env.observation_space.low, env.observation_space.high))
        self.observation_space = gymnasium.spaces.Box(low, high, dtype=np.float32)

    def observation(self, observation: Any) -> Any:
        """Two of the four numbers."""
        return observation[[0, 2]]


class CartPolePixels(gymnasium.ObservationWrapper):
    """CartPole that is seen as one image, uint8 [1, 16, 16]: velocities must be remembered.

    The track's middle is between columns 7 and 8, and its ends, at 2.4 m, 5 columns from there. The cart is in rows 13
    and 14, three columns wide; the pole a line over the 12 rows above, leaning by its angle. A pixel on an edge is as
    bright as it is covered, so that position and angle are told to a fraction of a pixel.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(0, 255, (1, 16, 16), np.uint8)

    def observation(self, observation: Any) -> Any:
        """The image of the state, in the simulation's precision."""
        position, _, angle, _ = self.unwrapped.state
        cart = 7.5 + position * 5 / 2.4
        image = np.zeros((16, 16))
        columns = np.arange(16)
        for row in range(1, 13):
            image[row] = np.clip(1 - abs(columns - cart - (13 - row) * np.tan(angle)), 0, 1)
        image[13:15] = np.clip(2 - abs(columns - cart), 0, 1)
        return np.rint(255 * image).astype(np.uint8)[None]


def position_only(**kwargs: Any) -> CartPolePosition:
    """CartPole without velocities, and without a time limit."""
    return CartPolePosition(CartPoleEnv(**kwargs))


def as_pixels(**kwargs: Any) -> CartPolePixels:
    """CartPole as images, without a time limit."""
    return CartPolePixels(CartPoleEnv(**kwargs))


# The tutorial cuts the first after 1,000 steps, the second after 500, and the third never.
gymnasium.register("harness_environments/CartPoleFall-v0", f"{__name__}:CartPoleFall", max_episode_steps=1_000)
gymnasium.register("harness_environments/CartPoleFallOnly-v0", f"{__name__}:CartPoleFallOnly", max_episode_steps=500)
gymnasium.register("harness_environments/CartPoleShaped-v0", f"{__name__}:CartPoleShaped", max_episode_steps=500)
gymnasium.register("harness_environments/CartPolePosition-v0", f"{__name__}:position_only", max_episode_steps=500)
gymnasium.register("harness_environments/CartPolePixels-v0", f"{__name__}:as_pixels", max_episode_steps=500)
