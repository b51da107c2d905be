"""How busy the runner keeps a cluster: its own plan order and loop, with an executor whose jobs take virtual seconds.

    python tests/simulations/scheduling.py

prints the table of docs/clusters.md, and what the runner itself takes on this machine; what it stores goes to
``$TMPDIR``, whose disk tells most of that. A job that ends leaves canned files, which the runner reads, checks and
commits as any others. The clock of the cluster jumps from one end to the next; where the runner is said to take time
for a job, the clock goes on by it meanwhile, and nobody gets work.
"""

import argparse
import heapq
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.api import AlgorithmSpec, Ended, EnvironmentSpec, Job
from harness.discovery.plugins import Plugin
from harness.discovery.registry import Entry, Registry
from harness.running.job_files import JOB
from harness.running.manifest import Session
from harness.running.plan import Contestant, Plan, make_cell
from harness.running.progress import Plain
from harness.running.runner import Runner
from harness.storage.store import Store
from harness.suite.reading import load_suite
from harness.suite.schema import TaskSettings
from support.results import leave_results

PLUGIN = Plugin("virtual", "rl-harness", "1", "virtual")
SUITE = """
[suite]
name = "virtual"
version = "1"
question = "How busy are the nodes?"
environments = ["e0"]
algorithms = ["a0"]
seeds = 1
[budget]
steps = 100
"""
BUDGETS = (50_000, 100_000, 200_000, 500_000)  # steps, of environments in turn
LOCKSTEP = 4  # every so many algorithms one trains all seeds of a cell at once,
TOGETHER = 3.0  # in the time of so many
SEEDS = 10
STEP_SECONDS = 0.002  # the median
SPREADS = {"algorithm": 0.6, "environment": 0.4, "trial": 0.15}  # standard deviations of logarithms of durations
COST = 0.05  # seconds that the runner takes for a trial, where it is charged: as on a disk that others use, too
SEED = 0


class Grid(NamedTuple):
    """Algorithms and environments of a suite, and the nodes for it."""

    nodes: int
    algorithms: int
    environments: int
    shorter: float = 1.0  # trials take so many times less
    results: bool = True  # whether jobs leave any; those that do not crash, and take as long


GRIDS = (
    Grid(64, 12, 20),
    Grid(64, 12, 20, shorter=30.0),
    Grid(1_000, 24, 64, results=False),
    Grid(1_000, 24, 64, shorter=30.0, results=False),
)


def planned(grid: Grid) -> Plan:
    """The plan of a suite whose durations nobody knows: all that tells of them is the budget."""
    contestants = []
    for a in range(grid.algorithms):
        spec = AlgorithmSpec(f"a{a}", f"virtual.a{a}", "1", lockstep=a % LOCKSTEP == LOCKSTEP - 1)
        contestants.append(Contestant(Entry(f"virtual/a{a}", spec, PLUGIN), f"virtual/a{a}", {}))
    cells = []
    for e in range(grid.environments):
        environment = Entry(f"virtual/e{e}", EnvironmentSpec(f"e{e}", f"Virtual-v{e}"), PLUGIN)
        task = TaskSettings(BUDGETS[e % len(BUDGETS)], 20, 10)
        cells += [make_cell(each, environment, "cpu", task, range(SEEDS)) for each in contestants]
    return Plan(load_suite(SUITE), tuple(cells))


class VirtualCluster:
    """An executor with room for a job on each node, and what it saw; the runner takes ``cost`` seconds for a job."""

    def __init__(self, grid: Grid, cost: float) -> None:
        self.jobs, self._grid, self._cost = grid.nodes, grid, cost
        self.now = self.busy = self.longest = 0.0
        self.runner_seconds = np.zeros(2)  # between our calls: by the clock, and of a processor
        self.ended = self._committed = 0
        self._running: list[tuple[float, str, Path, float]] = []  # a heap
        self._left_at = _clocks()
        self._factors: dict[tuple[str, str], float] = {}

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Our own work is none of the runner's."""
        self.runner_seconds += _clocks() - self._left_at
        yield
        self._left_at = _clocks()

    def lacks(self, device: str) -> str:
        return ""

    def has_room(self, device: str, cpus: int) -> bool:
        return len(self._running) < self.jobs

    def start(self, job: Job) -> None:
        with self._inside():
            seconds = self._seconds(json.loads((job.folder / JOB).read_text()))
            heapq.heappush(self._running, (self.now + seconds, job.id, job.folder, seconds))

    def wait(self, seconds: float) -> Sequence[Ended]:
        with self._inside():
            self.now += self._cost * (self.ended - self._committed)
            self._committed, ended = self.ended, []
            self.now = max(self.now, *(end for end, *_ in self._running[:1]), 0.0)
            while self._running and self._running[0][0] <= self.now:
                _, id, folder, took = heapq.heappop(self._running)
                self.busy, self.longest, self.ended = self.busy + took, max(self.longest, took), self.ended + 1
                if self._grid.results:
                    leave_results(folder)
                ended.append(Ended(id, "ended", "", took))
            return ended

    def progress(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        self._running.clear()

    def _seconds(self, told: Mapping[str, Any]) -> float:
        algorithm, environment = told["target"], told["environment"]["name"]
        alone = told["budget"] * STEP_SECONDS * (TOGETHER if len(told["seeds"]) > 1 else 1.0) / self._grid.shorter
        factors = (("algorithm", algorithm), ("environment", environment), ("trial", "".join(told["keys"])))
        return float(alone * np.prod([self._factor(*each) for each in factors]))

    def _factor(self, of: str, name: str) -> float:
        if (of, name) not in self._factors:
            rng = np.random.default_rng([SEED, *f"{of} {name}".encode()])
            self._factors[of, name] = float(rng.lognormal(0.0, SPREADS[of]))
        return self._factors[of, name]


def _clocks() -> Any:
    return np.array([time.perf_counter(), time.process_time()])


class Figures(NamedTuple):
    """What became of a suite."""

    jobs: int
    efficiency: float  # busy node-seconds of nodes x makespan
    best: float  # no order of these jobs could do better
    makespan: float
    mean_seconds: float  # of a job
    runner_seconds: float  # of the runner, per job
    processor_seconds: float  # of these


def simulated(grid: Grid, cost: float) -> Figures:
    """Run a suite on a cluster, in a folder that goes afterwards."""
    plan, cluster = planned(grid), VirtualCluster(grid, cost)
    registry, session = Registry.load(only=frozenset()), Session("virtual", "1", "How busy?", grid.nodes)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as nowhere:
        runner = Runner(Store(Path(folder)), cluster, registry, session, Plain(plan.runs, nowhere), None, 4.0)
        tally = runner.run(plan)
    assert tally.statuses == {"done" if grid.results else "crashed": plan.runs}, tally
    jobs, nodes, end = cluster.ended, grid.nodes, cluster.now
    best = cluster.busy / nodes / max(cluster.longest, cluster.busy / nodes)
    took = cluster.runner_seconds / jobs
    return Figures(jobs, cluster.busy / (nodes * end), best, end, cluster.busy / jobs, *map(float, took))


COLUMNS = ("nodes", "trials", "mean seconds", "busy", f"busy, {COST:g} s of the runner per trial", "best possible")


def row(grid: Grid, free: Figures, charged: Figures) -> str:
    """A line of the table."""
    shares = (f"{100 * share:.0f} %" for share in (free.efficiency, charged.efficiency, charged.best))
    return f"| {grid.nodes:,} | {free.jobs:,} | {free.mean_seconds:,.0f} | {' | '.join(shares)} |"


def main() -> None:
    """Print the table, or some rows of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", type=int, action="append", choices=range(len(GRIDS)), help="only this one")
    chosen = [GRIDS[index] for index in parser.parse_args().row or range(len(GRIDS))]
    print(f"| {' | '.join(COLUMNS)} |\n|{'--:|' * len(COLUMNS)}")
    for grid in chosen:
        free, charged = (simulated(grid, cost) for cost in (0.0, COST))
        print(row(grid, free, charged), flush=True)
        told = f"{free.runner_seconds:.4f} s per trial, {free.processor_seconds:.4f} s of them of a processor"
        print(f"the runner took {told}" if grid.results else "", file=sys.stderr)


if __name__ == "__main__":
    main()
