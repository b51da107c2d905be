"""What may be known of Acrobot-v1.

Observations [..., 6] are cosine and sine of the first angle, of the second, and both angular velocities: all of the
state. Actions 0, 1 and 2, int64 [...].
"""

import torch

from harness_environments.arrays import acrobot


def reward_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """−1, but 0 where the tip comes above the bar."""
    return termination_fn(obs, action, next_obs).to(obs.dtype) - 1


def termination_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """Whether the tip, at −cos θ₁ − cos(θ₁ + θ₂), is above the bar."""
    cosine, sine, bend_cosine, bend_sine = next_obs[..., :4].unbind(-1)
    return cosine + (cosine * bend_cosine - sine * bend_sine) < -acrobot.HEIGHT


def dynamics_fn(obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """The next observation."""
    angle, bend = torch.atan2(obs[..., 1], obs[..., 0]), torch.atan2(obs[..., 3], obs[..., 2])
    state = torch.stack((angle, bend, obs[..., 4], obs[..., 5]), -1)
    return acrobot.observe(acrobot.step(state, action)[0]).to(obs.dtype)


def initial_fn(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Observations [*shape, 6] of initial states."""
    return acrobot.observe(acrobot.initial(generator, shape))
