"""Trials made by hand, for tests of what a trial is made of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.contract.specs import EnvironmentSpec, Needs
from harness.measuring.description import TrialDescription
from harness.measuring.trial import LocalTrial


def local_trial(
    environment: EnvironmentSpec,
    seeds: Sequence[int] = (0,),
    budget: int = 1_000,
    points: int = 1,
    episodes: int = 1,
    device: str = "cpu",
    lockstep: bool | None = None,
    shared: Path | None = None,
    **told: Any,
) -> LocalTrial:
    """A trial in this process; on a meter shared by processes if it is given a folder for that."""
    many = len(seeds) > 1 if lockstep is None else lockstep
    needs = Needs(processes="one" if shared is None else "many")
    description = TrialDescription(environment, tuple(seeds), budget, points, episodes, many, needs=needs, **told)
    return LocalTrial(description, device, shared)
