"""Soft actor-critic (Haarnoja et al., 2018, arXiv:1812.05905), as Stable-Baselines3 implements it."""

from dataclasses import dataclass
from typing import Literal

from stable_baselines3 import SAC

from harness.api import Trial
from harness_stable_baselines3.adapter import learn


@dataclass(frozen=True)
class Config:
    """The library's hyper-parameters and defaults; steps are those of one copy."""

    copies: int = 1  # environments stepped together
    net_arch: tuple[int, ...] | None = None  # hidden units; None: 256, 256
    log_std_init: float = -3.0  # log standard deviation at the start, with use_sde
    use_expln: bool = False  # with use_sde, a standard deviation that grows slower than exp
    learning_rate: float = 3e-4  # of Adam
    anneal_learning_rate: bool = False  # to 0 at the end of the budget
    buffer_size: int = 1_000_000  # transitions
    learning_starts: int = 100  # steps of all copies, with random actions, before the first update
    batch_size: int = 256  # transitions per update
    tau: float = 0.005  # share of the online critics in each update of the targets
    gamma: float = 0.99  # discount
    train_freq: int = 1  # steps between rounds of updates
    gradient_steps: int = 1  # updates per round; −1 for as many as steps since the last round
    n_steps: int = 1  # rewards summed before bootstrapping
    ent_coef: float | Literal["auto"] = "auto"  # temperature; "auto" learns it
    target_update_interval: int = 1  # updates between updates of the targets
    target_entropy: float | Literal["auto"] = "auto"  # of a learned temperature; "auto": −dim(action)
    use_sde: bool = False  # noise that depends on the state
    sde_sample_freq: int = -1  # steps between new noise matrices; −1 for one per round
    use_sde_at_warmup: bool = False  # that noise instead of random actions before the first update


def train(trial: Trial, config: Config) -> None:
    """Train until the budget is spent."""
    learn(trial, SAC, config)
