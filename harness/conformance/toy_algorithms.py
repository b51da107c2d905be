"""An algorithm that ends a trial in whatever way its configuration says: how executors are tried."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.contract.trial import Trial

BEAT_SECONDS = 0.05
ALIVE = "alive"  # a file
PIECES = 20  # of 64 MiB that each process of a job holds: more than a job may by two, and less by one


@dataclass(frozen=True)
class Config:
    """How to end."""

    ending: str = "done"  # or "raise", "kill", "exit", "sleep", "hoard"


def train(trial: Trial, config: Config) -> None:
    """Take random steps, then end."""
    env = trial.make_env()
    trial.policy = lambda obs: np.zeros(len(obs), np.int64)
    env.reset()
    print({name: value for name, value in os.environ.items() if name.startswith("HARNESS_CHECK")})
    while trial.within_budget:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
        if trial.progress < 0.5 or config.ending == "done":
            continue
        if config.ending == "raise":
            raise ValueError("as it was told to")
        if config.ending == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if config.ending == "exit":
            os._exit(0)
        _linger(PIECES if config.ending == "hoard" else 0)


def _linger(pieces: int) -> None:
    """Go on for ever, as does a child in a session of its own; a file is touched by either, until it is gone."""
    child = os.fork() == 0
    hoard: list[bytearray] = []
    try:
        if child:
            os.setsid()
        Path(ALIVE).touch()
        while True:
            os.utime(ALIVE)
            if len(hoard) < pieces:
                hoard.append(bytearray(2**26))
            time.sleep(BEAT_SECONDS)
    finally:
        if child:
            os._exit(0)
