"""What happens in the process of one trial: read the job, train, leave tables and an outcome behind.

Everything arrives and leaves as files in the job's folder, as JSON and Parquet. Only the parent commits results.
"""

import contextlib
import ctypes
import faulthandler
import importlib
import json
import multiprocessing.connection
import os
import random
import resource
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from harness.contract import ContractBroken
from harness.discovery.config import resolve_config
from harness.measuring import seeding
from harness.measuring.meter import Diverged
from harness.measuring.trial import LocalTrial, RunRecord, run_training
from harness.running import keys
from harness.specs import environment_from_json
from harness.storage.schema_tables import DIAGNOSTICS, EPISODES, EVALUATIONS, RUN_TABLE_FORMAT
from harness.storage.store import KEY

JOB, OUTCOME, PROGRESS, LOG = "job.json", "outcome.json", "progress", "log.txt"
BEAT_SECONDS = 0.5
PR_SET_CHILD_SUBREAPER = 36
# Servers that Python itself starts for an algorithm, and that have no public way to stop.
PYTHONS_OWN = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def main(folder: str, device: str) -> None:
    """Run the job in ``folder`` on ``device``; the exit code says nothing, the outcome file does."""
    path = Path(folder)
    _isolate(path)
    job = json.loads((path / JOB).read_text(encoding="utf-8"))
    seed_libraries(job["seeds"][0], job["threads"])
    outcome = _run(path, job, device)
    temporary = path / f"{OUTCOME}.part"
    temporary.write_text(json.dumps(outcome, allow_nan=False), encoding="utf-8")
    temporary.rename(path / OUTCOME)


def _isolate(folder: Path) -> None:
    """Own session, private working folder, output into the log; die with the harness."""
    os.setsid()
    _adopt_orphans()
    _die_with_parent()
    log = os.open(folder / LOG, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable()
    work = folder / "work"
    work.mkdir()
    os.chdir(work)


def _adopt_orphans() -> None:
    """Have Linux make this process the parent of orphaned descendants, so that none escapes by daemonising."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _die_with_parent() -> None:
    """End this process and its group when the harness ends, for whatever reason."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="harness-parent", daemon=True).start()


def seed_libraries(seed: int, threads: int) -> None:
    """Pin threads and the order of sums on a GPU, and seed the global generators that libraries draw from."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True  # because one seed shall give one result, bit for bit
    torch.backends.cudnn.allow_tf32 = False  # which would round the products of convolutions to ten bits
    torch.manual_seed(seeding.integer(seed, "torch"))
    np.random.seed(seeding.integer(seed, "numpy"))  # noqa: NPY002, since libraries draw from it
    random.seed(seeding.integer(seed, "python"))


def _run(folder: Path, job: dict[str, Any], device: str) -> dict[str, Any]:
    """Train and write the tables; returns the outcome."""
    trial: LocalTrial | None = None
    status, error = "done", ""
    shared = folder if job["processes"] == "many" else None
    try:
        trial = LocalTrial(
            environment_from_json(job["environment"]),
            job["seeds"],
            job["budget"],
            job["points"],
            job["episodes"],
            device,
            job["lockstep"],
            shared,
        )
        with _Heartbeat(folder / PROGRESS, trial):
            module = importlib.import_module(job["target"])
            run_training(trial, module.train, resolve_config(module.Config, job["config"]))
        _check_processes()
    except Diverged as diverged:
        status, error = "diverged", str(diverged)
    except ContractBroken as broken:
        status, error = "failed", str(broken)
    except (Exception, SystemExit):
        status, error = "failed", traceback.format_exc()
    runs = [] if trial is None else [_leave(folder, job, i, run) for i, run in enumerate(trial.runs)]
    return {"status": status, "error": error, "runs": runs, **_measurements(trial, device)}


def _check_processes() -> None:
    """Refuse processes that the algorithm left behind, and end them."""
    multiprocessing.active_children()  # joins those that have ended
    left = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE and not _is_pythons_own(process):
                left.append(process)
                process.kill()
    if left:
        raise ContractBroken(f"train left {len(left)} processes behind; stop them before it ends")


def _is_pythons_own(process: psutil.Process) -> bool:
    line = process.cmdline()
    forked_from_here = line == psutil.Process().cmdline()
    return not forked_from_here and any(module in " ".join(line) for module in PYTHONS_OWN)


def _leave(folder: Path, job: dict[str, Any], index: int, run: RunRecord) -> dict[str, Any]:
    """Write the tables of one run into the folder named by its key; returns its part of the outcome."""
    key = job["keys"][index]
    if KEY.fullmatch(key) is None:
        raise ValueError(f"not a run key: {key!r}")
    place = folder / key
    place.mkdir()
    evaluations = list(run.evaluations)
    episodes = [(k, *episode) for k, episode in enumerate(run.episodes)]
    _write(place / "evaluations.parquet", EVALUATIONS, key, evaluations)
    _write(place / "episodes.parquet", EPISODES, key, episodes)
    _write(place / "diagnostics.parquet", DIAGNOSTICS, key, run.diagnostics)
    returns = [(e.value, e.length) for e in run.episodes] + [(e.value, e.length) for e in evaluations]
    return {
        "key": key,
        "steps": run.meter.steps,
        "diverged": run.meter.diverged,
        "fingerprint": keys.fingerprint(returns),
    }


def _write(path: Path, schema: pa.Schema, key: str, rows: list[Any]) -> None:
    """Write rows, whose fields follow the schema's columns after the key."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(schema) - 1)
    arrays = [pa.array([key] * len(rows), pa.string())]
    arrays += [pa.array(column, f.type) for column, f in zip(columns, list(schema)[1:], strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, **RUN_TABLE_FORMAT)


def _measurements(trial: LocalTrial | None, device: str) -> dict[str, Any]:
    """Seconds, memory and threads of this process and the children it waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    gpu = torch.cuda.max_memory_allocated(device) / 2**20 if device.startswith("cuda") else None
    measured: dict[str, Any] = {
        "cpu_seconds": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak_memory_mib": max(own.ru_maxrss, children.ru_maxrss) / 1024,
        "peak_gpu_memory_mib": gpu,
        "device_name": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
    }
    if trial is not None:
        clock = trial.clock
        measured |= {
            "train_seconds": clock.training,
            # No such split exists where environments step beside learning, in other processes.
            "environment_seconds": clock.environment if trial.shared is None else None,
            "learning_seconds": clock.learning if trial.shared is None else None,
            "evaluation_seconds": clock.evaluation,
            "setup_seconds": clock.setup,
        }
    return measured


class _Heartbeat:
    """Writes the steps taken to a file every half second, for the progress display."""

    def __init__(self, path: Path, trial: LocalTrial) -> None:
        self._path = path
        self._trial = trial
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="harness-heartbeat", daemon=True)

    def _beat(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            while not self._over.wait(BEAT_SECONDS):
                os.pwrite(file.fileno(), self._trial.steps.to_bytes(8, "little"), 0)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
