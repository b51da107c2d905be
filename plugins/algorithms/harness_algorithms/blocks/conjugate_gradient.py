"""The conjugate gradient method (Hestenes & Stiefel, 1952) for S systems of equations at once."""

from collections.abc import Callable

import torch
from torch import Tensor


def conjugate_gradient(product: Callable[[Tensor], Tensor], b: Tensor, steps: int, tolerance: float = 1e-10) -> Tensor:
    """An approximate solution x of A x = b for every seed, A positive definite; [S, P].

    A seed whose residual is small enough, or whose A turns out not to be positive definite along the direction
    searched, keeps its x. Use float64: in float32 the residuals soon lose their orthogonality, and x stops improving.

    Args:
        product: A v, [S, P], for v [S, P]; seeds are independent.
        b: [S, P].
        steps: products to take, at most; one for each unknown would give the exact solution.
        tolerance: of |b − A x|² relative to |b|², where a seed stops.
    """
    x, residual, direction = torch.zeros_like(b), b.clone(), b.clone()
    square = residual.square().sum(1, keepdim=True)  # [S, 1]
    enough = tolerance * square
    for _ in range(steps):
        image = product(direction)
        curvature = (direction * image).sum(1, keepdim=True)
        going = (square > enough) & (curvature > 0)
        length = torch.where(going, square / curvature, 0)
        x = torch.where(going, x + length * direction, x)
        residual = torch.where(going, residual - length * image, residual)
        previous, square = square, residual.square().sum(1, keepdim=True)
        direction = torch.where(going, residual + square / previous * direction, direction)
    return x
