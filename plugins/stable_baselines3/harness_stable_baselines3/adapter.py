"""From a trial and a configuration to a Stable-Baselines3 model that learns.

A configuration's fields carry the names that the library uses. They go unchanged to the constructor of the
algorithm, save those in `POLICY_ARGUMENTS`, which go to that of its policy, and those that `learn` and
`scheduled` translate.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from harness.api import Trial

POLICY_ARGUMENTS = ("net_arch", "log_std_init", "ortho_init", "use_expln", "n_quantiles")
SMALLEST_SIDE = 36  # pixels; below, the last convolution of the library's network would see nothing
NOISES = {"normal": NormalActionNoise, "ornstein-uhlenbeck": OrnsteinUhlenbeckActionNoise}


def learn(trial: Trial, algorithm: type[BaseAlgorithm], config: Any) -> None:
    """Train until the budget is spent; `harness.api.BudgetExhausted` ends rollouts that would go beyond it.

    Args:
        trial: gives environments, budget, seed and device.
        algorithm: class of the library.
        config: of the module that adapts it.
    """
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    env = vector_env(trial, values.pop("copies"))
    if values.pop("normalize", False):
        env = VecNormalize(env, gamma=config.gamma)
    if "noise_type" in values:
        values["action_noise"] = action_noise(values.pop("noise_type"), values.pop("noise_std"), env.action_space)
    policy_kwargs = {name: values.pop(name) for name in POLICY_ARGUMENTS if name in values}
    if policy_kwargs["net_arch"] is not None:
        policy_kwargs["net_arch"] = list(policy_kwargs["net_arch"])  # because the library asks for this type
    model = algorithm(
        policy_name(env.observation_space),
        env,
        policy_kwargs=policy_kwargs,
        seed=trial.seed("sb3"),
        device=trial.device,
        **scheduled(values),
    )
    model.set_logger(Logger(None, [Diagnostics(trial)]))
    trial.policy = greedy(model)
    model.learn(trial.budget)


def vector_env(trial: Trial, copies: int) -> VecEnv:
    """Metered copies of the environment, as the library wants them.

    Raises:
        ValueError: the library would misread its spaces.
    """
    env = DummyVecEnv([trial.make_env] * copies)
    if reason := unfit(env.observation_space, env.action_space):
        raise ValueError(reason)
    return env


def unfit(observation_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]) -> str:
    """Why the library cannot train with spaces, if so: they do not count from 0, or an image is none that it takes."""
    for space in (observation_space, action_space):
        if np.any(getattr(space, "start", 0)):
            return f"Stable-Baselines3 takes spaces that count from 0, not {space}"
    parts = observation_space.values() if isinstance(observation_space, gymnasium.spaces.Dict) else [observation_space]
    for space in parts:
        if not is_image_space(space):
            continue
        side = sorted(space.shape)[1]
        if side < SMALLEST_SIDE or side <= min(space.shape[0], space.shape[2]):
            return (
                f"an image of shape {space.shape} is neither [C, H, W] nor [H, W, C] with fewer channels than pixels "
                f"on a side, {SMALLEST_SIDE} or more: add a wrapper to the environment's description that makes it so"
            )
    return ""


def scheduled(values: dict[str, Any]) -> dict[str, Any]:
    """Arguments in which every ``anneal_<name>`` has made of ``<name>`` a schedule or left it constant."""
    kept = {name: value for name, value in values.items() if not name.startswith("anneal_")}
    for name in kept:
        if values.get(f"anneal_{name}"):
            kept[name] = falling(values[name])
    return kept


def falling(start: float) -> Callable[[float], float]:
    """From ``start`` to 0 in a straight line, as a function of the share of the budget that remains."""
    return lambda remaining: remaining * start


def action_noise(kind: str, std: float, space: gymnasium.spaces.Box) -> ActionNoise | None:
    """Noise of one kind for actions scaled to [−1, 1]; None where its standard deviation is 0."""
    return NOISES[kind](np.zeros(space.shape), np.full(space.shape, std)) if std else None


def policy_name(space: gymnasium.Space[Any]) -> str:
    """Which of the library's policies observes ``space``."""
    if isinstance(space, gymnasium.spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(space) else "MlpPolicy"


def greedy(model: BaseAlgorithm) -> Callable[[Any], np.ndarray]:
    """The model's deterministic policy on batches; it reads running statistics and changes none."""
    normalizer = model.get_vec_normalize_env()

    def act(obs: Any) -> np.ndarray:
        seen = obs if normalizer is None else normalizer.normalize_obs(obs)
        return model.predict(seen, deterministic=True)[0]

    return act


class Diagnostics(KVWriter):
    """Passes on what the library logs about its updates; returns and timings the harness measures itself."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Log all values under "train/"."""
        prefix = "train/"
        self._trial.log(**{k.removeprefix(prefix): v for k, v in key_values.items() if k.startswith(prefix)})

    def close(self) -> None:
        """There is nothing to close."""
