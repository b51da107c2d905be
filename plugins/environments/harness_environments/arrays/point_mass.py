"""The point mass as array functions: a state is float64 [..., 4], position (m) and velocity (m/s) on a plane."""

import gymnasium
import torch

SECONDS = 0.1  # between steps
STRONGEST = 1.0  # acceleration along either axis; more is cut off
FARTHEST = 1.0  # m from the origin along either axis, of an initial position


def initial(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Initial states [*shape, 4]."""
    uniform = torch.rand((*shape, 2), generator=generator, device=generator.device, dtype=torch.float64)
    return torch.cat(((2 * uniform - 1) * FARTHEST, torch.zeros_like(uniform)), -1)


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations, of which there are none, of a push [..., 2]."""
    push = action.clamp(-STRONGEST, STRONGEST).to(state.dtype)
    velocity = state[..., 2:] + push * SECONDS
    position = state[..., :2] + velocity * SECONDS
    reward = paid(position, push)
    return torch.cat((position, velocity), -1), reward, torch.zeros_like(reward, dtype=torch.bool)


def paid(position: torch.Tensor, push: torch.Tensor) -> torch.Tensor:
    """Rewards [...] of positions reached and pushes after clipping, [..., 2] each."""
    cost = position * position + push * push
    return -(cost[..., 0] + cost[..., 1])


def observe(state: torch.Tensor) -> torch.Tensor:
    """The state in float32."""
    return state.float()


def state_of(env: gymnasium.Env) -> torch.Tensor:
    """The state [4] of the environment."""
    return torch.as_tensor(env.state, dtype=torch.float64)
