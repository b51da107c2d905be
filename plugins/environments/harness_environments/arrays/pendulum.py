"""Pendulum-v1 as array functions (Gymnasium 1.4).

A state is float64 [..., 2]: angle from upright (rad, not wrapped) and angular velocity (rad/s).
"""

import math

import gymnasium
import torch

GRAVITY, MASS, LENGTH = 10.0, 1.0, 1.0
SECONDS = 0.05  # between steps
STRONGEST = 2.0  # torque either way; more is cut off
FASTEST = 8.0  # rad/s
INITIAL = (math.pi, 1.0)  # largest absolute values of an initial state


def initial(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Initial states [*shape, 2]."""
    uniform = torch.rand((*shape, 2), generator=generator, device=generator.device, dtype=torch.float64)
    angle, spin = (2 * uniform - 1).unbind(-1)
    return torch.stack((angle * INITIAL[0], spin * INITIAL[1]), -1)


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations, of which there are none, of a torque [..., 1]."""
    angle, spin = state.unbind(-1)
    torque = action.squeeze(-1).double().clamp(-STRONGEST, STRONGEST)
    wrapped = (angle + math.pi).remainder(2 * math.pi) - math.pi
    cost = wrapped * wrapped + spin * spin * 0.1 + torque * torque * 0.001
    change = angle.sin() * (1.5 * GRAVITY / LENGTH) + torque * (3 / (MASS * LENGTH**2))
    spin = (spin + change * SECONDS).clamp(-FASTEST, FASTEST)
    successor = torch.stack((angle + spin * SECONDS, spin), -1)
    return successor, -cost, torch.zeros_like(cost, dtype=torch.bool)


def observe(state: torch.Tensor) -> torch.Tensor:
    """Cosine and sine of the angle, angular velocity: float32 [..., 3]."""
    angle, spin = state.unbind(-1)
    return torch.stack((angle.cos(), angle.sin(), spin), -1).float()


def state_of(env: gymnasium.Env) -> torch.Tensor:
    """The state [2] of Gymnasium's environment."""
    return torch.as_tensor(env.state, dtype=torch.float64)
