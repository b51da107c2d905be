"""Synchronous advantage actor-critic (after Mnih et al., 2016, arXiv:1602.01783), as Stable-Baselines3 has it."""

from dataclasses import dataclass

from stable_baselines3 import A2C

from harness.api import Trial
from harness_stable_baselines3.adapter import learn


@dataclass(frozen=True)
class Config:
    """The library's hyper-parameters and defaults; steps are those of one copy."""

    copies: int = 1  # environments stepped together
    normalize: bool = False  # observations and rewards, by running statistics
    net_arch: tuple[int, ...] | None = None  # hidden units; None: 64, 64, or none after convolutions
    ortho_init: bool = True  # orthogonal initial weights
    log_std_init: float = 0.0  # log standard deviation of continuous actions at the start
    learning_rate: float = 7e-4  # of the optimiser
    anneal_learning_rate: bool = False  # to 0 at the end of the budget
    n_steps: int = 5  # steps per rollout
    gamma: float = 0.99  # discount
    gae_lambda: float = 1.0  # of generalised advantage estimation
    ent_coef: float = 0.0  # weight of the entropy bonus
    vf_coef: float = 0.5  # weight of the value loss
    max_grad_norm: float = 0.5  # gradients are scaled down to this length
    use_rms_prop: bool = True  # RMSprop, else Adam
    rms_prop_eps: float = 1e-5  # added to RMSprop's denominator
    normalize_advantage: bool = False  # to mean 0 and standard deviation 1 per rollout
    use_sde: bool = False  # noise that depends on the state, for continuous actions
    sde_sample_freq: int = -1  # steps between new noise matrices; −1 for one per rollout


def train(trial: Trial, config: Config) -> None:
    """Train until the budget is spent."""
    learn(trial, A2C, config)
