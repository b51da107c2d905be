"""Losses, elementwise: the caller says over what they are averaged."""

import torch
from torch import Tensor


def huber(error: Tensor, threshold: float | None = 1.0) -> Tensor:
    """e² / 2 where |e| ≤ κ, else κ (|e| − κ/2): a squared error whose gradient is clipped to [−κ, κ].

    Args:
        error: e, any shape.
        threshold: κ > 0; None for no limit, which is half the squared error.
    """
    if threshold is None:
        return error.square() / 2
    return torch.nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none", delta=threshold)


def huber_gradient(error: Tensor, threshold: float | None = 1.0) -> Tensor:
    """The derivative of `huber`: e, clipped to [−κ, κ] if there is such a limit."""
    return error if threshold is None else error.clamp(-threshold, threshold)


def quantile_huber(error: Tensor, quantiles: Tensor, threshold: float = 1.0) -> Tensor:
    """|τ − 1{e < 0}| L(e), L(e) = e² / 2 where |e| ≤ κ, else κ (|e| − κ/2) (Dabney et al., 2018, eq. 10).

    Its minimum over a prediction is a smoothed τ-quantile of the targets. The loss of QR-DQN is its mean over
    the last axis, summed over the one before.

    Args:
        error: target j less prediction i, [..., i, j].
        quantiles: τ of every prediction, in (0, 1), [i].
        threshold: κ > 0.
    """
    return (quantiles.unsqueeze(-1) - (error < 0).to(error.dtype)).abs() * huber(error, threshold)
