"""Optimisation of parameters with a leading seed axis.

Seeds share no parameter, so the gradient of their losses' sum holds each seed's own; and Adam works element by
element. So every seed learns as if it were alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def adam(parameters: Sequence[Tensor], learning_rate: float) -> torch.optim.Adam:
    """Adam (Kingma & Ba, 2015) with its published β and ε, all parameters in one kernel."""
    return torch.optim.Adam(parameters, lr=learning_rate, fused=True)


def clip_gradients_(parameters: Sequence[Tensor], max_norm: float) -> Tensor:
    """Scale each seed's gradient, over all parameters, to a Euclidean norm of at most ``max_norm``, in place.

    Args:
        parameters: [S, ...] each, with gradients.
        max_norm: the limit.

    Returns:
        The norms before, [S].
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    squares = torch.stack([g.square().flatten(1).sum(1) for g in gradients])  # [parameters, S]
    norms = squares.sum(0).sqrt()
    scale = (max_norm / norms).clamp(max=1.0)  # a norm of 0 gives infinity, hence 1
    for gradient in gradients:
        gradient *= scale.view(-1, *[1] * (gradient.dim() - 1))
    return norms
