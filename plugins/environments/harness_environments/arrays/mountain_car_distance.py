"""MountainCar with reward |x + 0.5| as array functions."""

import torch

from harness_environments.arrays import mountain_car

initial, observe, state_of = mountain_car.initial, mountain_car.observe, mountain_car.state_of


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations of an action: 0 pushes left, 1 rolls, 2 pushes right."""
    successor, _, terminated = mountain_car.step(state, action)
    return successor, (successor[..., 0] + 0.5).abs(), terminated
