"""Environments whose images have their channels last, as Gymnasium's own."""

from typing import Any

import gymnasium
import numpy as np


class ChannelsLast(gymnasium.wrappers.TransformObservation):
    """Frames [C, H, W] as [H, W, C]; with ``scale``, each pixel as that many, on a side."""

    def __init__(self, env: gymnasium.Env[Any, Any], scale: int = 1) -> None:
        def shown(frames: Any) -> Any:
            return np.moveaxis(frames.repeat(scale, 1).repeat(scale, 2), 0, 2)

        inner = env.observation_space
        assert isinstance(inner, gymnasium.spaces.Box)
        super().__init__(env, shown, gymnasium.spaces.Box(shown(inner.low), shown(inner.high), dtype=np.uint8))


class Coloured(gymnasium.ObservationWrapper):
    """Frames [1, 16, 16] as [64, 64, 3], four times as large and grey."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)

    def observation(self, observation: Any) -> Any:
        return np.repeat(observation[0].repeat(4, 0).repeat(4, 1)[..., None], 3, 2)
