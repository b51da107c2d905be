"""CartPole paid for the fall alone as array functions."""

import torch

from harness_environments.arrays import cartpole

initial, observe, state_of = cartpole.initial, cartpole.observe, cartpole.state_of


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations of an action, 0 left or 1 right."""
    successor, reward, terminated = cartpole.step(state, action)
    return successor, torch.zeros_like(reward).masked_fill(terminated, -11.0), terminated
