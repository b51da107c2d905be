"""A state value as a linear function of features of observation and time (Duan et al., 2016, arXiv:1604.06778).

It is the baseline of rllab, `LinearFeatureBaseline`: fitted anew to every set of trajectories, in closed form.
"""

import torch
from torch import Tensor

from harness_algorithms.blocks.networks import product
from harness_algorithms.blocks.returns import discounted_returns, gae

FARTHEST = 10.0  # observations are clipped here
REGULARISATION = 1e-5  # added to the diagonal of the normal equations


def features(obs: Tensor) -> Tensor:
    """s, s², t, t², t³ and 1, t in hundreds of steps; float64 [..., H, 2 D + 4].

    Args:
        obs: s of steps 0 to H − 1, [..., H, D].
    """
    near = obs.double().clamp(-FARTHEST, FARTHEST)
    time = torch.arange(obs.shape[-2], device=obs.device, dtype=near.dtype) / 100
    of_time = torch.stack((time, time.square(), time.square() * time, torch.ones_like(time)), -1)
    return torch.cat((near, near.square(), of_time.expand(*obs.shape[:-1], 4)), -1)


def linear_values(obs: Tensor, returns: Tensor, counted: Tensor) -> Tensor:
    """Values of all steps by the function that fits the returns best, one function per row; float64 [R, B, H].

    Args:
        obs: s, [R, B, H, D].
        returns: what followed, [R, B, H].
        counted: bool, [R, B, H]: the steps to fit.
    """
    seen = features(obs).flatten(1, 2)  # [R, B · H, F]
    used = seen * counted.flatten(1).unsqueeze(2)
    square = product(used.mT, used) + REGULARISATION * torch.eye(seen.shape[2], device=obs.device, dtype=seen.dtype)
    factor, _ = torch.linalg.cholesky_ex(square)
    weights = torch.cholesky_solve(product(used.mT, returns.double().flatten(1).unsqueeze(2)), factor)
    return product(seen, weights).view_as(returns)


def episodic_advantages(
    obs: Tensor, reward: Tensor, discount: Tensor, counted: Tensor, lambda_: float
) -> tuple[Tensor, Tensor]:
    """Advantages over the baseline, and the returns it is fitted to; float64 [R, B, H] each. Returns end with step H.

    Args:
        obs: s, [R, B, H, D].
        reward: r, [R, B, H].
        discount: γ, and 0 where the MDP terminated, [R, B, H].
        counted: bool, [R, B, H]: the steps up to a termination.
        lambda_: λ, of generalised advantages; with 1, they are returns less values.
    """
    reward, discount = (x.double().movedim(2, 0) for x in (reward, discount))  # time is the first axis
    never, nothing = torch.zeros_like(reward, dtype=torch.bool), torch.zeros_like(reward)
    returns = discounted_returns(reward, discount, never, nothing).movedim(0, 2).contiguous()
    value = linear_values(obs, returns, counted).movedim(2, 0)
    next_value = torch.cat((value[1:], nothing[:1]))
    return gae(reward, discount, never, value, next_value, lambda_).movedim(0, 2).contiguous(), returns
