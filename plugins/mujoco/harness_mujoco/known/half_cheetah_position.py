"""HalfCheetah-v5 that sees its position x (m): the first of the observations [..., 18]; torques are [..., 6]."""

import torch

from harness_mujoco.known import half_cheetah

SECONDS = 0.05  # between steps: five of the simulation
COST = 0.1  # of the squared action

termination_fn = half_cheetah.termination_fn


def reward_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """(x' − x) / 0.05 − 0.1 |a|²."""
    first, second, third, fourth, fifth, sixth = (action * action).unbind(-1)
    effort = ((first + second) + (third + fourth)) + (fifth + sixth)  # in one order, in whatever shape
    return (next_obs[..., 0] - obs[..., 0]) / SECONDS - effort * COST
