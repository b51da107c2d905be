"""The speed-up of A3C in virtual time: what is divided by what."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import harness

SCRIPT = Path(__file__).parents[2] / "docs" / "speedup.py"


@pytest.fixture
def speedup(monkeypatch):
    spec = importlib.util.spec_from_file_location("speedup", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # One worker makes 100 steps a second, four make 400; of two runs, one comes to the score at 400 and at 200 steps,
    # the other never and at 600 of 1,000.
    returns = {1: {0: (200, 0), 1: (0, 0)}, 4: {0: (200, 0), 1: (0, 200)}}
    reached = {1: (400, 800), 4: (200, 600)}
    runs, logged, points = [], [], []
    for workers in (1, 4):
        for seed in (0, 1):
            key = f"{workers}-{seed}"
            runs.append((key, f"algorithms/a3c[workers={workers}]", "done"))
            logged += [(key, step, "virtual_seconds", step / (100 * workers)) for step in (500, 1_000)]
            for step, value in zip(reached[workers], returns[workers][seed], strict=True):
                points += [(key, step, value - 1.0), (key, step, value + 1.0)]
    runs.append(("other", "algorithms/dppo[workers=2]", "done"))
    found = SimpleNamespace(
        runs=pd.DataFrame(runs, columns=["key", "algorithm", "status"]),
        diagnostics=pd.DataFrame(logged, columns=["key", "step", "name", "value"]),
        evaluations=pd.DataFrame(points, columns=["key", "step", "return"]),
    )
    monkeypatch.setattr(harness, "load", lambda folder: found)
    return module


def test_times_to_a_score_are_means_in_which_a_run_that_never_comes_there_counts_whole(speedup):
    table = speedup.speedups(Path("results"))

    assert table["workers"].tolist() == [1, 4]
    assert table["throughput"].tolist() == pytest.approx([1.0, 4.0])
    # (400 + 1,000) steps at 100 a second against (200 + 600) at 400
    assert table["to_score"].tolist() == pytest.approx([1.0, (14.0 / 2) / (2.0 / 2)])
    assert (table["reached"].tolist(), table["runs"].tolist()) == ([1, 2], [2, 2])


def test_the_picture_is_the_same_every_time(speedup, monkeypatch, tmp_path):
    monkeypatch.setattr(speedup, "FIGURE", tmp_path / "a.svg")
    speedup.draw(speedup.speedups(Path("results")))
    first = (tmp_path / "a.svg").read_bytes()
    speedup.draw(speedup.speedups(Path("results")))
    assert first == (tmp_path / "a.svg").read_bytes()
