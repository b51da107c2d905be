"""The driver's side: one Ray task for each job, and the only process that writes results."""

import contextlib
import importlib.metadata
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.api import Ended, ExecutorOptions, Job, UsageError, code
from harness_ray import node

ADDRESS = "address"
LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
AUTHENTICATION = "RAY_AUTH_MODE"  # not set, Ray takes a token along only to a cluster that it finds itself
REACH_SECONDS = 5.0  # for somebody to answer at an address; Ray itself would try for minutes
JOINS = 3  # attempts: where the process that Ray starts for each client ends as it begins, the next one may not
EXAMINE_SECONDS = 120.0  # for all nodes to import the harness
ATTEMPTS = 4  # at a job whose node or whose task's process was lost
CANCEL_SECONDS = 15.0  # for nodes to end their jobs
READ_SECONDS = 1.0  # between two looks at the board
QUIET = {"log_to_driver": False, "logging_level": "CRITICAL"}


def create(options: ExecutorOptions) -> "RayExecutor":
    """The executor for these options; its one setting is the address of the cluster."""
    settings = dict(options.settings)
    address = settings.pop(ADDRESS, LOCAL)
    if settings:
        raise UsageError(f"--executor-option {next(iter(settings))}: unknown; there is {ADDRESS}")
    _connect(address, options.jobs)
    try:
        _examine(address)
        return RayExecutor(options, address)
    except BaseException:
        ray.shutdown()
        raise


def _connect(address: str, jobs: int) -> None:
    """Join the cluster, or start one of this machine that ends with this process."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address == LOCAL:
            ray.init(address=LOCAL, num_cpus=jobs or None, include_dashboard=False, **QUIET)
        else:
            _reach(address)
            _join(address)
    except (OSError, ValueError, RuntimeError, exceptions.RayError) as error:  # no ConnectionError alone: see Ray
        form = f"{AUTO} (the cluster of this machine), HOST:PORT, {CLIENT}HOST:PORT or {LOCAL} (this machine alone)"
        token = "" if AUTHENTICATION in os.environ else f", and set {AUTHENTICATION}=token if the cluster has a token"
        raise UsageError(
            f"--executor-option {ADDRESS}={address}: no Ray cluster can be used: {_line(error)}; write {form}{token}"
        ) from None


def _join(address: str) -> None:
    """Join the cluster at an address; raises what Ray raises."""
    for attempt in range(1, JOINS + 1):
        try:
            ray.init(address=address, **QUIET)
            return
        except ConnectionAbortedError:
            ray.shutdown()
            if attempt == JOINS:
                raise


def _reach(address: str) -> None:
    """Raise an OSError if nobody listens at an address."""
    if address == AUTO:
        from ray._private.services import canonicalize_bootstrap_address_or_die

        address = canonicalize_bootstrap_address_or_die(AUTO)
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not port.isdigit():
        raise ValueError("it names no host and port")
    socket.create_connection((host.strip("[]") or "localhost", int(port)), REACH_SECONDS).close()


def _examine(address: str) -> None:
    """Refuse a cluster of which a node has another harness, or another version of a plugin that it has."""
    installed = {point.dist.name for point in importlib.metadata.entry_points(group="harness") if point.dist}
    told = code(*sorted(installed))
    asked = []
    for each in _nodes():
        only_there = NodeAffinitySchedulingStrategy(each["NodeID"], soft=False)
        task = ray.remote(node.examine).options(num_cpus=0, max_retries=0, scheduling_strategy=only_there)
        asked.append((each["NodeManagerAddress"], task.remote(told)))
    for place, answer in asked:
        try:
            other = ray.get(answer, timeout=EXAMINE_SECONDS)
        except (exceptions.RayTaskError, exceptions.GetTimeoutError) as error:
            other = _line(error)
        except exceptions.RayError:  # the node is lost, as any may be later
            other = ""
        if other:
            raise UsageError(
                f"--executor-option {ADDRESS}={address}: node {place} cannot run trials of this harness: {other}; "
                "install there what is installed here"
            )


def _nodes() -> list[dict[str, Any]]:
    return [each for each in ray.nodes() if each["Alive"]]


@dataclass
class _Running:
    """A job and the task that runs it."""

    job: Job
    task: Any  # reference to what it will return
    began: float
    attempts: int = 1


class RayExecutor:
    """Runs each job as a task of a Ray cluster, which claims processors and parts of GPUs for it."""

    def __init__(self, options: ExecutorOptions, address: str) -> None:
        resources = [each["Resources"] for each in _nodes()]
        self._address = address
        self._widest = max((each.get("CPU", 0) for each in resources), default=0)
        self._gpus = sum(each.get("GPU", 0) for each in resources)
        self._gpu_share = options.gpu_share
        self.jobs = options.jobs or max(1, int(sum(each.get("CPU", 0) for each in resources)))
        self._run = ray.remote(node.run)
        self._board = ray.remote(node.Board).options(num_cpus=0, max_restarts=-1).remote()
        self._reading: Any = None  # reference to what the board says
        self._read_at = 0.0
        self._steps: Mapping[str, int] = {}
        self._running: dict[str, _Running] = {}

    def lacks(self, device: str) -> str:
        """Whether no node has such a device."""
        if device == "cuda":
            return "" if self._gpus >= self._gpu_share else f"no GPU in the Ray cluster at {self._address}"
        return "" if self._widest >= 1 else f"no processor in the Ray cluster at {self._address}"

    def has_room(self, device: str, cpus: int) -> bool:
        """Whether so many cores and, on cuda, a share of a GPU are not ours yet; whose they are else, Ray knows."""
        used = sum(min(running.job.cpus, self.jobs) for running in self._running.values())
        shares = sum(running.job.device == "cuda" for running in self._running.values()) + (device == "cuda")
        per_gpu = int(1 / self._gpu_share + 1e-9)
        return used + min(cpus, self.jobs) <= self.jobs and shares <= per_gpu * self._gpus

    def start(self, job: Job) -> None:
        """Hand a job's files to a task."""
        self._running[job.id] = _Running(job, self._task(job), time.monotonic())

    def _task(self, job: Job) -> Any:
        claims = {"num_cpus": min(job.cpus, self._widest), "num_gpus": self._gpu_share if job.device == "cuda" else 0}
        with self._telling():
            return self._run.options(**claims, max_retries=0, name=f"harness {job.id}").remote(
                job, node.taken(job.folder), self._board
            )

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Jobs that have ended within ``seconds``, their files in their folders."""
        if not self._running:
            time.sleep(seconds)
            return []
        tasks = {running.task: running for running in self._running.values()}
        with self._telling():
            ready, _ = ray.wait(list(tasks), num_returns=1, timeout=seconds)
            if ready:
                ready, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=0)
        return [ended for task in ready if (ended := self._end(tasks[task])) is not None]

    def _end(self, running: _Running) -> Ended | None:
        """Bring back what a task returns; None if its node was lost, and the job runs again."""
        job = running.job
        try:
            ended, files = ray.get(running.task)
            node.put(files, job.folder)
        except (exceptions.RayTaskError, exceptions.OutOfMemoryError, ValueError) as error:
            ended = Ended(job.id, "crashed", _line(error), time.monotonic() - running.began)
        except exceptions.RayError as error:
            if running.attempts < ATTEMPTS:
                running.attempts += 1
                running.task = self._task(job)
                return None
            why = f"its node was lost {ATTEMPTS} times, at last by {_line(error)}"
            ended = Ended(job.id, "crashed", why, time.monotonic() - running.began)
        del self._running[job.id]
        return ended

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Say in one line that there is no cluster any more."""
        try:
            yield
        except (exceptions.RaySystemError, exceptions.LocalRayletDiedError, ConnectionError) as error:
            raise ConnectionError(f"the Ray cluster at {self._address} is gone: {_line(error)}") from error

    def progress(self) -> Mapping[str, int]:
        """Steps taken by running jobs, a second or two ago; the board is read without waiting for it."""
        with contextlib.suppress(exceptions.RayError):
            if self._reading is not None and ray.wait([self._reading], timeout=0)[0]:
                answer, self._reading = self._reading, None
                self._steps = ray.get(answer)
            if self._reading is None and time.monotonic() > self._read_at + READ_SECONDS:
                self._read_at, self._reading = time.monotonic(), self._board.read.remote()
        return {job: steps for job, steps in self._steps.items() if job in self._running}

    def close(self) -> None:
        """End every job on its node, then leave the cluster, or end that of this machine."""
        tasks = [running.task for running in self._running.values()]
        self._running.clear()
        for force in (False, True):  # asked to end it tidies up; killed, its job ends all the same
            with contextlib.suppress(Exception):
                for task in tasks:
                    ray.cancel(task, force=force)
                _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=CANCEL_SECONDS) if tasks else ([], [])
        ray.shutdown()


def _line(error: BaseException) -> str:
    """The last line of what went wrong, where Ray puts the reason."""
    lines = [line for line in str(getattr(error, "cause", None) or error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__
