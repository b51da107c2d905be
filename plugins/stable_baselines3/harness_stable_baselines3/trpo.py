"""Trust region policy optimisation (Schulman et al., 2015, arXiv:1502.05477), as sb3-contrib implements it."""

from dataclasses import dataclass

from sb3_contrib import TRPO

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
    learning_rate: float = 1e-3  # of the critic's Adam
    anneal_learning_rate: bool = False  # to 0 at the end of the budget
    n_steps: int = 2048  # steps per rollout
    batch_size: int = 128  # transitions per update of the critic
    gamma: float = 0.99  # discount
    gae_lambda: float = 0.95  # of generalised advantage estimation
    cg_max_steps: int = 15  # steps of the conjugate gradient method
    cg_damping: float = 0.1  # added to the diagonal of the Fisher matrix
    line_search_shrinking_factor: float = 0.8  # by which each try of the line search is shorter
    line_search_max_iter: int = 10  # tries
    n_critic_updates: int = 10  # passes of the critic over each rollout
    normalize_advantage: bool = True  # to mean 0 and standard deviation 1 per rollout
    use_sde: bool = False  # noise that depends on the state, for continuous actions
    sde_sample_freq: int = -1  # steps between new noise matrices; −1 for one per rollout
    target_kl: float = 0.01  # divergence that one update may reach
    sub_sampling_factor: int = 1  # every so many-th transition enters the policy's update


def train(trial: Trial, config: Config) -> None:
    """Train until the budget is spent."""
    learn(trial, TRPO, config)
