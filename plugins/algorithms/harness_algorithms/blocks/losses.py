"""Losses, elementwise: the caller says over what they are averaged."""

import torch
from torch import Tensor


def huber(error: Tensor) -> Tensor:
    """e² / 2 where |e| ≤ 1, else |e| − 1/2: a squared error whose gradient is clipped to [−1, 1]."""
    return torch.nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none")


def huber_gradient(error: Tensor) -> Tensor:
    """The derivative of `huber`: e, clipped to [−1, 1]."""
    return error.clamp(-1, 1)
