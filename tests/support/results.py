"""Synthetic stored runs, byte for byte in the layout of the results folder, so that tests need no training."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.measuring.description import RunOutcome, TrialOutcome
from harness.running.job_files import JOB, OUTCOME, leave
from harness.storage.schema_tables import (
    COMPACT_RUNS,
    DIAGNOSTICS,
    EPISODES,
    EVALUATIONS,
    RUN_FORMAT,
    RUN_TABLE_FORMAT,
    TABLES,
    fingerprint,
)

EPISODES_PER_EVALUATION = 5


@dataclass(frozen=True)
class Environment:
    """A task and how returns on it look."""

    name: str
    id: str
    random: float | None
    reference: float | None
    threshold: float | None
    budget: int = 20_000
    lowest: float | None = None
    highest: float | None = None


CARTPOLE = Environment("cartpole", "CartPole-v1", 22.0, 500.0, 475.0)
ENVIRONMENTS = (
    Environment("acrobot", "Acrobot-v1", -499.0, -75.0, -100.0, 50_000),
    CARTPOLE,
    Environment("cliff-walking", "CliffWalking-v1", -5_000.0, -13.0, -20.0, 10_000),
    Environment("frozen-lake", "FrozenLake-v1", 0.014, 0.74, 0.7, 100_000),
    Environment("mountain-car", "MountainCar-v0", -200.0, -100.0, -110.0, 100_000),
    Environment("pendulum", "Pendulum-v1", -1_230.0, -150.0, None, 30_000),
)
ALGORITHMS = ("algorithms/dqn:tutorial", "algorithms/q_learning", "algorithms/random", "algorithms/sarsa", "sb3/dqn")


@dataclass(frozen=True)
class Run:
    """One stored run: what it is, and its learning curve."""

    algorithm: str = "algorithms/q_learning"
    environment: Environment = CARTPOLE
    seed: int = 0
    status: str = "done"
    error: str = ""
    scores: tuple[float, ...] = (20.0, 30.0, 40.0)  # mean return of each evaluation, evenly spread to the budget
    seconds: float = 8.0  # of training
    suite: str = "synthetic"
    changes: dict[str, Any] = field(default_factory=dict)  # of columns
    luck: int = 0  # in training: another gives other returns there, and so another fingerprint

    @property
    def key(self) -> str:
        parts = [self.suite, self.algorithm, self.environment.name, self.seed, self.row_without_key]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]

    @property
    def row(self) -> dict[str, Any]:
        return {"key": self.key, **self.row_without_key}

    @property
    def row_without_key(self) -> dict[str, Any]:
        identifier = self.algorithm.partition("[")[0].partition(":")[0]
        ran = self.status != "skipped"
        environment = self.environment
        shares = {"environment": 0.3, "learning": 0.7, "evaluation": 0.2, "setup": 0.05, "train": 1.0, "total": 1.3}
        return {
            "suite": self.suite,
            "algorithm": self.algorithm,
            "algorithm_id": identifier,
            "algorithm_version": "1",
            "config": json.dumps({"learning_rate": 0.1}),
            "environment": environment.name,
            "environment_id": environment.id,
            "environment_version": "1",
            "seed": self.seed,
            "device": "cpu",
            "status": self.status,
            "error": self.error,
            "steps": environment.budget if self.status == "done" else 0,
            "budget": environment.budget,
            **{f"{part}_seconds": share * self.seconds if ran else None for part, share in shares.items()},
            "cpu_seconds": 1.1 * self.seconds if ran else None,
            "peak_memory_mib": 310.5 if ran else None,
            "peak_gpu_memory_mib": None,
            "planning_seconds": 0.0 if ran else None,
            "simulated_steps": 0 if ran else None,
            "budget_unit": "step",
            "fits": True,
            "threads": 1,
            "jobs": 2,
            "runs_in_trial": 1,
            "fingerprint": self.fingerprint if ran else "",
            "task_hash": hashlib.sha256(environment.name.encode()).hexdigest()[:20],
            "started_at": "2026-01-02T03:04:05.678+00:00",
            "finished_at": f"2026-01-02T03:05:{self.seed % 60:02d}.000+00:00",
            "machine": "AMD EPYC 9B14, 2 cores, 7.8 GiB, Linux x86_64",
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "random_score": environment.random,
            "reference_score": environment.reference,
            "threshold": environment.threshold,
            "lowest_return": environment.lowest,
            "highest_return": environment.highest,
            "streams": "seed and environment",
        } | self.changes

    @property
    def manifest(self) -> dict[str, Any]:
        return {
            "suite": {
                "name": self.suite,
                "version": "1",
                "question": "Which algorithm learns with the fewest steps, and which in the least time?",
            },
            "versions": {"python": "3.11.7", "rl-harness": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
            "hardware": {"processor": "AMD EPYC 9B14", "cores": 2, "memory_gib": 7.8, "system": "Linux x86_64"},
            "git": {"commit": self.row["commit"], "dirty_diff": ""},
            "command": ["harness", "run", self.suite],
        }

    @cached_property
    def fingerprint(self) -> str:
        returns = [*self.trained, *self.evaluated]
        return fingerprint(returns, [50] * len(self.trained) + [100] * len(self.evaluated)) if self.scores else ""

    @property
    def trained(self) -> np.ndarray:
        return np.random.default_rng([self.seed, 7, self.luck]).normal(size=max(1, 3 * len(self.scores)))

    @property
    def evaluated(self) -> np.ndarray:
        k = EPISODES_PER_EVALUATION
        return np.repeat(self.scores, k) + np.tile(np.arange(k) - (k - 1) / 2, len(self.scores))

    def tables(self) -> dict[str, pa.Table]:
        key, random = self.key, np.random.default_rng([self.seed, 7])
        points, last = len(self.scores), max(1, len(self.scores) - 1)
        if not points or self.status == "skipped":
            return {}
        steps = [round(self.environment.budget * i / last) for i in range(points)]
        k, rows = EPISODES_PER_EVALUATION, points * EPISODES_PER_EVALUATION
        episodes = max(1, 3 * points)
        evaluations = {
            "key": [key] * rows,
            "evaluation": np.repeat(np.arange(points), k),
            "step": np.repeat(steps, k),
            "train_seconds": np.repeat([self.row["train_seconds"] * i / last for i in range(points)], k),
            "episode": np.tile(np.arange(k), points),
            "seed": random.integers(0, 2**31, rows),
            "return": self.evaluated,
            "length": np.full(rows, 100),
            "terminated": np.ones(rows, bool),
            "truncated": np.zeros(rows, bool),
        }
        training = {
            "key": [key] * episodes,
            "episode": np.arange(episodes),
            "copy": np.zeros(episodes),
            "step": np.linspace(1, self.environment.budget, episodes).astype(int),
            "train_seconds": np.linspace(0, self.row["train_seconds"], episodes),
            "return": self.trained,
            "length": np.full(episodes, 50),
            "terminated": np.ones(episodes, bool),
            "truncated": np.zeros(episodes, bool),
        }
        logged = {"key": [key] * points, "step": steps, "name": ["loss"] * points, "value": np.exp(-np.arange(points))}
        named = zip(TABLES, (evaluations, training, logged), (EVALUATIONS, EPISODES, DIAGNOSTICS), strict=True)
        return {name: pa.table(columns, schema=schema) for name, columns, schema in named}


def write_run(folder: Path, run: Run) -> Path:
    """Store a run below the folder of its suite; returns its folder."""
    place = folder / run.key
    place.mkdir(parents=True)
    for name, table in run.tables().items():
        pq.write_table(table, place / f"{name}.parquet", **RUN_TABLE_FORMAT)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(place.iterdir())}
    content = {"schema": RUN_FORMAT, "run": run.row, "manifest": {**run.manifest, "files": files}}
    (place / "run.json").write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
    return place


@dataclass(frozen=True)
class _Canned(Run):
    """A run whose key is given."""

    told: str = ""

    @property
    def key(self) -> str:
        return self.told


def leave_results(job: Path) -> None:
    """Leave in the folder of a job what it would have left, had it trained: 21 evaluations of each of its runs."""
    told = json.loads((job / JOB).read_text(encoding="utf-8"))
    task, runs = Environment("any", "Any-v0", 0.0, 1.0, None, told["budget"]), []
    for key, seed in zip(told["keys"], told["seeds"], strict=True):
        run = _Canned(environment=task, seed=seed, scores=tuple(map(float, range(21))), told=key)
        (job / key).mkdir()
        for name, table in run.tables().items():
            pq.write_table(table, job / key / f"{name}.parquet", **RUN_TABLE_FORMAT)
        runs.append(RunOutcome(key, task.budget, 0, run.fingerprint))
    leave(job / OUTCOME, asdict(TrialOutcome("done", runs=tuple(runs), machine="virtual")))


def edited(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the ``run.json`` of a stored run."""
    path = place / "run.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def rewritten(place: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a table of a stored run, with its checksum."""
    path = place / f"{name}.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    edited(place, lambda content: content["manifest"].setdefault("files", {}).update({path.name: checksum}))


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with other values in a column."""
    return table.set_column(table.column_names.index(name), table.schema.field(name), values)


def fingerprinted(place: Path) -> None:
    """Give a stored run the fingerprint of its tables."""
    tables = [pq.read_table(place / f"{name}.parquet") for name in ("episodes", "evaluations")]
    returns, lengths = (np.concatenate([table[name] for table in tables]) for name in ("return", "length"))
    edited(place, lambda content: content["run"].update(fingerprint=fingerprint(returns, lengths)))


def write_runs(folder: Path, runs: Iterable[Run]) -> Path:
    """Store runs; returns the folder."""
    for run in runs:
        write_run(folder, run)
    return folder


def write_compact(folder: Path, runs: Iterable[Run]) -> Path:
    """Store runs in compacted tables; returns the folder."""
    runs, place = list(runs), folder / "compact"
    place.mkdir(parents=True)
    rows = [{**run.row, "manifest": json.dumps(run.manifest)} for run in runs]
    pq.write_table(pa.Table.from_pylist(rows, schema=COMPACT_RUNS), place / "runs.parquet", compression="zstd")
    for name, schema in TABLES.items():
        tables = [tables[name] for run in runs if (tables := run.tables())]
        whole = pa.concat_tables(tables or [schema.empty_table()])
        pq.write_table(whole, place / f"{name}.parquet", compression="zstd")
    return folder


def learning_curve(
    environment: Environment, skill: float, speed: float, seed: int, points: int = 21
) -> tuple[float, ...]:
    """Scores of a run that comes to ``skill`` (0 random, 1 reference), half way at ``speed`` of its budget."""
    random = np.random.default_rng([seed, round(1000 * skill), round(1000 * speed), len(environment.name)])
    low, high = environment.random or 0.0, environment.reference or 1.0
    half = speed * float(random.lognormal(0, 0.25))
    reached = skill * float(random.normal(1, 0.04))
    x = np.linspace(0, 1, points)
    level = reached / (1 + np.exp(-12 * (x - half))) + random.normal(0, 0.02, points)
    level[0] = 0.0
    return tuple(float(low + (high - low) * value) for value in np.clip(level, -0.05, 1.0))


def realistic_suite(seeds: int = 10) -> list[Run]:
    """6 environments x 5 algorithms x seeds: some runs fail, one cell is skipped, some never arrive."""
    skills = {"dqn": (0.97, 0.35), "q_learning": (0.95, 0.3), "random": (0.0, 0.5), "sarsa": (0.93, 0.4)}
    runs = []
    for environment in ENVIRONMENTS:
        for algorithm in ALGORITHMS:
            skill, speed = skills[algorithm.rpartition("/")[2].partition(":")[0]]
            speed += 0.15 if algorithm.startswith("sb3") else 0.0
            seconds = environment.budget / (9_000 if skill == 0 else 2_500 if algorithm.startswith("a") else 600)
            for seed in range(seeds):
                scores = learning_curve(environment, skill, speed, seed)
                run = Run(algorithm, environment, seed, scores=scores, seconds=seconds * (1 + 0.01 * seed))
                runs.append(_with_misfortune(run))
    return runs


def _with_misfortune(run: Run) -> Run:
    cell = (run.algorithm, run.environment.name)
    if cell == ("algorithms/q_learning", "pendulum"):
        reason = "q_learning acts in Discrete, not Box"
        return replace(run, status="skipped", error=reason, scores=())
    if cell == ("sb3/dqn", "mountain-car") and run.seed in (3, 7):
        error = 'Traceback (most recent call last):\n  File "dqn.py", line 3, in train\nValueError: NaN in <loss>'
        return replace(run, status="failed", error=error, scores=run.scores[:8])
    if cell == ("sb3/dqn", "acrobot") and run.seed == 9:
        return replace(run, status="timeout", error="stopped after 600 seconds", scores=())
    if cell == ("algorithms/sarsa", "mountain-car") and run.seed % 3 == 0:
        return replace(run, scores=tuple(min(score, -150.0 + math.sin(i)) for i, score in enumerate(run.scores)))
    if cell == ("algorithms/dqn:tutorial", "cartpole"):
        return replace(run, changes={"runs_in_trial": 10, "train_seconds": 12.0})
    return run
