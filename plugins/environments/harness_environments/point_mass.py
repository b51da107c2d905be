"""A point that is pushed over a plane to the origin: small, smooth, and its optimum known exactly."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SECONDS = 0.1  # between steps
STRONGEST = 1.0  # acceleration along either axis, m/s²; more is cut off
FARTHEST = 1.0  # m from the origin along either axis, of an initial position

State = np.ndarray[Any, np.dtype[np.float64]]


class PointMass(gymnasium.Env[np.ndarray[Any, Any], np.ndarray[Any, Any]]):
    """A point of mass 1 kg on a plane, pushed by a force of up to 1 N along each axis; it starts anywhere, at rest.

    Observation: position (m) and velocity (m/s), float32 [4]. One step of 0.1 s is v ← v + 0.1 a, p ← p + 0.1 v, with
    the action a clipped to ±1. Reward: −(|p|² + |a|²), of the position reached and the force after clipping.
    No end but the time limit of 100 steps.

    Known: with a cost so dear, a clipped force is never wanted from an initial position, so that the optimum is the
    linear-quadratic regulator's; its mean return over initial positions is −8.7732.
    """

    def __init__(self) -> None:
        reached = np.array([52, 52, 10, 10], np.float32)  # no farther, and no faster, within 100 steps
        self.observation_space = spaces.Box(-reached, reached)
        self.action_space = spaces.Box(-STRONGEST, STRONGEST, (2,), np.float32)
        self.state: State = np.zeros(4)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Put the point anywhere in the square around the origin, at rest."""
        super().reset(seed=seed)
        self.state = np.concatenate([self.np_random.uniform(-FARTHEST, FARTHEST, 2), np.zeros(2)])
        return self.state.astype(np.float32), {}

    def step(self, action: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], float, bool, bool, dict[str, Any]]:
        """Push for one step."""
        push = np.clip(np.asarray(action, np.float64), -STRONGEST, STRONGEST)
        velocity = self.state[2:] + push * SECONDS
        position = self.state[:2] + velocity * SECONDS
        self.state = np.concatenate([position, velocity])
        return self.state.astype(np.float32), -float(position @ position + push @ push), False, False, {}


gymnasium.register("harness_environments/PointMass-v0", f"{__name__}:PointMass", max_episode_steps=100)
