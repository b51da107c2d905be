"""CartPole paid by how well it stands as array functions."""

import torch

from harness_environments.arrays import cartpole

initial, observe, state_of = cartpole.initial, cartpole.observe, cartpole.state_of


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations of an action, 0 left or 1 right."""
    successor, _, terminated = cartpole.step(state, action)
    position, _, angle, _ = successor.unbind(-1)
    near = (cartpole.FARTHEST - position.abs()) / cartpole.FARTHEST - 0.8
    upright = (cartpole.STEEPEST - angle.abs()) / cartpole.STEEPEST - 0.5
    return successor, near + upright, terminated
