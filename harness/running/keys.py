"""What a run is: a hash of everything that can change its result."""

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

RESULT_SCHEMA = 1  # raised when the harness itself comes to measure differently


def digest(value: Any) -> str:
    """Twenty hexadecimal digits of the SHA-256 of a JSON value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def task_hash(environment: Mapping[str, Any], budget: int, points: int, episodes: int) -> str:
    """The hash of a task: what is played, for how long, and how it is evaluated.

    Reference scores and summaries of the environment only interpret a result, so they stay outside.
    """
    played = {
        name: environment[name]
        for name in ("id", "imports", "kwargs", "wrappers", "max_episode_steps", "version")
    }
    return digest([RESULT_SCHEMA, played, budget, points, episodes])


def run_key(
    algorithm_id: str,
    version: str,
    config: Mapping[str, Any],
    task: str,
    seed: int,
    device: str,
    array: str | None = None,
) -> str:
    """The key of a run: runs with the same key have the same result.

    Args:
        algorithm_id: of the algorithm.
        version: of its description.
        config: every field of its configuration.
        task: as `task_hash` gave it.
        seed: of the run.
        device: type of the device.
        array: module that training in lockstep steps in place of Gymnasium's environment. It is the same task, drawn
            from other random numbers.
    """
    played = [RESULT_SCHEMA, algorithm_id, version, dict(config), task, seed, device]
    return digest(played if array is None else [*played, array])


def fingerprint(returns: Iterable[tuple[float, int]]) -> str:
    """The hash of all (return, length) pairs of a run's training and evaluation episodes, in order."""
    sha = hashlib.sha256()
    for value, length in returns:
        sha.update(struct.pack("<dq", value, length))
    return sha.hexdigest()[:20]
