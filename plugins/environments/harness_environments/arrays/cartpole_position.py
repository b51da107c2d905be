"""CartPole without velocities as array functions."""

import torch

from harness_environments.arrays import cartpole

initial, step, state_of = cartpole.initial, cartpole.step, cartpole.state_of


def observe(state: torch.Tensor) -> torch.Tensor:
    """Position and angle in float32, [..., 2]."""
    return state[..., ::2].float()
