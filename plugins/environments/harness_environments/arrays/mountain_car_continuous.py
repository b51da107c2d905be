"""MountainCarContinuous-v0 as array functions (Gymnasium 1.4).

A state is float32 [..., 2], as in Gymnasium's environment: position and velocity (per step) of the car.
"""

import gymnasium
import torch

from harness_environments.arrays import mountain_car

POWER, GRAVITY = 0.0015, 0.0025
STRONGEST = 1.0  # force either way; more is cut off, but paid for
LEFTMOST, RIGHTMOST, FLAG = -1.2, 0.6, 0.45
FASTEST = 0.07
PRIZE, COST = 100.0, 0.1  # at the flag; of the squared action


def initial(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Initial states [*shape, 2], which are those of the discrete task."""
    return mountain_car.initial(generator, shape).float()


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations of a force [..., 1]."""
    position, velocity = state.unbind(-1)
    action = action.squeeze(-1)
    pushed = velocity + action.clamp(-STRONGEST, STRONGEST) * POWER
    velocity = (pushed - (position * 3).cos() * GRAVITY).clamp(-FASTEST, FASTEST)
    position = (position + velocity).clamp(LEFTMOST, RIGHTMOST)
    velocity = velocity.masked_fill((position <= LEFTMOST) & (velocity < 0), 0.0)  # the wall stops it
    terminated = (position >= FLAG) & (velocity >= 0)
    reward = terminated.double() * PRIZE - action.double().square() * COST
    return torch.stack((position, velocity), -1), reward, terminated


def observe(state: torch.Tensor) -> torch.Tensor:
    """The state."""
    return state.clone()


def state_of(env: gymnasium.Env) -> torch.Tensor:
    """The state [2] of Gymnasium's environment."""
    return torch.as_tensor(env.state, dtype=torch.float32)
