"""What a run is: a hash of everything that can change its result."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.specs import INTERPRETIVE, VIEWS

TASK_SCHEMA = 1  # raised when the harness itself comes to pose other tasks
RESULT_SCHEMA = 2  # raised when it comes to give other results: since 2, streams depend on the environment, too


def digest(value: Any) -> str:
    """Twenty hexadecimal digits of the SHA-256 of a JSON value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


# Fields of an environment that were part of every key when keys were first made. Any other counts as soon as it says
# something, so that a field which comes to be added changes no key that was made before it.
FIRST_FIELDS = ("id", "imports", "kwargs", "wrappers", "max_episode_steps", "version")


def task_hash(
    environment: Mapping[str, Any], budget: int, points: int, episodes: int, dataset: str | None = None
) -> str:
    """The hash of a task: what is played, for how long, and how it is evaluated.

    Everything in the environment's description, as JSON values, counts but what only interprets a result, and other
    views of the same MDP, which count in `run_key` where they are used. The budget counts steps, or updates made on
    ``dataset``, a module.
    """
    played = {
        name: value
        for name, value in environment.items()
        if name not in (*INTERPRETIVE, *VIEWS) and (name in FIRST_FIELDS or value not in (None, "", [], {}))
    }
    task = [TASK_SCHEMA, played, budget, points, episodes]
    return digest(task if dataset is None else [*task, dataset])


def run_key(
    algorithm_id: str,
    version: str,
    config: Mapping[str, Any],
    environment: str,
    task: str,
    seed: int,
    device: str,
    views: Sequence[str],
) -> str:
    """The key of a run: runs with the same key have the same result.

    It counts every field of the configuration, the environment's name, of which the run's random streams are made, the
    `task_hash`, the type of the device, and as ``views`` the modules by
    which the algorithm sees the environment otherwise than through Gymnasium: arrays, which draw from other random
    numbers, functions to plan with, a game to play against itself.
    """
    return digest([RESULT_SCHEMA, algorithm_id, version, dict(config), environment, task, seed, device, *views])
