"""Optimisation of parameters with a leading seed axis.

Seeds share no parameter, so the gradient of their losses' sum holds each seed's own; and Adam and RMSProp work element
by element. So every seed learns as if it were alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def adam(parameters: Sequence[Tensor], learning_rate: float, epsilon: float = 1e-8) -> torch.optim.Adam:
    """Adam (Kingma & Ba, 2015) with its published β, all parameters in one kernel; ε stands outside the root."""
    return torch.optim.Adam(parameters, lr=learning_rate, eps=epsilon, fused=True)


def rmsprop(
    parameters: Sequence[Tensor], learning_rate: float, decay: float = 0.99, epsilon: float = 1e-8
) -> torch.optim.RMSprop:
    """RMSProp (Tieleman & Hinton, 2012) in torch's flavour: g / (√m + ε), with m the average of g², 0 at the start.

    TensorFlow's flavour, for which many published rates were tuned, is g / √(m + ε) with m = 1 at the start.
    """
    return torch.optim.RMSprop(parameters, lr=learning_rate, alpha=decay, eps=epsilon, foreach=False)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Use ``learning_rate`` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, max_gradient_norm: float | None = None) -> Tensor | None:
    """One step down the gradient of a loss; returns each seed's gradient norm, [S], where it is limited.

    Args:
        optimizer: of parameters [S, ...].
        loss: [S], a loss per seed; or their sum, [].
        max_gradient_norm: limit of each seed's gradient; None for no limit.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.grad = None
    loss.sum().backward()
    norms = None if max_gradient_norm is None else clip_gradients_(parameters, max_gradient_norm)
    optimizer.step()
    return norms


@torch.no_grad()
def clip_gradients_(parameters: Sequence[Tensor], max_norm: float) -> Tensor:
    """Scale each seed's gradient, over all parameters, to a Euclidean norm of at most ``max_norm``, in place.

    Args:
        parameters: [S, ...] each, with gradients.
        max_norm: the limit.

    Returns:
        The norms before, [S].
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
    norms = torch.linalg.vector_norm(norms, dim=0)
    scale = (max_norm / norms).clamp(max=1.0)  # a norm of 0 gives infinity, hence 1
    for gradient in gradients:
        gradient *= scale.view(-1, *[1] * (gradient.dim() - 1))
    return norms
