"""What a report of 1,000 runs costs, and the statistics of a large one, in seconds of processor time of one thread.

Bars: the page of 5 algorithms on 20 environments with 10 seeds in at most 15 s and 5 MB, without a complaint of a
browser; every table of statistics of 5 algorithms with 10 runs on 26 environments and 50 evaluations in at most 2 s,
learning curves and tables of one algorithm not counted.
"""

from pathlib import Path
from time import process_time

import pytest

import harness
from harness.analysis.results import Results
from harness.discovery.registry import Registry
from harness.reporting.report import write_report
from support import results
from support.browser import CHROMIUM, chromium
from support.results import ALGORITHMS, Environment, Run, learning_curve, write_compact

MEGABYTES = 5


def runs(environments: int, points: int) -> list[Run]:
    """Ten seeds of five algorithms, the later ones better and slower."""
    tasks = [Environment(f"task-{i:02d}", f"Task{i:02d}-v1", 0.0, 100.0, 80.0, 20_000) for i in range(environments)]
    return [
        Run(
            algorithm,
            task,
            seed,
            scores=learning_curve(task, 0.5 + 0.1 * rank, 0.25 + 0.08 * rank, seed, points),
            seconds=5.0 * (1 + rank) * (1 + 0.03 * seed),
        )
        for task in tasks
        for rank, algorithm in enumerate(ALGORITHMS)
        for seed in range(10)
    ]


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "EPISODES_PER_EVALUATION", 10)
        return write_compact(tmp_path_factory.mktemp("thousand"), runs(environments=20, points=21))


@pytest.mark.benchmark(timer=process_time)
def test_report_of_1000_runs(benchmark, thousand: Path, tmp_path: Path):
    def report() -> Path:
        return write_report(harness.load(thousand), Registry.load(only=frozenset()), tmp_path)

    page = benchmark.pedantic(report, rounds=1)
    assert page.stat().st_size <= MEGABYTES * 1e6
    benchmark.extra_info["megabytes"] = page.stat().st_size / 1e6
    if CHROMIUM is not None:
        with chromium(tmp_path / "profile") as browser:
            for dark in (False, True):
                browser.open(page, dark=dark)
                assert browser.complaints() == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_compact(tmp_path_factory.mktemp("large"), runs(environments=26, points=50))


@pytest.mark.benchmark(timer=process_time)
def test_statistics_of_1300_runs(benchmark, large: Path):
    def loaded() -> tuple[tuple[Results], dict[str, object]]:
        results = harness.load(large)
        results.points  # noqa: B018
        return (results,), {}

    def statistics(results: Results) -> None:
        for table in (
            "aggregates",
            "profiles",
            "improvement",
            "pairwise",
            "pairwise_steps",
            "overall_curves",
            "trade_off",
            "reliability",
        ):
            assert len(getattr(results, table)())

    benchmark.pedantic(statistics, setup=loaded, rounds=3, warmup_rounds=1)
