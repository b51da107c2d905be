"""What may be known of CartPole-v1: observations [..., 4] are the state, actions 0 and 1, int64 [...]."""

import torch

from harness_environments.arrays import cartpole


def reward_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """1, also for the step that fails."""
    return torch.ones_like(obs[..., 0])


def termination_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """Whether the cart is more than 2.4 m from the middle, or the pole more than 12° from upright."""
    return (next_obs[..., 0].abs() > cartpole.FARTHEST) | (next_obs[..., 2].abs() > cartpole.STEEPEST)


def dynamics_fn(obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """The next observation."""
    return cartpole.step(obs, action)[0]


def initial_fn(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Observations [*shape, 4] of initial states."""
    return cartpole.observe(cartpole.initial(generator, shape))
