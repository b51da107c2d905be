"""What a planner may know of the rings, as far as an observation tells it: the token also moves by chance."""

import math

import torch

PLACES = 5


def reward_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """The reward [...], for either kind of observation and action."""
    return torch.cos(1 + 2 * _place(obs) + 3 * _push(action, obs))


def termination_fn(obs: torch.Tensor, action: torch.Tensor, next_obs: torch.Tensor) -> torch.Tensor:
    """Chance ends episodes: never known."""
    return torch.zeros_like(_place(obs), dtype=torch.bool)


def dynamics_fn(obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Where the token goes if chance moves it nowhere."""
    return _observed((_place(obs) + _push(action, obs).round()) % PLACES, obs)


def initial_fn(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Observations [*shape, 2] of tokens put anywhere."""
    place = torch.randint(PLACES, shape, generator=generator, device=generator.device)
    return _observed(place, torch.empty(0))


def _place(obs: torch.Tensor) -> torch.Tensor:
    if not obs.is_floating_point():
        return obs
    return (torch.atan2(obs[..., 1], obs[..., 0]) * PLACES / (2 * math.pi)).round() % PLACES


def _push(action: torch.Tensor, obs: torch.Tensor) -> torch.Tensor:
    whole = action.clamp(-1, 2)
    return whole.sum(-1) if whole.dim() > _place(obs).dim() else whole


def _observed(place: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if not like.is_floating_point():
        return place.to(like.dtype)
    angle = 2 * math.pi * place / PLACES
    return torch.stack((angle.cos(), angle.sin()), -1).float()
