"""HalfCheetah-v5, observations [..., 17]: no end. They hide the position by which it is paid, so there is no reward."""

import torch


def termination_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """Never."""
    return torch.zeros_like(obs[..., 0], dtype=torch.bool)
