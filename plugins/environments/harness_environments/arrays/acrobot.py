"""Acrobot-v1 as array functions (Gymnasium 1.4, "book" dynamics; Sutton & Barto, 1998, section 11.3).

A state is float64 [..., 4]: angle of the first link from hanging down, angle of the second relative to the first (rad,
both in [−π, π]), and their angular velocities (rad/s). Both links have mass, length and moment of inertia 1, and
their centre of mass in the middle.
"""

import math

import gymnasium
import torch

GRAVITY = 9.8  # m/s²
SECONDS = 0.2  # between steps
FASTEST = (4 * math.pi, 9 * math.pi)  # rad/s, of the two links
HEIGHT = 1.0  # of the tip over the pivot, which ends an episode
INITIAL = 0.1  # largest absolute value of every number of an initial state


def initial(generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    """Initial states [*shape, 4], rounded to float32 like Gymnasium's."""
    uniform = torch.rand((*shape, 4), generator=generator, device=generator.device, dtype=torch.float64)
    return ((2 * uniform - 1) * INITIAL).float().double()


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations of an action: torque action − 1 on the joint for one step."""
    torque = action - 1
    angle, bend, spin, bend_spin = runge_kutta(state, torque).unbind(-1)
    angle, bend = wrapped(angle), wrapped(bend)
    spin, bend_spin = spin.clamp(-FASTEST[0], FASTEST[0]), bend_spin.clamp(-FASTEST[1], FASTEST[1])
    terminated = angle.cos() + (angle + bend).cos() < -HEIGHT
    return torch.stack((angle, bend, spin, bend_spin), -1), terminated.double() - 1, terminated


def runge_kutta(state: torch.Tensor, torque: torch.Tensor) -> torch.Tensor:
    """One step of the classical method of fourth order."""
    first = derivative(state, torque)
    second = derivative(torch.add(state, first, alpha=SECONDS / 2), torque)
    third = derivative(torch.add(state, second, alpha=SECONDS / 2), torque)
    fourth = derivative(torch.add(state, third, alpha=SECONDS), torque)
    return torch.add(state, first + 2 * (second + third) + fourth, alpha=SECONDS / 6)


def derivative(state: torch.Tensor, torque: torch.Tensor) -> torch.Tensor:
    """Change of the state in time.

    Gymnasium's equations with masses, lengths and moments of inertia of 1 put in.
    """
    angle, bend, spin, bend_spin = state.unbind(-1)
    sine, cosine = bend.sin(), bend.cos()
    inertia, coupling = cosine + 3.5, cosine * 0.5 + 1.25  # d₁, d₂
    pull = (angle + bend).sin() * (GRAVITY / 2)  # φ₂
    whirl = (bend_spin * 0.5 + spin) * bend_spin * sine
    first_pull = angle.sin() * (GRAVITY * 1.5) + pull - whirl  # φ₁
    share = coupling / inertia
    turn = share * first_pull - spin * spin * sine * 0.5 - pull + torque
    bend_change = turn / (1.25 - share * coupling)
    change = (coupling * bend_change + first_pull) / -inertia
    return torch.stack((spin, bend_spin, change, bend_change), -1)


def wrapped(angle: torch.Tensor) -> torch.Tensor:
    """An angle plus the multiple of 2π that brings it to [−π, π]; angles in there stay."""
    return angle - (angle / (2 * math.pi)).round() * (2 * math.pi)


def observe(state: torch.Tensor) -> torch.Tensor:
    """Cosines and sines of the angles, angular velocities: float32 [..., 6]."""
    angles, spins = state[..., :2], state[..., 2:]
    turned = torch.stack((angles.cos(), angles.sin()), -1).flatten(-2)
    return torch.cat((turned, spins), -1).float()


def state_of(env: gymnasium.Env) -> torch.Tensor:
    """The state [4] of Gymnasium's environment."""
    return torch.as_tensor(env.state, dtype=torch.float64)
