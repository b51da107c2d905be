"""How long it takes to load 2,000 stored runs. Bars: 3 s as folders, 1 s compacted."""

from pathlib import Path

import pytest

import harness
from support.results import ALGORITHMS, CARTPOLE, Run, learning_curve, write_compact, write_runs

RUNS = 2_000


def runs() -> list[Run]:
    curve = learning_curve(CARTPOLE, skill=0.9, speed=0.4, seed=0, points=21)
    return [Run(ALGORITHMS[i % 5], seed=i // 5, scores=curve) for i in range(RUNS)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("folders"), runs())


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_compact(tmp_path_factory.mktemp("compacted"), runs())


def test_load_2000_runs_from_folders(benchmark, folders):
    results = benchmark.pedantic(harness.load, args=(folders,), rounds=3, warmup_rounds=1)
    assert len(results.runs) == RUNS
    assert not results.problems


def test_load_2000_compacted_runs(benchmark, compacted):
    results = benchmark.pedantic(harness.load, args=(compacted,), rounds=3, warmup_rounds=1)
    assert len(results.runs) == RUNS
    assert not results.problems
