"""Hill climbing on a linear policy: change it at random, keep the change if an episode pays no less."""

from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np

from harness.api import Trial


@dataclass(frozen=True)
class Config:
    """What a user may set; every field needs a default."""

    noise: float = 0.3  # standard deviation of a change, where all weights together have length 1


def linear(weights: np.ndarray, actions: gymnasium.spaces.Discrete) -> Callable[[np.ndarray], np.ndarray]:
    """The policy that takes the actions of highest score, for observations [B, ...]."""
    return lambda obs: actions.start + (obs.reshape(len(obs), -1) @ weights).argmax(axis=1)


def play(env: gymnasium.Env, policy: Callable[[np.ndarray], np.ndarray]) -> float:
    """The return of one episode."""
    obs, _ = env.reset()
    total, ended = 0.0, False
    while not ended:
        obs, reward, terminated, truncated, _ = env.step(policy(obs[None])[0])
        total, ended = total + float(reward), terminated or truncated
    return total


def train(trial: Trial, config: Config) -> None:
    """Climb until the budget is spent."""
    env = trial.make_env()
    best = trial.rng.standard_normal((int(np.prod(env.observation_space.shape)), int(env.action_space.n)))
    trial.policy, record = linear(best, env.action_space), -np.inf
    while trial.within_budget:
        changed = best / np.linalg.norm(best) + config.noise * trial.rng.standard_normal(best.shape)
        policy = linear(changed, env.action_space)
        total = play(env, policy)
        if total >= record:
            best, record, trial.policy = changed, total, policy
