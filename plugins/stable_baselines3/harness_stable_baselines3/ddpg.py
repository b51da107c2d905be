"""Deep deterministic policy gradient (Lillicrap et al., 2016, arXiv:1509.02971), as Stable-Baselines3 has it.

The library's default is no action noise: after the first random steps the policy explores by its changes alone.
"""

from dataclasses import dataclass
from typing import Literal

from stable_baselines3 import DDPG

from harness.api import Trial
from harness_stable_baselines3.adapter import learn


@dataclass(frozen=True)
class Config:
    """The library's hyper-parameters and defaults; steps are those of one copy."""

    copies: int = 1  # environments stepped together
    net_arch: tuple[int, ...] | None = None  # hidden units; None: 400, 300, or 256, 256 after convolutions
    learning_rate: float = 1e-3  # of Adam
    anneal_learning_rate: bool = False  # to 0 at the end of the budget
    buffer_size: int = 1_000_000  # transitions
    learning_starts: int = 100  # steps of all copies, with random actions, before the first update
    batch_size: int = 256  # transitions per update
    tau: float = 0.005  # share of the online networks in each update of the targets
    gamma: float = 0.99  # discount
    train_freq: int = 1  # steps between rounds of updates
    gradient_steps: int = 1  # updates per round; −1 for as many as steps since the last round
    n_steps: int = 1  # rewards summed before bootstrapping
    noise_type: Literal["normal", "ornstein-uhlenbeck"] = "normal"  # white, or correlated in time
    noise_std: float = 0.0  # of actions scaled to [−1, 1]


def train(trial: Trial, config: Config) -> None:
    """Train until the budget is spent."""
    learn(trial, DDPG, config)
