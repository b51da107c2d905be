"""Pairs of stored result sets whose verdict is known."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import harness
from harness.analysis.results import Results
from harness.suite.reading import Suite, load_suite
from support.results import ENVIRONMENTS, Environment, Run, write_compact

FOUR = ENVIRONMENTS[:4]
DQN = "algorithms/dqn"
TEN = (
    [88.1, 101.0, 109.8, 110.9, 94.4, 115.2, 116.4, 106.7, 108.0, 116.8],
    [93.8, 116.5, 126.4, 123.1, 102.8, 101.2, 122.8, 128.7, 110.7, 120.2],
)


def runs(
    environments: Sequence[Environment] = FOUR,
    seeds: Iterable[int] = range(5),
    algorithm: str = DQN,
    drop: float = 0.0,
    noise: float = 0.0,
    spread: float = 0.05,
    **columns: Any,
) -> list[Run]:
    """Runs that reach .8 of the way from random to reference, less a share; the seed decides all but the noise.

    Args:
        environments: a run of every seed on each.
        seeds: of the runs.
        algorithm: full id, preset and overrides.
        drop: share of what is learned that is lost.
        noise: standard deviation of what the seed does not decide, as a share.
        spread: of what it does decide.
        columns: of the table of runs, changed.
    """
    made = []
    for environment in environments:
        for seed in seeds:
            salt = int.from_bytes(environment.name.encode(), "little") % 2**32
            own = np.random.default_rng([seed, salt]).normal()
            other = np.random.default_rng([seed, salt, round(1e6 * abs(drop)), round(1e6 * noise)]).normal()
            skill = 0.8 * (1 - drop) * (1 + spread * own + noise * other)
            low = 0.0 if environment.random is None else environment.random
            high = low + 100.0 if environment.reference is None else environment.reference
            scores = tuple(float(low + (high - low) * skill * part) for part in (0.0, 0.8, 1.0))
            identifier = algorithm.partition("[")[0].partition(":")[0]
            changes = {"algorithm_id": identifier, **columns}
            made.append(Run(algorithm, environment, seed, scores=scores, suite="demo", changes=changes))
    return made


def ended(run: Run, status: str) -> Run:
    """The same run, with another end."""
    return replace(run, status=status, scores=(), error="why", changes={**run.changes, "fingerprint": ""})


def some(made: Iterable[Run], status: str, **where: Any) -> list[Run]:
    """The runs, with another end for those of this seed or environment name."""
    return [
        ended(run, status)
        if all({"seed": run.seed, "environment": run.environment.name}[name] == value for name, value in where.items())
        else run
        for run in made
    ]


def stored(folder: Path, made: Iterable[Run]) -> Results:
    """Write runs as a compacted folder and load it; every call needs a folder of its own."""
    return harness.load(write_compact(folder, made))


def suite(
    environments: Sequence[Environment] = FOUR,
    algorithms: Sequence[str] = (DQN,),
    seeds: int | list[int] = 5,
    gate: str = "",
) -> Suite:
    return load_suite(suite_text(environments, algorithms, seeds, gate))


def suite_text(
    environments: Sequence[Environment] = FOUR,
    algorithms: Sequence[str] = (DQN,),
    seeds: int | list[int] = 5,
    gate: str = "",
) -> str:
    """A suite of these runs; ``gate`` is the content of its table of that name."""
    overrides = "".join(f"[environment.{each.name}]\nsteps = {each.budget}\n" for each in environments)
    return (
        '[suite]\nname = "demo"\nversion = "1"\nquestion = "Is it worse?"\n'
        f"environments = {json.dumps([each.name for each in environments])}\n"
        f"algorithms = {json.dumps(list(algorithms))}\nseeds = {json.dumps(seeds)}\n"
        f"[budget]\nsteps = 20_000\n{overrides}[gate]\n{gate}\n"
    )
