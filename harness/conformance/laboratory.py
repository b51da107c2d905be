"""A process apart in which conformance checks try a plugin's code, each experiment in a fork of its own.

The code may crash, hang, exit, change global state or leave threads behind: it happens in the fork, and the fork is
thrown away. Heavy modules are imported once, by the process that forks.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from harness.running.executor_local import IMPORTED_ONCE
from harness.running.job_files import THREADS, child_variables
from harness.storage.orphans import end_with_parent

EXPERIMENT_SECONDS = 60.0
POLL_SECONDS = 0.005


class ExperimentFailedError(Exception):
    """An experiment gave no result; the message is the last line of why."""


class Laboratory:
    """Performs experiments and remembers their results; its process starts with the first. Each may take ``seconds``.

    Only the laboratory used last has a process, so that checking many plugins takes the memory of one; and only the
    last of those with another ``hash_seed``, by which sets of strings are in another order there.
    """

    _latest: ClassVar[dict[int, "weakref.ref[Laboratory]"]] = {}
    _twins: ClassVar[dict[tuple[object, ...], "Laboratory"]] = {}  # by what they were started with

    def __init__(self, seconds: float = EXPERIMENT_SECONDS, hash_seed: int = 0) -> None:
        self._seconds = seconds
        self._hash_seed = hash_seed
        self._results: dict[str, dict[str, Any]] = {}
        self._server: subprocess.Popen[str] | None = None
        self._end: Callable[[], object] = lambda: None

    def perform(self, experiment: str, **arguments: Any) -> Any:
        """The JSON result of ``"package.module:function"`` called in a fork with JSON arguments.

        Raises:
            ExperimentFailedError: it raised, crashed, or took too long. So does `preload`.
        """
        return self._ask({"experiment": experiment, "arguments": arguments})

    def preload(self, module: str) -> None:
        """Import a module into the process that forks, so that later experiments need not."""
        self._ask({"preload": module})

    @property
    def twin(self) -> "Laboratory":
        """One in which nothing is different but the order of sets; it is shared, for few experiments need it."""
        return self._twins.setdefault((self._seconds, *sys.path), Laboratory(self._seconds, self._hash_seed + 1))

    def close(self) -> None:
        """End the process and whatever it started. A later experiment starts another."""
        self._end()
        self._server = None

    def _ask(self, request: Mapping[str, Any]) -> Any:
        text = json.dumps(request, sort_keys=True)
        answer = self._results[text] = self._results.get(text) or self._answer(text)
        if "error" in answer:
            raise ExperimentFailedError(answer["error"])
        return answer["result"]

    def _answer(self, request: str) -> dict[str, Any]:
        server = self._server or self._start()
        assert server.stdin is not None and server.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            server.stdin.write(request + "\n")
            server.stdin.flush()
            if line := server.stdout.readline():
                answer: dict[str, Any] = json.loads(line)
                return answer
        self.close()
        return {"error": "it ended the process that imported it"}

    def _start(self) -> "subprocess.Popen[str]":
        latest = Laboratory._latest.get(self._hash_seed, lambda: None)()
        if latest is not None:
            latest.close()
        Laboratory._latest[self._hash_seed] = weakref.ref(self)
        folder = tempfile.TemporaryDirectory(prefix="harness-check-")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "harness.conformance.laboratory", folder.name, str(self._seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**child_variables(), **dict.fromkeys(THREADS, "1"), "PYTHONHASHSEED": str(self._hash_seed)},
            start_new_session=True,
            text=True,
        )
        self._end = weakref.finalize(self, _end, self._server, folder)
        return self._server


def _end(server: "subprocess.Popen[str]", folder: "tempfile.TemporaryDirectory[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    with contextlib.suppress(BrokenPipeError):
        server.communicate()
    folder.cleanup()


# In the process apart


def serve(folder: Path, seconds: float) -> None:
    """Answer requests, one JSON object a line, until there are no more."""
    end_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # because what strangers print is no answer
    for module in (*IMPORTED_ONCE, "harness.conformance.experiments"):
        importlib.import_module(module)
    for number, line in enumerate(sys.stdin):
        request = json.loads(line)
        if "preload" in request:
            answer = _attempt(_import, request["preload"])
        else:
            place = folder / str(number)
            place.mkdir()
            answer = _in_fork(request, place, seconds)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _attempt(action: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    try:
        return {"result": action(*arguments)}
    except BaseException as error:
        return {"error": "".join(traceback.format_exception_only(error)).strip()}


def _import(module: str) -> None:
    importlib.import_module(module)


def _in_fork(request: Mapping[str, Any], place: Path, seconds: float) -> dict[str, Any]:
    """The answer of a fork, which is then killed with all that it left in its session."""
    answer = place / "answer"
    child = os.fork()
    if child == 0:
        _experiment(request, place, answer)
    ending = _wait(child, seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    if not ending and answer.exists():
        result: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return result
    return {"error": ending or "it ended its process"}


def _experiment(request: Mapping[str, Any], place: Path, answer: Path) -> None:
    """Call the function, leave its result, and end this process without a word."""
    try:
        os.setsid()
        end_with_parent()
        os.chdir(place)
        result = _attempt(lambda: pkgutil.resolve_name(request["experiment"])(**request["arguments"]))
        partial = answer.with_suffix(".part")
        partial.write_text(json.dumps(result), encoding="utf-8")
        partial.rename(answer)
    finally:
        os._exit(0)  # at-exit functions of strangers, and threads that would be waited for, included


def _wait(child: int, seconds: float) -> str:
    """Wait for the end of a process; returns what was wrong with it."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return f"its process was killed by {signal.Signals(-code).name}" if code < 0 else ""
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"it took longer than {seconds:g} s"
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), float(sys.argv[2]))
