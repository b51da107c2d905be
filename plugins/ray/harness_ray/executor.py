"""The driver's side: one Ray task for each job, and the only process that writes results."""

import contextlib
import importlib.metadata
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.api import Ended, Ending, ExecutorOptions, Job, UsageError, code
from harness_ray import node, probe

ADDRESS = "address"
LOCAL, AUTO, CLIENT = "local", "auto", probe.CLIENT
REACH_SECONDS = 5.0  # for somebody to answer at an address; Ray itself would try for minutes
JOINS = 3  # attempts: where the process that Ray starts for each client ends as it begins, the next one may not
EXAMINE_SECONDS = 120.0  # for all nodes to import the harness
ATTEMPTS = 4  # at a job whose node or whose task's process was lost
CANCEL_SECONDS = 15.0  # for nodes to end their jobs
NODES_SECONDS = 10.0  # for the head to say which nodes there are
LOOK_SECONDS = 5.0  # between two looks at which nodes are alive
ABSENT_SECONDS = 120.0  # for a node that a job needs to come back
READ_SECONDS = 1.0  # between two looks at the board
QUIET = {"log_to_driver": False, "logging_level": "CRITICAL"}


def create(options: ExecutorOptions) -> "RayExecutor":
    """The executor for these options; its one setting is the address of the cluster."""
    settings = dict(options.settings)
    address = settings.pop(ADDRESS, LOCAL)
    if settings:
        raise UsageError(f"--executor-option {next(iter(settings))}: unknown; there is {ADDRESS}")
    with _interruptible():
        try:
            _connect(address, options.jobs)
            _examine(address)
            return RayExecutor(options, address)
        except BaseException:
            ray.shutdown()
            raise


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM interrupt, as elsewhere: Ray answers it by a SystemExit from when it is initialised."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, before)


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
        raise _refused(address, f"{_line(error)}; write {form}") from None


def _refused(address: str, why: str) -> UsageError:
    return UsageError(f"--executor-option {ADDRESS}={address}: no Ray cluster can be used: {why}")


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
    """Refuse an address where nobody listens, or something else than a cluster that would have us."""
    named = os.environ.get("RAY_ADDRESS", "") if address == AUTO else address
    named = "" if named == AUTO else named
    place = named
    if not named:  # a cluster that Ray finds by itself: to that alone it takes a token along by itself, too
        from ray._private.services import canonicalize_bootstrap_address_or_die

        place = canonicalize_bootstrap_address_or_die(AUTO)
    host, _, port = place.removeprefix(CLIENT).rpartition(":")
    if not port.isdigit():
        raise ValueError("it names no host and port")
    socket.create_connection((host.strip("[]") or "localhost", int(port)), REACH_SECONDS).close()
    if named and (why := probe.refusal(named)):
        raise _refused(address, why)


def _examine(address: str) -> None:
    """Refuse a cluster of which a node has another harness, or another version of a plugin that it has."""
    installed = {point.dist.name for point in importlib.metadata.entry_points(group="harness") if point.dist}
    told = code(*sorted(installed))
    asked = []
    try:
        nodes = _nodes()
    except ConnectionError as error:
        raise _refused(address, str(error)) from None
    for each in nodes:
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
    """The nodes that are alive; asked in a thread, as Ray waits a minute for a lost head, then ends the process."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(ray.nodes())
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=NODES_SECONDS)
    except queue.Empty:
        raise ConnectionError(f"it does not answer within {NODES_SECONDS:g} s") from None
    if isinstance(answer, Exception):
        raise ConnectionError(_line(answer)) from answer
    return [each for each in answer if each["Alive"]]


@dataclass
class _Running:
    """A job and the task that runs it."""

    job: Job
    began: float
    task: Any = None  # reference to what it will return; None if no node could take it
    claims: Mapping[str, float] = field(default_factory=dict)
    losses: int = 0  # of its node
    stranded: bool = False  # when nodes were looked at last, none that was alive could take it


class RayExecutor:
    """Runs each job as a task of a Ray cluster, which claims processors and parts of GPUs for it."""

    def __init__(self, options: ExecutorOptions, address: str) -> None:
        self._address = address
        self._gpu_share = options.gpu_share
        self._alive: list[Mapping[str, float]] = []  # what each node that is alive has in all, used or not
        self._looked_at = 0.0
        self._absent: dict[str, float] = {}  # by device that no node has: when that was seen first
        self._look()
        self._gpus = sum(each.get("GPU", 0) for each in self._alive)
        self.jobs = options.jobs or max(1, int(sum(each.get("CPU", 0) for each in self._alive)))
        self._run = ray.remote(node.run)
        self._board = ray.remote(node.Board).options(num_cpus=0, max_restarts=-1).remote()
        self._reading: Any = None  # reference to what the board says
        self._read_at = 0.0
        self._steps: Mapping[str, int] = {}
        self._running: dict[str, _Running] = {}

    def _look(self) -> None:
        """Learn which nodes there are."""
        with self._telling():
            self._alive, self._looked_at = [each["Resources"] for each in _nodes()], time.monotonic()
        lacking = [device for device in ("cpu", "cuda") if self._claims(device, 1) is None]
        self._absent = {device: self._absent.get(device, self._looked_at) for device in lacking}

    def _claims(self, device: str, cpus: int) -> Mapping[str, float] | None:
        """What a job takes of one node, all of its processors at most; None if no node that is alive has that."""
        share = self._gpu_share if device == "cuda" else 0
        widths = [each.get("CPU", 0) for each in self._alive if each.get("GPU", 0) >= share]
        if not widths or (device != "cuda" and max(widths) < 1):
            return None
        return {"num_cpus": min(cpus, max(widths)), "num_gpus": share}

    def lacks(self, device: str) -> str:
        """Whether no node has such a device."""
        if self._claims(device, 1) is not None:
            return ""
        return f"no {_kind(device)} in the Ray cluster at {self._address}"

    def has_room(self, device: str, cpus: int) -> bool:
        """Whether so many cores and, on cuda, a share of a GPU are not ours yet; whose they are else, Ray knows."""
        if self._running and device in self._absent:  # there may be a node once what runs has ended
            return False
        used = sum(min(running.job.cpus, self.jobs) for running in self._running.values())
        shares = sum(running.job.device == "cuda" for running in self._running.values()) + (device == "cuda")
        per_gpu = int(1 / self._gpu_share + 1e-9)
        return used + min(cpus, self.jobs) <= self.jobs and shares <= per_gpu * self._gpus

    def start(self, job: Job) -> None:
        """Hand a job's files to a task."""
        self._running[job.id] = running = _Running(job, time.monotonic())
        self._hand_over(running)

    def _hand_over(self, running: _Running) -> None:
        """Make a task of a job, if a node that is alive can take it."""
        job, running.stranded = running.job, False
        claims = self._claims(job.device, job.cpus)
        if claims is None:
            running.task = None
            return
        running.claims = claims
        with self._telling():
            running.task = self._run.options(**claims, max_retries=0, name=f"harness {job.id}").remote(
                job, node.taken(job.folder), self._board
            )

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Jobs that have ended within ``seconds``, their files in their folders."""
        tasks = {running.task: running for running in self._running.values() if running.task is not None}
        if not tasks:
            time.sleep(seconds)
        with self._telling():
            ready, others = ray.wait(list(tasks), num_returns=1, timeout=seconds) if tasks else ([], [])
            if ready:
                ready, others = ray.wait(list(tasks), num_returns=len(tasks), timeout=0)
        if time.monotonic() > self._looked_at + LOOK_SECONDS:
            self._look()
            self._rescue([tasks[task] for task in others])
        ended = [self._end(tasks[task]) for task in ready]
        for running in [each for each in self._running.values() if each.task is None]:
            self._hand_over(running)
            if running.task is None and time.monotonic() >= self._absent[running.job.device] + ABSENT_SECONDS:
                why = f"no node that is left has a {_kind(running.job.device)}; run it again when one has"
                ended.append(self._ended(running, "interrupted", why))
        return [each for each in ended if each is not None]

    def _rescue(self, waiting: Sequence[_Running]) -> None:
        """Hand over anew what no node can take any more, if seen twice: Ray may be about to tell of the loss."""
        for running in waiting:
            able = any(
                each.get("CPU", 0) >= running.claims["num_cpus"] and each.get("GPU", 0) >= running.claims["num_gpus"]
                for each in self._alive
            )
            if not able and running.stranded:
                with self._telling():
                    ray.cancel(running.task)
                self._hand_over(running)
            else:
                running.stranded = not able

    def _end(self, running: _Running) -> Ended | None:
        """Bring back what a task returns; None if its node was lost, and the job runs again."""
        job = running.job
        try:
            ended, files = ray.get(running.task)
            node.put(files, job.folder)
        except (exceptions.RayTaskError, exceptions.OutOfMemoryError, ValueError) as error:
            return self._ended(running, "crashed", _line(error))
        except exceptions.RayError as error:
            running.losses += 1
            if running.losses == ATTEMPTS:
                why = f"its node was lost {ATTEMPTS} times, at last by {_line(error)}"
                return self._ended(running, "interrupted", why)
            self._look()
            self._hand_over(running)
            return None
        del self._running[job.id]
        return ended

    def _ended(self, running: _Running, ending: Ending, why: str) -> Ended:
        del self._running[running.job.id]
        return Ended(running.job.id, ending, why, time.monotonic() - running.began)

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
        tasks = [running.task for running in self._running.values() if running.task is not None]
        self._running.clear()
        for force in (False, True):  # asked to end it tidies up; killed, its job ends all the same
            with contextlib.suppress(Exception):
                for task in tasks:
                    ray.cancel(task, force=force)
                _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=CANCEL_SECONDS) if tasks else ([], [])
        ray.shutdown()


def _kind(device: str) -> str:
    return "GPU" if device == "cuda" else "processor"


def _line(error: BaseException) -> str:
    """The last line of what went wrong, where Ray puts the reason."""
    lines = [line for line in str(getattr(error, "cause", None) or error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__
