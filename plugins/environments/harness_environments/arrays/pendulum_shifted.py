"""Pendulum with reward (r + 8) / 8 as array functions."""

import torch

from harness_environments.arrays import pendulum

initial, observe, state_of = pendulum.initial, pendulum.observe, pendulum.state_of


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations, of which there are none, of a torque [..., 1]."""
    successor, reward, terminated = pendulum.step(state, action)
    return successor, (reward + 8) / 8, terminated
