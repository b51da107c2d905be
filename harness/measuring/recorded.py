"""Recorded transitions as tensors: what an algorithm learns from in place of stepping an environment."""

import importlib
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch

from harness.contract.specs import EnvironmentSpec
from harness.contract.trial import Dataset
from harness.measuring import environments
from harness.measuring.environments import EnvironmentError_
from harness.measuring.lockstep import array_dtype


class RecordedEpisode(Protocol):
    """An episode of T steps, as Minari's `EpisodeData` has it; NumPy arrays."""

    observations: Any  # [T + 1, ...]
    actions: Any  # [T, ...]
    rewards: Any  # [T]
    terminations: Any  # bool [T]
    truncations: Any  # bool [T]


def load_dataset(spec: EnvironmentSpec, device: torch.device) -> Dataset:
    """The transitions of all recorded episodes, in their order; an `EnvironmentError_` if none, or one that is broken.

    ``episodes()`` of the module that ``EnvironmentSpec.dataset`` names gives all, always the same in the same order.
    """
    assert spec.dataset is not None
    env = environments.make(spec)
    obs_dtype, action_dtype = array_dtype(env.observation_space), array_dtype(env.action_space)
    env.close()
    columns: list[tuple[Any, ...]] = []
    recorded: Iterable[RecordedEpisode] = importlib.import_module(spec.dataset).episodes()
    for number, episode in enumerate(recorded):
        obs, action = np.asarray(episode.observations, obs_dtype), np.asarray(episode.actions, action_dtype)
        reward = np.asarray(episode.rewards, np.float32)
        terminated, truncated = (np.asarray(f, bool) for f in (episode.terminations, episode.truncations))
        lengths = {len(obs) - 1, *map(len, (action, reward, terminated, truncated))}
        if len(lengths) > 1 or not len(action):
            wrong = "has arrays that do not fit together: T + 1 observations and T of all others are wanted"
            raise EnvironmentError_(f"environment {spec.name!r}: episode {number} of {spec.dataset} {wrong}")
        ended = terminated | truncated
        ended[-1] = True  # a recording may be cut off
        columns.append((obs[:-1], action, reward, 1 - terminated.astype(np.float32), ended, obs[1:]))
    if not columns:
        raise EnvironmentError_(f"environment {spec.name!r}: {spec.dataset} holds no episode")
    return Dataset(*(torch.from_numpy(np.concatenate(c)).to(device) for c in zip(*columns, strict=True)))
