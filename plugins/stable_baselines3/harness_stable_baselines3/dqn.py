"""Deep Q-network (Mnih et al., 2015, doi:10.1038/nature14236), as Stable-Baselines3 implements it.

Departures from the paper are the library's: Adam, the Huber loss, no frame stacking.
"""

from dataclasses import dataclass

from stable_baselines3 import DQN

from harness.api import Trial
from harness_stable_baselines3.adapter import learn


@dataclass(frozen=True)
class Config:
    """The library's hyper-parameters and defaults; steps are those of one copy."""

    copies: int = 1  # environments stepped together
    net_arch: tuple[int, ...] | None = None  # hidden units; None: 64, 64, or none after convolutions
    learning_rate: float = 1e-4  # of Adam
    anneal_learning_rate: bool = False  # to 0 at the end of the budget
    buffer_size: int = 1_000_000  # transitions
    learning_starts: int = 100  # steps of all copies, with random actions, before the first update
    batch_size: int = 32  # transitions per update
    tau: float = 1.0  # share of the online network in each update of the target
    gamma: float = 0.99  # discount
    train_freq: int = 4  # steps between rounds of updates
    gradient_steps: int = 1  # updates per round; −1 for as many as steps since the last round
    n_steps: int = 1  # rewards summed before bootstrapping
    target_update_interval: int = 10_000  # steps of all copies between updates of the target
    exploration_fraction: float = 0.1  # share of the budget over which exploration falls
    exploration_initial_eps: float = 1.0  # probability of a random action at the start
    exploration_final_eps: float = 0.05  # and after the fall
    max_grad_norm: float = 10.0  # gradients are scaled down to this length


def train(trial: Trial, config: Config) -> None:
    """Train until the budget is spent."""
    learn(trial, DQN, config)
