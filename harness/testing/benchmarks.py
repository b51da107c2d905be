"""How fast algorithms train and act, in a plugin's own benchmarks: a lane for pytest-benchmark.

::

    from harness.testing.benchmarks import measure_acting, measure_training, parametrize_with_algorithms

    @parametrize_with_algorithms("climber")
    def test_training_speed(benchmark, algorithm):
        measure_training(benchmark, algorithm)

    @parametrize_with_algorithms("climber")
    def test_acting_speed(benchmark, algorithm):
        measure_acting(benchmark, algorithm)

The environment is the smallest there is, one of the rings on which ``harness check`` tries algorithms, so what is
timed is the algorithm. Every round does the same work, that of one seed; names do not depend on the machine, so that
``pytest --benchmark-compare`` finds the earlier measurement. Compare on one machine only.
"""

import contextlib
import importlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.conformance.toy_environments import ACTIONS, OBSERVATIONS, toy_for
from harness.contract.errors import UsageError
from harness.contract.specs import KNOWN_FUNCTIONS, AlgorithmSpec, EnvironmentSpec
from harness.discovery.compatibility import device_lacking, incompatibility
from harness.discovery.config import config_to_json, resolve_config
from harness.discovery.plugins import DISTRIBUTION
from harness.discovery.registry import Entry, Registry
from harness.discovery.selection import parse_selection
from harness.measuring import environments
from harness.measuring.description import TrialDescription
from harness.measuring.evaluation import actor
from harness.measuring.training import Training
from harness.measuring.trial import LocalTrial
from harness.running.describe import needs_of
from harness.running.plan import config_request

__all__ = ["installed_algorithms", "measure_acting", "measure_training", "parametrize_with_algorithms"]

Benchmark = Any  # the fixture of pytest-benchmark, which has no types

SEED = 0
STEPS = 2_000  # of one training
ROUNDS = 5
ACTING_ROUNDS = 20
ACTIONS_A_ROUND = 100


def installed_algorithms(*names: str) -> list[str]:
    """Ids of installed algorithms.

    Args:
        names: plugins or distributions, all of whose algorithms are meant, and algorithms, with presets and overrides
            or not: ``"dqn:paper[learning_starts=50]"``. Without names, every algorithm there is.

    Raises:
        UsageError: a name stands for nothing.
        MissingPlugin: likewise, since its plugin is not installed.
    """
    registry = Registry.load()
    if not names:
        return list(registry.algorithms)
    return list(dict.fromkeys(itertools.chain.from_iterable(_meant(name, registry) for name in names)))


def _meant(name: str, registry: Registry) -> list[str]:
    if any(plugin.answers_to({name}) for plugin in registry.plugins):
        return [id_ for id_, entry in registry.algorithms.items() if entry.plugin.answers_to({name})]
    selection = parse_selection(name)
    return [registry.resolve("algorithm", selection.id).id + selection.variant]


def parametrize_with_algorithms(*names: str) -> pytest.MarkDecorator:
    """Run a test, which takes the argument ``algorithm``, once for every algorithm that `installed_algorithms` gives.

    Raises:
        UsageError, MissingPlugin: as `installed_algorithms`, and where there is no algorithm.
    """
    if not (found := installed_algorithms(*names)):
        raise UsageError(f"there is no algorithm of {' or '.join(names) or 'any plugin'} to measure")
    return pytest.mark.parametrize("algorithm", found, ids=found)


def measure_training(benchmark: Benchmark, algorithm: str, *, steps: int = STEPS, device: str = "cpu") -> None:
    """Time whole trainings; ``steps_per_second``, from the median, is among ``extra_info``.

    Args:
        benchmark: the fixture of pytest-benchmark.
        algorithm: id, with preset and overrides or not. Where learning starts late, let it start earlier, or give
            more steps: what is timed before is acting only.
        steps: of the environment in each training.
        device: where to train.
    """
    with _subject(algorithm, steps, device) as subject:
        benchmark.group = "training"
        benchmark.pedantic(Training.run, setup=lambda: ((subject.training(),), {}), rounds=ROUNDS, warmup_rounds=1)
        _describe(benchmark, subject, steps)


def measure_acting(benchmark: Benchmark, algorithm: str, *, steps: int = STEPS, device: str = "cpu") -> None:
    """Time the trained policy on one observation at a time, as an evaluation of one episode would ask it.

    Args:
        benchmark: the fixture of pytest-benchmark.
        algorithm: as in `measure_training`.
        steps: of the training before, which is not timed.
        device: where to act.
    """
    with _subject(algorithm, steps, device) as subject:
        benchmark.group = "acting"
        training = subject.training()
        training.run()
        benchmark.pedantic(_asked(training.trial), rounds=ACTING_ROUNDS, iterations=ACTIONS_A_ROUND, warmup_rounds=1)
        _describe(benchmark, subject, 1)


@dataclass(frozen=True)
class _Subject:
    """An algorithm to measure, in this process."""

    id: str  # with preset and overrides
    entry: Entry[AlgorithmSpec]
    description: TrialDescription  # of each training
    device: str
    folder: Path  # in which environments of other processes meter

    def training(self) -> Training:
        """A fresh training, always of the same seed."""
        return Training(self.description, self.device, Path(tempfile.mkdtemp(dir=self.folder))).load()


@contextlib.contextmanager
def _subject(algorithm: str, steps: int, device: str) -> Iterator[_Subject]:
    """The algorithm, with the threads that a run of it would have."""
    registry = Registry.load()
    selection = parse_selection(algorithm)
    entry = registry.resolve("algorithm", selection.id)
    environment = _environment(registry, entry, device)
    request = config_request(entry, selection)
    with contextlib.ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-speed-")))
        config_class = importlib.import_module(entry.spec.target).Config
        config = resolve_config(config_class, *request.layers, owner=request.id)
        needs = needs_of(entry.spec, config, request.id)
        description = TrialDescription(
            environment,
            (SEED,),
            steps,
            lockstep=entry.spec.trains_together(needs),
            target=entry.spec.target,
            config=config_to_json(config),
            views=entry.spec.views,
            needs=needs,
        )
        yield _Subject(request.id, entry, description, device, folder)


def _environment(registry: Registry, entry: Entry[AlgorithmSpec], device: str) -> EnvironmentSpec:
    """The first ring that an algorithm can train on; skips the test where there is none, or something is missing."""
    if missing := registry.missing_requirements(entry):
        pytest.skip(f"{entry.id} needs {', '.join(missing)}")
    reasons = []
    for observation, action in itertools.product(OBSERVATIONS, ACTIONS):
        toy = toy_for(entry.spec, observation, action)
        unfit = incompatibility(entry.spec, observation, action, toy, KNOWN_FUNCTIONS)
        reasons.append(unfit or device_lacking(entry.spec, device))
        if not reasons[-1]:
            return toy
    pytest.skip(f"no ring can be trained on: {reasons[0]}")


def _asked(trial: LocalTrial) -> Callable[[], Any]:
    """A function that asks a trial's policy for one action, in the middle of an episode."""
    env = environments.make(trial.environment)
    act = actor(trial.policy, env, 1, trial.device, trial.description.lockstep)
    observation, _ = env.reset(seed=SEED)
    act([observation], np.ones(1, bool))  # the first one, with which a policy forgets earlier episodes
    going_on = np.zeros(1, bool)
    return lambda: act([observation], going_on)


def _describe(benchmark: Benchmark, subject: _Subject, steps: int) -> None:
    """Say what was measured; ``steps`` are those of one iteration."""
    entry = subject.entry
    benchmark.extra_info |= {
        "algorithm": subject.id,
        "version": entry.spec.version,
        "distribution": entry.plugin.source,
        "environment": subject.description.environment.id,
        "seeds": [SEED],
        "steps": subject.description.budget,
        "device": subject.device,
        "threads": subject.description.needs.cpus,
        "harness": metadata.version(DISTRIBUTION),
    }
    if benchmark.enabled:
        benchmark.extra_info["steps_per_second"] = round(steps / benchmark.stats.stats.median)
