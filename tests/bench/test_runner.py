"""What running costs: seconds per trial that does nothing, and what a second job gains.

Bars: 0.1 s per trial after the first; with two jobs on two cores 1.8 times the steps per second of one.
"""

import os
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from harness.contract.executor import ExecutorOptions
from harness.discovery.registry import Registry
from harness.running.executor_local import LocalExecutor
from harness.running.manifest import Session
from harness.running.plan import Plan, make_plan
from harness.running.progress import Plain
from harness.running.runner import Runner
from harness.storage.store import Store
from harness.suite.reading import load_suite

SUITE = """
[suite]
name = "bench"
version = "1"
question = "What does running cost?"
environments = ["cartpole"]
algorithms = ["algorithms/random"]
seeds = {seeds}
[budget]
steps = {steps}
[evaluation]
points = 1
episodes = 1
"""
EQUAL_RUNS = 16


def planned(seeds: int, steps: int) -> Plan:
    return make_plan(load_suite(SUITE.format(seeds=seeds, steps=steps)), Registry.load())


def run(plan: Plan, folder: Path, executor: LocalExecutor) -> list[dict]:
    """Run a plan; returns the rows of its runs, in the order in which they finished."""
    rows: list[dict] = []
    registry = Registry.load()
    registry.run_finished = lambda row: rows.append(dict(row)) or []
    session = Session("bench", "1", "What does running cost?", executor.jobs)
    with Path(os.devnull).open("w") as nowhere:
        runner = Runner(Store(folder), executor, registry, session, Plain(plan.runs, nowhere), None, 4.0)
        assert not runner.run(plan).unfinished
    return rows


def test_seconds_per_trial_that_does_nothing(benchmark, tmp_path: Path):
    plan = planned(seeds=30 if benchmark.enabled else 3, steps=1)
    executor = LocalExecutor(ExecutorOptions(jobs=1))
    rows = benchmark.pedantic(run, args=(plan, tmp_path, executor), rounds=1)
    between = [_seconds(later["finished_at"]) - _seconds(earlier["finished_at"]) for earlier, later in pairwise(rows)]

    benchmark.extra_info["median_seconds_per_trial"] = median(between)
    assert len(rows) == plan.runs


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_two_jobs_beside_one(benchmark, tmp_path: Path):
    plan = planned(seeds=EQUAL_RUNS, steps=300_000 if benchmark.enabled else 300)
    speed = {}

    def both() -> None:
        for jobs in (1, 2):
            executor = LocalExecutor(ExecutorOptions(jobs=jobs))
            rows = run(plan, tmp_path / str(jobs), executor)
            began = min(_seconds(row["started_at"]) for row in rows)
            ended = max(_seconds(row["finished_at"]) for row in rows)
            speed[jobs] = sum(row["steps"] for row in rows) / (ended - began)

    benchmark.pedantic(both, rounds=1)

    benchmark.extra_info["speed_of_two_jobs"] = speed[2] / speed[1]
    assert len(speed) == 2
