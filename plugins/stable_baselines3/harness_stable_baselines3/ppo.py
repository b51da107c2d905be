"""Proximal policy optimisation (Schulman et al., 2017, arXiv:1707.06347), as Stable-Baselines3 implements it."""

from dataclasses import dataclass

from stable_baselines3 import PPO

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
    learning_rate: float = 3e-4  # of Adam
    anneal_learning_rate: bool = False  # to 0 at the end of the budget
    n_steps: int = 2048  # steps per rollout
    batch_size: int = 64  # transitions per update
    n_epochs: int = 10  # passes over each rollout
    gamma: float = 0.99  # discount
    gae_lambda: float = 0.95  # of generalised advantage estimation
    clip_range: float = 0.2  # the probability ratio is clipped this far from 1
    anneal_clip_range: bool = False  # to 0 at the end of the budget
    clip_range_vf: float | None = None  # values are clipped this far from the old ones; None for never
    normalize_advantage: bool = True  # to mean 0 and standard deviation 1 per batch
    ent_coef: float = 0.0  # weight of the entropy bonus
    vf_coef: float = 0.5  # weight of the value loss
    max_grad_norm: float = 0.5  # gradients are scaled down to this length
    use_sde: bool = False  # noise that depends on the state, for continuous actions
    sde_sample_freq: int = -1  # steps between new noise matrices; −1 for one per rollout
    target_kl: float | None = None  # updates on a rollout stop at 1.5 times this divergence; None for never


def train(trial: Trial, config: Config) -> None:
    """Train until the budget is spent."""
    learn(trial, PPO, config)
