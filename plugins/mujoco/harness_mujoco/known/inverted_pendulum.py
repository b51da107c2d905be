"""InvertedPendulum-v5: observations [..., 4] are position, angle of the pole (rad), and their velocities."""

import torch

STEEPEST = 0.2  # rad from upright


def reward_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """1, but 0 for the step that fails."""
    return 1 - termination_fn(obs, action, next_obs).to(obs.dtype)


def termination_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """Whether the pole is more than 0.2 rad from upright, or any number not finite."""
    return (next_obs[..., 1].abs() > STEEPEST) | ~next_obs.isfinite().all(-1)
