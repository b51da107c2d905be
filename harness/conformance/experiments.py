"""What conformance checks try with an algorithm, in a process of its own: import it, train it on a toy.

Every function here is called in a fork of the `harness.conformance.laboratory`, takes JSON values and returns them.
"""

import gc
import importlib
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from harness.conformance.policy_probe import actions, probe
from harness.conformance.toy_environments import Ring, toy_for
from harness.contract.specs import AlgorithmSpec, Needs, algorithm_from_json, from_json
from harness.contract.trial import ContractBroken
from harness.discovery.config import config_to_json, resolve_config
from harness.measuring.description import TrialDescription
from harness.measuring.records import Diverged, Unmetered
from harness.measuring.training import Training
from harness.measuring.trial import LocalTrial
from harness.running.describe import needs_of

EPISODES = 2  # per evaluation
ENVIRONMENT = "environment variables"
Json = Mapping[str, Any]
Layers = Sequence[Json]  # of a configuration, later ones winning


def process_state() -> dict[str, Any]:
    """Everything global that a plugin must leave as it was."""
    return {
        "the working directory": os.getcwd(),
        ENVIRONMENT: dict(os.environ),
        "sys.path": list(sys.path),
        "warning filters": list(map(repr, warnings.filters)),
        "signal handlers": {number: repr(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)},
        "NumPy's error handling": np.geterr(),
        "torch's thread count": torch.get_num_threads(),
        "torch's default dtype": str(torch.get_default_dtype()),
        "torch's default device": str(torch.get_default_device()),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's anomaly mode": torch.is_anomaly_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch's matmul precision": torch.get_float32_matmul_precision(),
        "CUDA (initialised without need)": bool(torch.cuda.is_initialized()),  # type: ignore[no-untyped-call]
    }


def random_state() -> dict[str, Any]:
    """The state of the global generators."""
    return {
        "Python's global random state": repr(random.getstate()),
        "NumPy's global random state": repr(np.random.get_state()),  # noqa: NPY002, since libraries draw from it
        "torch's global random state": torch.get_rng_state().tolist(),
    }


def running() -> dict[str, list[str]]:
    """Child processes, Python threads and open files of this process."""
    process = psutil.Process()
    return {
        "process": [f"{child.pid} {child.name()}" for child in process.children(recursive=True)],
        "thread": [thread.name for thread in threading.enumerate()],
        "open file": [file.path for file in process.open_files()],
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of what differs."""
    return [name for name in before if before[name] != after[name]]


def left_over(before: Mapping[str, list[str]]) -> list[str]:
    """What is running now and was not before."""
    now = running()
    return [f"{kind} {name}" for kind in before for name in now[kind] if name not in before[kind]]


def import_modules(modules: Sequence[str]) -> dict[str, list[str]]:
    """Import modules and say what that changed in the process or left running."""
    state, before = process_state() | random_state(), running()
    assigned: list[str] = []
    sys.addaudithook(lambda event, _: assigned.append(event) if event in ("os.putenv", "os.unsetenv") else None)
    for module in modules:
        importlib.import_module(module)
    changed = changes(state, process_state() | random_state())
    if assigned and ENVIRONMENT not in changed:  # because the harness, importing it before, has passed them on
        changed.append(ENVIRONMENT)
    return {"changed": changed, "left": left_over(before)}


def resolve_configs(spec: Json, variants: Mapping[str, Layers]) -> list[str]:
    """What is wrong with named variants, lists of layers, of an algorithm's ``Config``."""
    algorithm = algorithm_from_json(spec)
    config_class = importlib.import_module(algorithm.target).Config
    problems = []
    for name, layers in variants.items():
        try:
            config = resolve_config(config_class, *from_json(layers), owner=name)
            config_to_json(config)
            needs_of(algorithm, config, name)
        except Exception as error:
            problems.append(str(error))
    return problems


def _configured(spec: Json, layers: Layers) -> tuple[AlgorithmSpec, Any, Needs]:
    """An algorithm, its configuration and what that needs of a machine."""
    algorithm = algorithm_from_json(spec)
    config = resolve_config(importlib.import_module(algorithm.target).Config, *layers)
    return algorithm, config, needs_of(algorithm, config, algorithm.name)


def needs(spec: Json, layers: Layers) -> dict[str, Any]:
    """What a trial of an algorithm with this configuration needs of a machine."""
    return asdict(_configured(spec, layers)[2])


def train(
    spec: Json,
    layers: Layers,
    spaces: tuple[str, str],
    seeds: list[int],
    budget: int,
    points: int,
    stream: int | None,
    watched: bool,
) -> dict[str, Any]:
    """Train on the toy with these spaces, and tell all that checks ask about.

    ``stream`` is as in `Ring`; the policy is ``watched`` by asking it before and after evaluations.
    """
    algorithm, config, needed = _configured(spec, layers)
    task = toy_for(algorithm, *spaces, stream), tuple(seeds), budget, points, EPISODES
    how = (
        algorithm.trains_together(needed),
        algorithm.target,
        config_to_json(config),
        algorithm.views,
        replace(needed, cpus=1),
    )
    moved: list[int] = []
    at_mark = partial(_evaluate, moved) if watched else None
    training = Training(TrialDescription(*task, *how), folder=Path.cwd(), at_mark=at_mark).load()
    trial = training.trial
    before, state, recorded = running(), process_state(), _sum_of_data(trial)
    status, error = _run(training)
    gc.collect()
    return {
        "status": status,
        "error": error,
        "steps": trial.steps,
        "runs": [
            {
                "episodes": [[e.copy, e.value, e.length, e.terminated, e.truncated] for e in run.episodes],
                "evaluations": [[e.seed, e.value, e.length, e.step] for e in run.evaluations],
            }
            for run in trial.runs
        ],
        "outside": Ring.outside[:3],
        "moved": sum(moved),
        "changed": changes(state, process_state()) + ["the data set"] * (recorded != _sum_of_data(trial)),
        "left": left_over(before),
        "policy": probe(trial) if status in ("done", "unmetered") else None,  # if it came to its end
    }


def _evaluate(moved: list[int], trial: LocalTrial) -> None:
    """Evaluate, and note whether the policy acts otherwise afterwards; to ask it is part of the evaluation."""

    def asked() -> Any:
        with trial.meter.evaluating(trial._generators, 0):
            return actions(trial)

    before = asked()
    trial._evaluate()
    moved.append(not np.array_equal(before, asked()))


def _sum_of_data(trial: LocalTrial) -> list[float]:
    """What changes whenever somebody writes into the recorded transitions."""
    columns = trial.dataset() if "dataset" in trial.description.views else ()
    return [float(column.double().sum()) for column in columns]


def _run(training: Training) -> tuple[str, str]:
    """Train; returns the status and what went wrong."""
    try:
        training.run()
    except Diverged as diverged:
        return "diverged", str(diverged)
    except Unmetered as unmetered:
        return "unmetered", str(unmetered)
    except ContractBroken as broken:
        return "failed", str(broken)
    return "done", ""
