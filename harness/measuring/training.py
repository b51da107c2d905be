"""A trial put together from its description, and trained: the one place where that is done, whoever asks."""

import importlib
import random
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from harness.contract.trial import Trial
from harness.discovery.config import resolve_config
from harness.measuring import seeding
from harness.measuring.description import TrialDescription
from harness.measuring.meter import first_of
from harness.measuring.records import Diverged
from harness.measuring.trial import AtMark, LocalTrial

Train = Callable[[Trial, Any], None]


class Training:
    """A trial and the algorithm it is for, ready to run once.

    The libraries are seeded when it is made; the algorithm is imported when it is loaded, or else when it runs, and
    that is set-up, not training. Arguments are those of `LocalTrial`.
    """

    def __init__(
        self, description: TrialDescription, device: str = "cpu", folder: Path | None = None, at_mark: AtMark = None
    ) -> None:
        first = seeding.of_environment(description.seeds[0], description.environment.name)
        seed_libraries(first, description.needs.cpus)
        self.trial = LocalTrial(description, device, folder, at_mark)

    @cached_property
    def _loaded(self) -> tuple[Train, Any]:
        description = self.trial.description
        module = importlib.import_module(description.target)
        return module.train, resolve_config(module.Config, description.config)

    def load(self) -> "Training":
        """Import the algorithm now."""
        _ = self._loaded
        return self

    def run(self) -> None:
        """Train as `run_training` does."""
        run_training(self.trial, *self._loaded)


def seed_libraries(seed: int, threads: int) -> None:
    """Pin threads and the order of sums on a GPU, and seed the global generators that libraries draw from."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True  # because one seed shall give one result, bit for bit
    torch.backends.cudnn.allow_tf32 = False  # which would round the products of convolutions to ten bits
    torch.manual_seed(seeding.integer(seed, "torch"))
    np.random.seed(seeding.integer(seed, "numpy"))  # noqa: NPY002, since libraries draw from it
    random.seed(seeding.integer(seed, "python"))


def run_training(trial: LocalTrial, train: Train, config: Any) -> None:
    """Train until the budget is spent, then evaluate the final policy.

    Raises `Diverged`, what `LocalTrial.finish` raises, and whatever ``train`` raised unless the budget's end caused it.
    """
    trial.clock.start()
    try:
        with trial.meter.training():
            try:
                train(cast(Trial, trial), config)
            except Exception as error:
                diverged = first_of(Diverged, error)
                if diverged is not None:
                    raise diverged from None
                if not trial.meter.is_end(error):
                    raise
        trial.finish()
    finally:
        trial.clock.stop()
        trial.close()
