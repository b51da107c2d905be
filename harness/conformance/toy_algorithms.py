"""An algorithm that ends a trial in whatever way its configuration says: how executors are tried."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.contract.trial import Trial

BEAT_SECONDS = 0.05


@dataclass(frozen=True)
class Config:
    """How to end."""

    ending: str = "done"  # or "raise", "kill", "exit", "sleep", "hoard"


def train(trial: Trial, config: Config) -> None:
    """Take random steps, then end; "sleep" goes on for ever, and touches a file as long as it does."""
    env = trial.make_env()
    trial.policy = lambda obs: np.zeros(len(obs), np.int64)
    env.reset()
    print({name: value for name, value in os.environ.items() if name.startswith("HARNESS_CHECK")})
    hoard = []
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
        while config.ending in ("sleep", "hoard"):
            if config.ending == "hoard":
                hoard.append(bytearray(2**26))
            Path("alive").write_text(str(time.monotonic()), encoding="utf-8")
            time.sleep(BEAT_SECONDS)
