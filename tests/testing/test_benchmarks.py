"""`harness.testing.benchmarks`: plugin authors time training and acting of installed algorithms."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness.contract.errors import MissingPlugin, UsageError
from harness.testing.benchmarks import (
    installed_algorithms,
    measure_acting,
    measure_training,
    parametrize_with_algorithms,
)

STEPS = 120
LANE = """
from harness.testing.benchmarks import measure_acting, measure_training, parametrize_with_algorithms

@parametrize_with_algorithms("harness-example")
def test_training_speed(benchmark, algorithm):
    measure_training(benchmark, algorithm, steps=300)

@parametrize_with_algorithms("harness-example")
def test_acting_speed(benchmark, algorithm):
    measure_acting(benchmark, algorithm, steps=300)
"""
PLUGIN = """
from harness.api import AlgorithmSpec, hookimpl
API = 1
@hookimpl
def harness_algorithms():
    yield AlgorithmSpec("rememberer", "{module}_code", "7", presets=dict(bold=dict(width=2)), {more})
"""
REMEMBERER = """
from dataclasses import dataclass
import numpy as np
import torch

@dataclass(frozen=True)
class Config:
    width: int = 1

class Memory:
    forgotten, asked = 0, 0
    def reset(self, mask):
        self.forgotten += int(mask.sum())
    def act(self, obs):
        self.asked += 1
        return np.zeros(len(obs), np.int64)

seen = []

def train(trial, config):
    trial.policy = Memory()
    seen.append((config.width, torch.get_num_threads(), trial.policy, trial.description.seeds))
    make = trial.env_factory(0) if trial.description.needs.processes == "many" else trial.make_env
    env = make()
    env.reset()
    while trial.within_budget:
        if any(env.step(0)[2:4]):
            env.reset()
"""


def lane(folder: Path, *options: str) -> str:
    """What pytest prints about a plugin's benchmarks in the folder."""
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_speed.py").write_text(LANE)
    (folder / "pytest.ini").write_text("[pytest]\n")
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests", *options]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment = {**plain, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}  # a worker of xdist measures nothing
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_later_measurement_is_compared_with_a_saved_one(tmp_path: Path) -> None:
    lane(tmp_path, "--benchmark-save=first")
    later = ["--benchmark-compare=0001", "--benchmark-save=second", "--benchmark-json=second.json"]
    shown = lane(tmp_path, *later, "--benchmark-columns=median")

    for name in ("test_training_speed[example/hill-climbing]", "test_acting_speed[example/hill-climbing]"):
        assert f"{name} (NOW)" in shown
        assert f"{name} (0001_first)" in shown
    assert len(list(tmp_path.glob(".benchmarks/*/*.json"))) == 2
    measured = {b["fullname"]: b for b in json.loads((tmp_path / "second.json").read_text())["benchmarks"]}
    training = measured["tests/test_speed.py::test_training_speed[example/hill-climbing]"]
    acting = measured["tests/test_speed.py::test_acting_speed[example/hill-climbing]"]
    assert training["params"] == acting["params"] == {"algorithm": "example/hill-climbing"}
    assert (training["group"], acting["group"]) == ("training", "acting")
    for found, steps in ((training, 300), (acting, 1)):
        described = found["extra_info"]
        assert described["steps_per_second"] == round(steps / found["stats"]["median"])
        described.pop("steps_per_second")
        assert described == {
            "algorithm": "example/hill-climbing",
            "version": "1",
            "distribution": "harness-example 0.1.0",
            "environment": "harness/RingBoxDiscrete-v0",
            "seeds": [0],
            "steps": 300,
            "device": "cpu",
            "threads": 1,
            "harness": "0.1.0",
        }


def test_without_names_all_installed_algorithms_are_meant() -> None:
    everything = installed_algorithms()

    assert {"example/hill-climbing", "algorithms/dqn", "sb3/dqn"} <= set(everything)
    assert len(everything) == len(set(everything))


def test_a_name_means_a_plugin_a_distribution_or_an_algorithm() -> None:
    for name in ("example", "harness-example", "hill-climbing", "example/hill-climbing"):
        assert installed_algorithms(name) == ["example/hill-climbing"]
    assert installed_algorithms("hill-climbing[noise=0.1]", "example") == [
        "example/hill-climbing[noise=0.1]",
        "example/hill-climbing",
    ]
    assert all(name.startswith("sb3/") for name in installed_algorithms("sb3"))


def test_names_of_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="hill-climbing"):
        parametrize_with_algorithms("hill-climbin")
    with pytest.raises(MissingPlugin, match="not installed"):
        parametrize_with_algorithms("absent/dqn")
    with pytest.raises(UsageError, match="no algorithm of environments"):
        parametrize_with_algorithms("environments")


def test_ids_of_tests_are_those_of_algorithms() -> None:
    mark = parametrize_with_algorithms("example").mark

    assert mark.kwargs["ids"] == mark.args[1] == ["example/hill-climbing"]


@pytest.mark.parametrize("measure", [measure_training, measure_acting])
@pytest.mark.parametrize("algorithm", ["algorithms/a2c", "algorithms/q_learning"])
def test_algorithms_in_lockstep_are_measured(benchmark, measure, algorithm) -> None:
    measure(benchmark, algorithm, steps=STEPS)

    assert benchmark.extra_info["algorithm"] == algorithm
    assert benchmark.extra_info["steps"] == STEPS


@pytest.mark.parametrize("more", ["", "processes='many'"])
def test_a_policy_with_memory_forgets_once_and_is_then_asked_on(benchmark, install, more) -> None:
    seen = installed(install, more)

    measure_acting(benchmark, "fake/rememberer", steps=STEPS)

    (_, _, policy, _) = seen[-1]
    evaluations = 2
    assert policy.forgotten == evaluations + 1
    assert policy.asked >= evaluations + 2


def test_presets_seed_and_threads_are_those_of_a_run_and_threads_are_put_back(benchmark, install) -> None:
    seen = installed(install, "cpus=2")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        measure_training(benchmark, "fake/rememberer:bold", steps=STEPS)
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert {(width, threads, seeds) for width, threads, _, seeds in seen} == {(2, 2, (0,))}
    assert after == 1
    assert benchmark.extra_info["algorithm"] == "fake/rememberer:bold"
    assert benchmark.extra_info["version"] == "7"


@pytest.mark.parametrize(
    ("more", "reason"),
    [("observation_spaces=('Dict',)", "observes Dict"), ("requires=('no-such-thing',)", "needs no-such-thing")],
)
def test_what_cannot_be_measured_here_is_skipped_with_the_reason(install, more, reason) -> None:
    installed(install, more)

    with pytest.raises(pytest.skip.Exception, match=reason):
        measure_training(None, "fake/rememberer")


def test_a_device_that_is_not_declared_is_a_reason_too(install) -> None:
    installed(install, "")

    with pytest.raises(pytest.skip.Exception, match="trains on cpu, not cuda"):
        measure_training(None, "fake/rememberer", device="cuda")


def installed(install, more: str) -> list:
    """Install a plugin; what its trainings have seen."""
    module = install("fake", PLUGIN.format(module="fake_dist_fake", more=more))
    module.with_name("fake_dist_fake_code.py").write_text(REMEMBERER)
    return importlib.import_module("fake_dist_fake_code").seen
