"""The local executor: one fresh process per trial, forked from a server that has the heavy modules loaded."""

import contextlib
import multiprocessing
import multiprocessing.util
import os
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any

import psutil

from harness.contract.errors import ExitCode, HarnessError, UsageError
from harness.contract.executor import Ended, Ending, ExecutorOptions, Job
from harness.running.job_files import OUTCOME, PROGRESS
from harness.running.provenance import cores
from harness.storage.files import read_bytes
from harness.storage.orphans import adopt_orphans, end_processes_in

# Imported once for all trials, and not on anybody's training clock: pyarrow asks for pandas, torch's optimisers
# for torch._dynamo, pydantic's adapters for its dataclasses.
IMPORTED_ONCE = ("harness.running.worker", "harness.api", "pandas", "torch._dynamo", "pydantic.dataclasses")
PRELOADED = (*IMPORTED_ONCE, "harness.running.fork_server")  # which readies the server, once all is there
ATTEMPTS = 3  # to start a job
LONGEST_TEMPORARY = 60  # bytes; the rest of a socket's path are 40
ORPHANS_SECONDS = 5.0  # for killing all that a job left behind
WATCH_SECONDS = 0.1  # between two looks at memory and time
DESCENDANTS_SECONDS = 0.5  # between two looks for processes that a job started


def create(options: ExecutorOptions) -> "LocalExecutor":
    """The executor for these options, which has no settings."""
    if options.settings:
        raise UsageError(f"--executor-option {next(iter(options.settings))}: the local executor has no options")
    return LocalExecutor(options)


def supervise(job: Job, wanted: Callable[[int], bool] = lambda steps: True) -> Ended | None:
    """Run one job on this machine within its limits; None if it was stopped since it is not ``wanted`` any more."""
    executor = LocalExecutor(ExecutorOptions(jobs=1), from_afar=True)
    if why_not := executor.lacks(job.device):
        return Ended(job.id, "crashed", why_not, 0.0)
    try:
        executor.start(job)
        while wanted(executor.progress().get(job.id, 0)):
            for ended in executor.wait(1.0):
                return ended
        return None
    finally:
        executor.close()


class NoProcessError(HarnessError):
    """The system gives no process."""

    exit_code = ExitCode.INCOMPLETE


@dataclass
class _Running:
    """A job and its process."""

    job: Job
    process: Any
    own: psutil.Process | None  # None if it had ended before it could be looked at
    device: str
    started: float
    ending: Ending = "ended"
    error: str = ""
    look_again: float = 0.0
    seen: dict[int, psutil.Process] = field(default_factory=dict)  # every descendant, by process id


class LocalExecutor:
    """Runs jobs in processes of this machine; each in its own session, watched for time and memory.

    Those ``from_afar`` were made on another machine, and run only where the same code is installed.
    """

    def __init__(self, options: ExecutorOptions, from_afar: bool = False) -> None:
        self.jobs = options.jobs or cores()  # of one core, at the same time
        self._from_afar = from_afar
        self._gpu_share = options.gpu_share
        self._running: dict[str, _Running] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PRELOADED))
        self._server: psutil.Process | None = None

    def _start_server(self, variables: Mapping[str, str]) -> None:
        """Have a fork server with the variables of jobs, and deaf to a Ctrl-C that is meant for the harness."""
        from multiprocessing import forkserver

        before = dict(os.environ)
        os.environ.update(variables)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            _short_temporary_folder()
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.environ.clear()
            os.environ.update(before)

    def has_room(self, device: str, cpus: int) -> bool:
        """Whether enough cores and, on cuda, a share of a GPU are free."""
        used = sum(min(running.job.cpus, self.jobs) for running in self._running.values())
        return used + min(cpus, self.jobs) <= self.jobs and self._place(device) is not None

    def start(self, job: Job) -> None:
        """Start a job in a process of its own."""
        device = self._place(job.device)
        assert device is not None, "there is no room for this job"
        environment = {**os.environ, **job.variables}
        _wake(self._server)
        for attempt in range(ATTEMPTS):
            arguments = (job.folder, device, environment, self._from_afar)
            process = self._context.Process(target=_work, args=arguments, daemon=False)
            try:
                self._start_server(job.variables)
                with _no_main():
                    process.start()
                break
            except (OSError, EOFError) as error:  # the fork server died
                if attempt + 1 == ATTEMPTS:
                    raise NoProcessError(f"no process for a trial could be started: {error}") from error
        own: psutil.Process | None = None
        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(process.pid or 0)
        self._server = own.parent() if own is not None else self._server
        self._running[job.id] = _Running(job, process, own, device, time.monotonic())

    def lacks(self, device: str) -> str:
        """Whether this machine has no such device."""
        if device != "cuda":
            return ""
        import torch

        return "" if torch.cuda.device_count() else "no CUDA device on this machine"

    def _place(self, device: str) -> str | None:
        """Where a job can go: of the GPUs with a share free, the least used; None if there is none."""
        if device != "cuda":
            return device
        import torch

        used = {f"cuda:{i}": 0 for i in range(torch.cuda.device_count())}
        for running in self._running.values():
            if running.device in used:
                used[running.device] += 1
        least = min(used, key=lambda name: used[name], default=None)
        free = least is not None and (used[least] + 1) * self._gpu_share <= 1 + 1e-9
        return least if free else None

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Jobs that have ended within ``seconds``; those over a limit are stopped first."""
        deadline = time.monotonic() + seconds
        while True:
            for running in self._running.values():
                self._watch(running)
            sentinels = [running.process.sentinel for running in self._running.values()]
            pause = min(WATCH_SECONDS, max(0.0, deadline - time.monotonic()))
            ready = connection.wait(sentinels, pause)
            if ready or time.monotonic() >= deadline:
                return [self._reap(r) for r in list(self._running.values()) if r.process.sentinel in ready]

    def _watch(self, running: _Running) -> None:
        """Note a job's descendants; stop it if it is over time or memory."""
        if running.own is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            if time.monotonic() >= running.look_again:  # seldom, since it reads the whole process table
                running.look_again = time.monotonic() + DESCENDANTS_SECONDS
                _wake(self._server, running.own)
                running.seen |= {process.pid: process for process in running.own.children(recursive=True)}
        seconds, memory_gib = running.job.seconds, running.job.memory_gib
        if seconds is not None and time.monotonic() - running.started > seconds:
            self._stop(running, "timeout", f"stopped after its time limit of {seconds:g} s")
        elif _memory((running.own, *running.seen.values()), memory_gib * 2**30) > memory_gib * 2**30:
            self._stop(running, "crashed", f"out of memory: stopped over its limit of {memory_gib:g} GiB")

    def _stop(self, running: _Running, ending: Ending, error: str) -> None:
        running.ending, running.error = ending, error
        self._kill(running)

    def _kill(self, running: _Running) -> None:
        """Kill a job's process, its process group and every descendant seen."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.process.pid, signal.SIGKILL)
        for process in (running.own, *running.seen.values()):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process is not None:
                    process.kill()  # compares creation times: a process that took over the number is spared

    def _reap(self, running: _Running) -> Ended:
        """Collect a finished process and end what it left behind."""
        running.process.join()
        code = running.process.exitcode
        self._kill(running)
        if code != 0 or not os.path.isfile(running.job.folder / OUTCOME):  # else it has looked for them itself
            self._end_orphans()
        if code != 0:  # then it had no chance to look for processes in sessions of their own
            end_processes_in(running.job.folder)
        del self._running[running.job.id]
        ending, error = running.ending, running.error
        if ending == "ended" and code != 0:
            ending, error = "crashed", f"its process ended with exit code {code}"
            if code < 0:
                names = {number.value: number.name for number in signal.Signals}
                error = f"its process was killed by {names.get(-code, f'signal {-code}')}"
        running.process.close()
        return Ended(running.job.id, ending, error, time.monotonic() - running.started)

    def _end_orphans(self) -> None:
        """Kill what jobs that died left running: children of the fork server, in sessions that it has not begun.

        Those of the killed become its children in turn, and one that vanishes meanwhile must not save the others.
        """
        jobs, server = {process.pid for process in multiprocessing.active_children()}, self._server
        deadline, left = time.monotonic() + ORPHANS_SECONDS, server is not None
        while left and server is not None and time.monotonic() < deadline:
            left = False
            with contextlib.suppress(psutil.Error):
                for child in server.children():
                    with contextlib.suppress(psutil.Error, OSError):
                        ours = child.pid in jobs or child.status() == psutil.STATUS_ZOMBIE
                        if not ours and os.getsid(child.pid) != os.getsid(server.pid):
                            left = True
                            child.kill()

    def progress(self) -> Mapping[str, int]:
        """Steps taken by every running job, as of its last heartbeat."""
        steps = {}
        for running in self._running.values():
            with contextlib.suppress(OSError, ValueError):
                steps[running.job.id] = int.from_bytes(read_bytes(running.job.folder / PROGRESS, 8), "little")
        return steps

    def close(self) -> None:
        """Kill every running job."""
        for running in self._running.values():
            self._kill(running)
        for running in list(self._running.values()):
            self._reap(running)
        self._end_orphans()


def _wake(*processes: psutil.Process | None) -> None:
    """Let go on what a job has stopped: a job, or the fork server, without which none starts or is known to end."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process is not None and process.status() == psutil.STATUS_STOPPED:
                process.resume()


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    """Have Python not run in a new process the main module of this one, which may be anybody's."""
    main, sys.modules["__main__"] = sys.modules["__main__"], types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _short_temporary_folder() -> None:
    """Have Python make its folder of sockets, of whose paths the system takes 100 bytes, where that is not too long."""
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_TEMPORARY:
        return
    before, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        multiprocessing.util.get_temp_dir()  # which it remembers
    finally:
        tempfile.tempdir = before


def _work(folder: Path, device: str, environment: Mapping[str, str], from_afar: bool) -> None:
    """Runs in the job's process; the server that forked it has imported the worker already.

    It is a session of its own that ends with the harness. It ends without Python's farewell, which would wait for
    threads and processes that an algorithm forgot. The environment of the server, of which Python has one per process,
    is that of whoever asked first; the job has its own.
    """
    from harness.running.worker import run_job

    code = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.setsid()
        adopt_orphans()
        _die_with_parent()
        run_job(folder, device, from_afar)
        code = 0
    finally:  # what it raised is in its log, and nothing for the terminal
        os._exit(code)


def _die_with_parent() -> None:
    """End this process, its group and all its descendants when the harness ends, for whatever reason."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # the fork server made it

    def wait() -> None:
        connection.wait([parent.sentinel])
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="harness-parent", daemon=True).start()


def _memory(processes: Sequence[psutil.Process], limit: float) -> float:
    """Bytes that processes hold together; pages they share are told apart only where it matters, as it is slow."""
    resident = shared_out = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            resident += process.memory_info().rss
    if resident <= limit:
        return resident
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            full = process.memory_full_info()
            shared_out += getattr(full, "pss", full.rss)
    return shared_out
