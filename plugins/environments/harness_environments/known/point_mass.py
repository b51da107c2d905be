"""What may be known of the point mass: observations [..., 4] are position and velocity, a push is [..., 2]."""

import torch

from harness_environments.arrays import point_mass


def reward_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """−(|p|² + |a|²) of the position reached and the push after clipping."""
    return point_mass.paid(next_obs[..., :2], action.clamp(-point_mass.STRONGEST, point_mass.STRONGEST))


def termination_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """Never."""
    return torch.zeros_like(obs[..., 0], dtype=torch.bool)


def dynamics_fn(obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """The next observation."""
    return point_mass.step(obs, action)[0]


def initial_fn(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Observations [*shape, 4] of initial states."""
    return point_mass.observe(point_mass.initial(generator, shape))
