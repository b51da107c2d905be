"""What may be known of MountainCarContinuous-v0: observations [..., 2] are the state, a force is [..., 1]."""

import torch

from harness_environments.arrays import mountain_car_continuous
from harness_environments.arrays.mountain_car_continuous import COST, FLAG, PRIZE


def reward_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """100 at the flag, less a tenth of the squared action, which is not clipped for it."""
    force = action.squeeze(-1)
    return termination_fn(obs, action, next_obs) * PRIZE - force * force * COST


def termination_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """Whether the car has come to the flag, and does not roll back."""
    position, velocity = next_obs.unbind(-1)
    return (position >= FLAG) & (velocity >= 0)


def dynamics_fn(obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """The next observation."""
    return mountain_car_continuous.step(obs, action)[0]


def initial_fn(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Observations [*shape, 2] of initial states."""
    return mountain_car_continuous.initial(generator, shape)
