"""What happens in the process of one trial: read the job, train, leave tables and an outcome behind.

Everything arrives and leaves as files in the job's folder, as JSON and Parquet. Only the runner commits results. This
is the part that is the same wherever a job runs; sessions, limits and dying with a parent belong to executors.
"""

import contextlib
import faulthandler
import json
import multiprocessing
import os
import resource
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from harness.contract.specs import as_json
from harness.contract.trial import ContractBroken
from harness.measuring.description import RunOutcome, Status, TrialDescription, TrialOutcome
from harness.measuring.records import Diverged, Episode, EvaluationEpisode, Unmetered
from harness.measuring.training import Training
from harness.measuring.trial import LocalTrial
from harness.running import provenance
from harness.running.job_files import JOB, LOG, OUTCOME, PLACE, PROGRESS, leave
from harness.storage.schema_tables import DIAGNOSTICS, EPISODES, EVALUATIONS, KEY, RUN_TABLE_FORMAT, fingerprint
from harness.text import bounded

BEAT_SECONDS = 0.5
# Servers that Python itself starts for an algorithm, and that have no public way to stop.
PYTHONS_OWN = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def run_job(folder: Path, device: str, from_afar: bool = False) -> None:
    """Run the job in ``folder``, which receives all that it leaves; its outcome file says how training went.

    ``device`` is "cpu", "cuda" or a certain GPU, as in "cuda:1". A job ``from_afar`` fails where other code is
    installed than where it was made. The log says why it leaves no outcome.
    """
    folder = folder.resolve()
    with _apart(folder):
        try:
            told = json.loads((folder / JOB).read_text(encoding="utf-8"))
            code = told.pop("code", {})
            place = TrialOutcome("", "", (), {}, provenance.machine(), provenance.hardware())
            leave(folder / PLACE, as_json(place))
            if other := provenance.differences(code) if from_afar else "":
                error = f"this machine has other code than the one that started the suite: {other}"
                leave(folder / OUTCOME, as_json(replace(place, status="failed", error=bounded(error))))
            else:
                leave(folder / OUTCOME, as_json(_outcome(folder, TrialDescription.from_json(told), device)))
        except BaseException:
            traceback.print_exc()
            raise


@contextlib.contextmanager
def _apart(folder: Path) -> Iterator[None]:
    """A working folder of its own, and output into the log of the job."""
    before, streams, kept = os.getcwd(), (sys.stdout, sys.stderr), [os.dup(1), os.dup(2)]
    log = os.open(folder / LOG, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
    faulthandler.enable(2)
    work = folder / "work"
    work.mkdir()
    os.chdir(work)
    try:
        yield
    finally:
        os.chdir(before)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        sys.stdout, sys.stderr = streams
        for number, descriptor in zip((1, 2), kept, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _outcome(folder: Path, description: TrialDescription, device: str) -> TrialOutcome:
    """Train and write the tables."""
    trial: LocalTrial | None = None
    status: Status = "done"
    error = ""
    try:
        training = Training(description, device, folder)
        trial = training.trial
        with _heartbeat(folder / PROGRESS, trial):
            training.run()
        _check_processes()
    except Diverged as diverged:
        status, error = "diverged", str(diverged)
    except Unmetered as unmetered:
        status, error = "unmetered", str(unmetered)
    except ContractBroken as broken:
        status, error = "failed", str(broken)
    except BaseException:  # an algorithm's own KeyboardInterrupt, too: Ctrl-C does not reach this process
        status, error = "failed", traceback.format_exc()
    try:
        runs = () if trial is None else tuple(_left(folder, trial, i) for i in range(len(trial.runs)))
    except Exception:  # limits that an algorithm set itself, or what it has put in their place
        runs, status, error = (), "failed", error or traceback.format_exc()
    facts = (_measured(trial, device), provenance.machine(), provenance.hardware())
    return TrialOutcome(status, bounded(error), runs, *facts)


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


def _left(folder: Path, trial: LocalTrial, index: int) -> RunOutcome:
    """Write the tables of one run into the folder named by its key."""
    run, key = trial.runs[index], trial.description.keys[index]
    if KEY.fullmatch(key) is None:
        raise ValueError(f"not a run key: {key!r}")
    place = folder / key
    place.mkdir()
    episodes = [(k, *episode) for k, episode in enumerate(run.episodes)]
    _write(place / "evaluations.parquet", EVALUATIONS, key, run.evaluations)
    _write(place / "episodes.parquet", EPISODES, key, episodes)
    _write(place / "diagnostics.parquet", DIAGNOSTICS, key, run.diagnostics)
    every: list[Episode | EvaluationEpisode] = [*run.episodes, *run.evaluations]
    known_by = fingerprint([each.value for each in every], [each.length for each in every])
    return RunOutcome(key, trial.steps, run.simulated, known_by, run.diverged, tuple(run.drawings))


def _write(path: Path, schema: pa.Schema, key: str, rows: list[Any]) -> None:
    """Write rows, whose fields follow the schema's columns after the key."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(schema) - 1)
    arrays = [pa.array([key] * len(rows), pa.string())]
    arrays += [pa.array(column, f.type) for column, f in zip(columns, list(schema)[1:], strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, **RUN_TABLE_FORMAT)


def _measured(trial: LocalTrial | None, device: str) -> dict[str, Any]:
    """Seconds, memory and device of this process and the children it waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    on_gpu = device.startswith("cuda")
    measured: dict[str, Any] = {
        "cpu_seconds": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak_memory_mib": max(own.ru_maxrss, children.ru_maxrss) / (2**20 if sys.platform == "darwin" else 2**10),
        "peak_gpu_memory_mib": torch.cuda.max_memory_allocated(device) / 2**20 if on_gpu else None,
        "device_name": torch.cuda.get_device_name(device) if on_gpu else "cpu",
    }
    if trial is not None:
        clock, alone = trial.clock, trial.description.needs.processes == "one"
        measured |= {
            "train_seconds": clock.training,
            # No such split exists where environments step beside learning, in other processes.
            "environment_seconds": clock.environment if alone else None,
            "learning_seconds": clock.learning if alone else None,
            "evaluation_seconds": clock.evaluation,
            "setup_seconds": clock.setup,
            "planning_seconds": clock.planning,
        }
    return measured


@contextlib.contextmanager
def _heartbeat(path: Path, trial: LocalTrial) -> Iterator[None]:
    """Write the steps taken to a file every half second meanwhile, for the progress display."""
    over = threading.Event()

    def beat() -> None:
        with path.open("wb", buffering=0) as file:
            while not over.wait(BEAT_SECONDS):
                os.pwrite(file.fileno(), trial.steps.to_bytes(8, "little"), 0)

    thread = threading.Thread(target=beat, name="harness-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
