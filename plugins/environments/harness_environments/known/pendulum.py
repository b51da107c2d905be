"""What may be known of Pendulum-v1: observations [..., 3] are cosine, sine, angular velocity; a torque is [..., 1]."""

import torch

from harness_environments.arrays import pendulum
from harness_environments.arrays.pendulum import FASTEST, GRAVITY, LENGTH, MASS, SECONDS, STRONGEST


def reward_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """−(θ² + 0.1 θ̇² + 0.001 u²) of the state acted in, θ the angle from upright and u the torque after clipping."""
    angle, spin = _angle(obs), obs[..., 2]
    torque = _torque(action)
    return -(angle * angle + spin * spin * 0.1 + torque * torque * 0.001)


def termination_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """Never."""
    return torch.zeros_like(obs[..., 0], dtype=torch.bool)


def dynamics_fn(obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """The next observation."""
    sine, spin = obs[..., 1], obs[..., 2]
    change = sine * (1.5 * GRAVITY / LENGTH) + _torque(action) * (3 / (MASS * LENGTH**2))
    spin = (spin + change * SECONDS).clamp(-FASTEST, FASTEST)
    angle = _angle(obs) + spin * SECONDS
    return torch.stack((angle.cos(), angle.sin(), spin), -1)


def initial_fn(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Observations [*shape, 3] of initial states."""
    return pendulum.observe(pendulum.initial(generator, shape))


def _angle(obs: torch.Tensor) -> torch.Tensor:
    """Angle from upright, in [−π, π]; also where a model's cosine and sine are not of length 1."""
    return torch.atan2(obs[..., 1], obs[..., 0])


def _torque(action: torch.Tensor) -> torch.Tensor:
    return action.squeeze(-1).clamp(-STRONGEST, STRONGEST)
