"""Short versions of `simulations/scheduling.py`: the runner's own order and loop, on a clock that is not real."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from scheduling import COLUMNS, GRIDS, Figures, Grid, VirtualCluster, row, simulated

from support import documents
from support.paths import ROOT

SMALL = Grid(nodes=3, algorithms=4, environments=2)


def test_few_nodes_are_busy_to_the_end_and_less_where_the_runner_takes_its_time():
    free, slow = (simulated(SMALL, cost) for cost in (0.0, 200.0))

    assert free.jobs == 2 * (3 * 10 + 1)  # of four algorithms one trains its seeds together
    assert 0.9 < free.efficiency <= free.best <= 1
    assert slow.efficiency < 0.9 * free.efficiency
    assert free.efficiency * 3 * free.makespan == pytest.approx(free.jobs * free.mean_seconds)


def test_a_full_executor_is_not_asked_again_for_each_trial_that_waits(monkeypatch: pytest.MonkeyPatch):
    asked: list[bool] = []
    has_room = VirtualCluster.has_room
    monkeypatch.setattr(VirtualCluster, "has_room", lambda *given: asked.append(has_room(*given)) or asked[-1])

    jobs = simulated(SMALL, 0.0).jobs

    assert asked.count(True) == jobs
    assert asked.count(False) <= jobs


def test_the_guide_has_a_row_for_every_grid_and_keeps_its_bar():
    rows = documents.table(ROOT / "docs" / "clusters.md", *COLUMNS)

    assert [line[0] for line in rows] == [f"{grid.nodes:,}" for grid in GRIDS]
    for grid, line in zip(GRIDS, rows, strict=True):
        trials = grid.environments * sum(1 if a % 4 == 3 else 10 for a in range(grid.algorithms))
        assert line[1] == f"{trials:,}"
        assert grid.nodes != 64 or int(line[3].removesuffix(" %")) >= 90


def test_a_row_is_a_line_of_the_table():
    figures = Figures(10, 0.991, 1.0, 100.0, 5.0, 0.01, 0.005)

    assert row(Grid(64, 1, 1), figures, figures) == "| 64 | 10 | 5 | 99 % | 99 % | 100 % |"
    assert row(Grid(64, 1, 1), figures, figures).count("|") == len(COLUMNS) + 1
