"""Losses, elementwise: the caller says over what they are averaged."""

import torch
from torch import Tensor


def huber(error: Tensor) -> Tensor:
    """e² / 2 where |e| ≤ 1, else |e| − 1/2: a squared error whose gradient is clipped to [−1, 1]."""
    return torch.nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none")


def huber_gradient(error: Tensor) -> Tensor:
    """The derivative of `huber`: e, clipped to [−1, 1]."""
    return error.clamp(-1, 1)


def quantile_huber(error: Tensor, quantiles: Tensor, threshold: float = 1.0) -> Tensor:
    """|τ − 1{e < 0}| L(e), L(e) = e² / 2 where |e| ≤ κ, else κ (|e| − κ/2) (Dabney et al., 2018, eq. 10).

    Its minimum over a prediction is a smoothed τ-quantile of the targets. The loss of QR-DQN is its mean over
    the last axis, summed over the one before.

    Args:
        error: target j less prediction i, [..., i, j].
        quantiles: τ of every prediction, in (0, 1), [i].
        threshold: κ > 0.
    """
    loss = torch.nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none", delta=threshold)
    return (quantiles.unsqueeze(-1) - (error < 0).to(error.dtype)).abs() * loss
