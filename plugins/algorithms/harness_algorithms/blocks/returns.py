"""Returns and advantages of rollouts [T, ...], trailing axes free: [T, S, N] as a rule.

Row t holds what happened at step t alone, its own true successor s′ₜ included. dₜ has γ in it and is 0 where the
MDP terminated; endedₜ marks an episode's boundary of either kind, behind which row t + 1 belongs to another
episode. So terminations, time limits and the rollout's last row need no case of their own.
"""

import torch
from torch import Tensor


def discounted_returns(reward: Tensor, discount: Tensor, ended: Tensor, bootstrap: Tensor) -> Tensor:
    """Gₜ = rₜ + dₜ Gₜ₊₁, and rₜ + dₜ v(s′ₜ) where the episode or the rollout ends; [T, ...].

    Args:
        reward: r, [T, ...].
        discount: d, γ included, [T, ...].
        ended: bool, [T, ...].
        bootstrap: v(s′), [T, ...]; only what follows an end or the last row counts, and it must be finite.
    """
    cut = ended.clone()
    cut[-1] = True
    carried = discount * ~cut
    return _accumulated(_real(reward) + (discount - carried) * bootstrap, carried)


def gae(reward: Tensor, discount: Tensor, ended: Tensor, value: Tensor, next_value: Tensor, lambda_: float) -> Tensor:
    """Generalised advantages (Schulman et al., 2016, eq. 16), [T, ...].

        δₜ = rₜ + dₜ v(s′ₜ) − v(sₜ);    Âₜ = δₜ + dₜ λ (1 − endedₜ) Âₜ₊₁

    With λ = 0, Â is δ; with λ = 1, Â + v is `discounted_returns`, as v(s′ₜ) is v(sₜ₊₁) within an episode.

    Args:
        reward: r, [T, ...].
        discount: d, γ included, [T, ...].
        ended: bool, [T, ...].
        value: v(s), [T, ...].
        next_value: v(s′), [T, ...].
        lambda_: λ in [0, 1].
    """
    delta = _real(reward) + discount * next_value - value
    return _accumulated(delta, discount * lambda_ * ~ended)


def standardised(x: Tensor, dims: int | tuple[int, ...], where: Tensor | None = None) -> Tensor:
    """(x − mean) / (standard deviation + 1e−8) over some axes; exactly 0 where all numbers are the same.

    The deviation is the population's, defined for a single number too. Numbers are taken relative to the least
    one first: the mean of equal numbers is not always that number, and dividing its rounding error by its own
    deviation would make something of nothing.

    Args:
        x: any shape; integers become floats.
        dims: the axes over which the mean becomes 0 and the deviation 1.
        where: bool, shaped like ``x``: the numbers to count; the others become 0. None for all.
    """
    x = _real(x)
    used = torch.ones_like(x) if where is None else where.to(x.dtype)
    count = used.sum(dims, keepdim=True).clamp(min=1)
    least = (x if where is None else x.masked_fill(~where, torch.inf)).amin(dims, keepdim=True)
    above = torch.where(used > 0, x - least, 0)
    centred = (above - above.sum(dims, keepdim=True) / count) * used
    return centred / ((centred.square().sum(dims, keepdim=True) / count).sqrt() + 1e-8)


def _real(x: Tensor) -> Tensor:
    """Integers as floats, so that nothing added to them is truncated."""
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def _accumulated(base: Tensor, factor: Tensor) -> Tensor:
    """xₜ = baseₜ + factorₜ xₜ₊₁ from the last row, x = base, to the first; [T, ...]."""
    rows = list(base)
    for t, row_factor in reversed(list(enumerate(factor[:-1]))):
        rows[t] = torch.addcmul(rows[t], row_factor, rows[t + 1])
    return torch.stack(rows)
