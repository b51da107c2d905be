"""CartPole-v1 as array functions (Gymnasium 1.4; Barto, Sutton & Anderson, 1983, doi:10.1109/TSMC.1983.6313077).

A state is float64 [..., 4]: position of the cart (m), its velocity (m/s), angle of the pole from upright (rad), its
angular velocity (rad/s).
"""

import math

import gymnasium
import torch

GRAVITY = 9.8  # m/s²
POLE_MASS, TOTAL_MASS = 0.1, 1.1  # kg; the total includes the cart
HALF_LENGTH = 0.5  # m, of the pole
FORCE = 10.0  # N
SECONDS = 0.02  # between steps
FARTHEST = 2.4  # m from the middle
STEEPEST = 12 * 2 * math.pi / 360  # rad from upright
INITIAL = 0.05  # largest absolute value of every number of an initial state


def initial(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Initial states [*shape, 4]."""
    uniform = torch.rand((*shape, 4), generator=generator, device=generator.device, dtype=torch.float64)
    return (2 * uniform - 1) * INITIAL


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations of an action, 0 left or 1 right, held for one step (Euler's method)."""
    _, velocity, angle, spin = state.unbind(-1)
    sine, cosine = angle.sin(), angle.cos()
    push = torch.add(
        sine * spin * spin * (POLE_MASS * HALF_LENGTH / TOTAL_MASS) - FORCE / TOTAL_MASS,
        action,
        alpha=2 * FORCE / TOTAL_MASS,
    )
    inertia = cosine * cosine * (-HALF_LENGTH * POLE_MASS / TOTAL_MASS) + HALF_LENGTH * 4 / 3
    turn = (sine * GRAVITY - cosine * push) / inertia
    change = torch.stack((velocity, push - turn * cosine * (POLE_MASS * HALF_LENGTH / TOTAL_MASS), spin, turn), -1)
    successor = torch.add(state, change, alpha=SECONDS)
    position, _, angle, _ = successor.unbind(-1)
    terminated = (position.abs() > FARTHEST) | (angle.abs() > STEEPEST)
    return successor, torch.ones_like(velocity), terminated


def observe(state: torch.Tensor) -> torch.Tensor:
    """The state in float32."""
    return state.float()


def state_of(env: gymnasium.Env) -> torch.Tensor:
    """The state [4] of Gymnasium's environment."""
    return torch.as_tensor(env.state, dtype=torch.float64)
