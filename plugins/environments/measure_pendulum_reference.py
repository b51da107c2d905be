"""Plan on a grid of Pendulum's states and measure the plan in the real environment, by the harness's evaluation.

    python plugins/environments/measure_pendulum_reference.py

Pendulum has no published optimum. What a plan earns is a lower bound of it: grids of 200, 301 and 400 points
per axis gave −138.2, −137.7 and −137.5 on the same 10,000 episodes, whose standard error is 0.74. Takes about
ten minutes on one core.
"""

import math
from typing import Any

import numpy as np
import torch

from harness.measuring.description import TrialDescription
from harness.measuring.trial import LocalTrial
from harness_environments import harness_environments

ANGLES = 400  # grid points; even, so that upright is one of them
SPEEDS = 401  # grid points; odd, so that rest is one of them
HORIZON = 200  # steps of an episode
MAX_SPEED = 8.0  # rad/s
EPISODES = 10_000
TORQUES = {"pendulum": 21, "pendulum-11": 11, "pendulum-25": 25}  # a grid for the continuous torque


def successor(
    angle: torch.Tensor, speed: torch.Tensor, torque: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Next angle, next speed and cost of Gymnasium's Pendulum, for angles in [−π, π]; broadcasts."""
    cost = angle**2 + 0.1 * speed**2 + 0.001 * torque**2
    next_speed = (speed + (15.0 * angle.sin() + 3.0 * torque) * 0.05).clamp(-MAX_SPEED, MAX_SPEED)
    return angle + next_speed * 0.05, next_speed, cost


def interpolated(values: torch.Tensor, angle: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
    """Bilinear interpolation of values [ANGLES, SPEEDS] on the grid, periodic in the angle."""
    x = (angle + math.pi) / (2 * math.pi) * ANGLES
    y = (speed + MAX_SPEED) / (2 * MAX_SPEED) * (SPEEDS - 1)
    left, low = x.floor(), y.floor().clamp(max=SPEEDS - 2)
    i, j = left.long() % ANGLES, low.long()
    k = (i + 1) % ANGLES
    below = torch.lerp(values[i, j], values[k, j], x - left)
    above = torch.lerp(values[i, j + 1], values[k, j + 1], x - left)
    return torch.lerp(below, above, y - low)


def costs_to_go(torques: torch.Tensor) -> list[torch.Tensor]:
    """Least cost of the remaining steps at the grid points, [ANGLES, SPEEDS] for 0 to HORIZON − 1 steps left."""
    angle = torch.linspace(-math.pi, math.pi, ANGLES + 1, dtype=torch.float64)[:-1]
    speed = torch.linspace(-MAX_SPEED, MAX_SPEED, SPEEDS, dtype=torch.float64)
    next_angle, next_speed, cost = successor(angle[:, None, None], speed[:, None], torques)
    tables = [torch.zeros(ANGLES, SPEEDS, dtype=torch.float64)]
    for _ in range(HORIZON - 1):
        tables.append((cost + interpolated(tables[-1], next_angle, next_speed)).amin(-1))
    return tables


class Planner:
    """A policy that looks one step ahead to the least cost of the steps left; its memory is the time."""

    def __init__(self, torques: torch.Tensor, discrete: bool) -> None:
        self._torques = torques
        self._tables = costs_to_go(torques)
        self._discrete = discrete
        self._left = HORIZON

    def reset(self, mask: Any) -> None:
        """Start new episodes; all copies start together, since all episodes have the same length."""
        self._left = HORIZON

    def act(self, obs: Any) -> np.ndarray[Any, Any]:
        """Index of the best torque [B], or the torque [B, 1] itself where the action is continuous."""
        self._left -= 1
        cosine, sine, speed = torch.as_tensor(obs, dtype=torch.float64).unsqueeze(-1).unbind(1)
        next_angle, next_speed, cost = successor(torch.atan2(sine, cosine), speed, self._torques)
        best = (cost + interpolated(self._tables[self._left], next_angle, next_speed)).argmin(-1)
        return best.numpy() if self._discrete else self._torques[best].float().numpy()[:, None]


def main() -> None:
    """Print the mean return and its standard error for each Pendulum."""
    for spec in harness_environments():
        if spec.name in TORQUES:
            torques = torch.linspace(-2.0, 2.0, TORQUES[spec.name], dtype=torch.float64)
            trial = LocalTrial(TrialDescription(spec, episodes=EPISODES))
            trial.policy = Planner(torques, discrete=spec.name != "pendulum")
            returns = np.asarray([episode.value for episode in trial.runs[0].evaluations])
            print(spec.name, returns.mean(), returns.std(ddof=1) / math.sqrt(EPISODES))


if __name__ == "__main__":
    main()
