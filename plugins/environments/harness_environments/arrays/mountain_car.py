"""MountainCar-v0 as array functions (Gymnasium 1.4; Moore, 1990, "Efficient memory-based learning for robot control").

A state is float64 [..., 2]: position and velocity (per step) of the car.
"""

import gymnasium
import torch

FORCE, GRAVITY = 0.001, 0.0025
LEFTMOST, RIGHTMOST, FLAG = -1.2, 0.6, 0.5
FASTEST = 0.07
INITIAL = (-0.6, -0.4)  # positions between which a car at rest starts


def initial(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Initial states [*shape, 2]."""
    uniform = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    position = uniform * (INITIAL[1] - INITIAL[0]) + INITIAL[0]
    return torch.stack((position, torch.zeros_like(position)), -1)


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations of an action: 0 pushes left, 1 rolls, 2 pushes right."""
    position, velocity = state.unbind(-1)
    coasting = velocity - (position * 3).cos() * GRAVITY - FORCE
    velocity = torch.add(coasting, action, alpha=FORCE).clamp(-FASTEST, FASTEST)
    position = (position + velocity).clamp(LEFTMOST, RIGHTMOST)
    velocity = velocity.masked_fill((position == LEFTMOST) & (velocity < 0), 0.0)  # the wall stops it
    terminated = (position >= FLAG) & (velocity >= 0)
    return torch.stack((position, velocity), -1), torch.full_like(position, -1.0), terminated


def observe(state: torch.Tensor) -> torch.Tensor:
    """The state in float32."""
    return state.float()


def state_of(env: gymnasium.Env) -> torch.Tensor:
    """The state [2] of Gymnasium's environment."""
    return torch.as_tensor(env.state, dtype=torch.float64)
