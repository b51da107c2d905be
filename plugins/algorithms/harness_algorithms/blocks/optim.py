"""Optimisation of parameters with a leading seed axis.

Seeds share no parameter, so the gradient of their losses' sum holds each seed's own; and Adam and RMSProp work element
by element. So every seed learns as if it were alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, compress

import torch
from torch import Tensor


class Adam(torch.optim.Optimizer):
    """Adam (Kingma & Ba, 2015) with its published β; ε stands outside the root.

    The kernel is torch's, and is given every seed's row apart: the last few numbers of what it is given are rounded
    otherwise than the rest, and would be those of the last seed only.
    """

    def __init__(self, parameters: Sequence[Tensor], learning_rate: float, epsilon: float) -> None:
        super().__init__(parameters, {"lr": learning_rate, "eps": epsilon})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step down the gradients there are."""
        for group in self.param_groups:
            learning = [p for p in group["params"] if p.grad is not None]
            columns = zip(*(self.rows(p) for p in learning), strict=True)
            rows, first, second, steps = (list(chain.from_iterable(column)) for column in columns)
            slopes = [row for p in learning for row in p.grad.contiguous().unbind()]
            torch._foreach_add_(steps, 1)
            how = {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "maximize": False}
            torch._fused_adam_(rows, slopes, first, second, [], steps, lr=group["lr"], eps=group["eps"], **how)

    def rows(self, parameter: Tensor) -> tuple[Sequence[Tensor], ...]:
        """The rows of a parameter, of both moments of its gradient, and a count of steps for each; all as views."""
        state = self.state[parameter]
        if not state:
            values = parameter.detach()
            moments = (torch.zeros_like(values).unbind() for _ in range(2))
            state["rows"] = values.unbind(), *moments, values.new_zeros(len(values)).unbind()
        return state["rows"]


def adam(parameters: Sequence[Tensor], learning_rate: float, epsilon: float = 1e-8) -> Adam:
    """Adam of parameters [S, ...]."""
    return Adam(parameters, learning_rate, epsilon)


def selected(optimizer: Adam, parameters: Sequence[Tensor], which: Tensor) -> tuple[list[Tensor], Adam]:
    """Copies of the parameters in rows where ``which``, bool [S], and an optimiser that goes on there as this would."""
    (group,) = optimizer.param_groups
    kept = [parameter.detach()[which].requires_grad_() for parameter in parameters]
    other = Adam(kept, group["lr"], group["eps"])
    for old, new in zip(parameters, kept, strict=True):
        for theirs, ours in zip(optimizer.rows(old), other.rows(new), strict=True):
            for row, copy in zip(compress(theirs, which.tolist()), ours, strict=True):
                copy.copy_(row)
    return kept, other


@contextmanager
def resting(optimizer: Adam, parameters: Sequence[Tensor], rest: Tensor) -> Iterator[None]:
    """Leave parameters and the moments of their gradients as they are, in seeds where ``rest`` [S] says so."""
    columns = (rows for parameter in parameters for rows in optimizer.rows(parameter))
    seeds = rest.tolist()
    kept = [(row, row.clone()) for rows in columns for row in compress(rows, seeds)]
    yield
    for row, before in kept:
        row.copy_(before)


def rmsprop(
    parameters: Sequence[Tensor], learning_rate: float, decay: float = 0.99, epsilon: float = 1e-8
) -> torch.optim.RMSprop:
    """RMSProp (Tieleman & Hinton, 2012) in torch's flavour: g / (√m + ε), with m the average of g², 0 at the start.

    TensorFlow's flavour, for which many published rates were tuned, is g / √(m + ε) with m = 1 at the start.
    """
    return torch.optim.RMSprop(parameters, lr=learning_rate, alpha=decay, eps=epsilon, foreach=False)


@torch.no_grad()
def adagrad_(parameters: Tensor, squares: Tensor, gradient: Tensor, learning_rate: float) -> None:
    """One step of AdaGrad (Duchi et al., 2011), in place: θ ← θ − η g / (√Σ g² + ε), ε = 1e−10.

    Where the gradient is 0, nothing changes. Every number is a function of its own gradients: operations that would be
    rounded otherwise at the end of a tensor than in its middle are left out.

    Args:
        parameters: θ, any shape.
        squares: Σ g², the same shape; 0 before the first step.
        gradient: g, the same shape.
        learning_rate: η.
    """
    squares += gradient.square()
    parameters -= gradient.div(squares.sqrt().add_(1e-10)).mul_(learning_rate)


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
    return clip_([p.grad for p in parameters if p.grad is not None], max_norm)


def clip_(gradients: Sequence[Tensor], max_norm: float) -> Tensor:
    """Likewise, of gradients [S, ...] that no parameter holds."""
    norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients], 1)
    norms = torch.linalg.vector_norm(norms, dim=1)
    scale = (max_norm / norms).clamp(max=1.0)  # a norm of 0 gives infinity, hence 1
    for gradient in gradients:
        gradient *= scale.view(-1, *[1] * (gradient.dim() - 1))
    return norms
