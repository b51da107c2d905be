"""Kills of sessions at random moments, each followed by the same command again, and what must hold after every one.

    PYTHONPATH=tests python -m support.kills 300 [FIRST]

kills so many times, the first as the seed FIRST draws it: by turns ``harness run``, one of its trials, its process
group, the server its trials are forked from, and ``harness results compact``. After each, nothing of it may be running
ten seconds later, and nothing that was done may be gone; the same command, perhaps killed in turn, ends well at last,
and then all tables are those of a session that nobody killed. Each exception is a finding, with the seed that draws
those moments again. Commands, and the servers from which trials are forked, are forks of this process, to save the
imports.
"""

import contextlib
import ctypes
import importlib
import itertools
import multiprocessing.util
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

import harness
from harness.commands import cli
from harness.storage.orphans import adopt_orphans
from support.hostile import SUITE

TARGETS = ("harness", "trial", "group", "server", "compaction")
GONE_SECONDS, WEDGED_SECONDS = 10, 120
PR_SET_NAME = 15
AGAIN = 0.5  # how often what recovers is killed, too
CLOCK = "_seconds|_at$|^peak_"  # columns that no two sessions share


def warmed_up() -> None:
    """Import everything once: commands, and servers that trials are forked from, are forks of this process.

    Orphans of those become its children, to be found.
    """
    import matplotlib.pyplot  # noqa: F401
    import torch

    from harness.commands import report, results, run  # noqa: F401
    from harness.reporting import figures_environment, figures_overview, report  # noqa: F401, F811
    from harness.running import executor_local

    for module in executor_local.IMPORTED_ONCE:
        importlib.import_module(module)
    torch.set_num_threads(1)
    multiprocessing.util.spawnv_passfds = _forked_instead
    adopt_orphans()


def _forked_instead(path: str, arguments: list[str], descriptors: list[int]) -> int:
    """What `multiprocessing` starts Python for, in a fork that has everything imported."""
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(None).prctl(PR_SET_NAME, b"forkserver" if "forkserver" in arguments[-1] else b"tracker")
            kept = [2, *sorted(descriptors), os.sysconf("SC_OPEN_MAX")]
            for low, high in itertools.pairwise(kept):
                os.closerange(low + 1, high)
            exec(arguments[-1], {})
        finally:
            os._exit(0)
    return child


class Session:
    """A command of ours in a process group of its own, and all that it starts."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.output = folder.with_name("output")
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _answer(arguments, self.output)

    def poll(self) -> int | None:
        """Its exit code; None while it is running."""
        if self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if ended else None
        return self.code

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def ended(self, seconds: float) -> int | None:
        """Its exit code; None if it had to be killed, with all that it started."""
        until = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if (code := self.poll()) is None:
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
            while self.poll() is None:
                time.sleep(0.02)
        return code

    def said(self) -> str:
        return self.output.read_text(errors="replace")[-1500:]

    def left(self) -> list[psutil.Process]:
        """What is running of all that it started, itself aside."""
        found = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error, ChildProcessError):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found += [process] * (process.pid != self.pid)
                elif process.pid != self.pid and process.ppid() == os.getpid():
                    os.waitpid(process.pid, os.WNOHANG)
        return found

    def server(self) -> psutil.Process | None:
        """The process that trials are forked from."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.pid).children():
                with contextlib.suppress(psutil.Error):
                    if child.name() == "forkserver" and child.status() != psutil.STATUS_ZOMBIE:
                        return child
        return None

    def trials(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            if server := self.server():
                return [child for child in server.children() if child.status() != psutil.STATUS_ZOMBIE]
        return []


def _answer(arguments: tuple[str, ...], output: Path) -> None:
    """Be a command, in a fork."""
    code = 99
    try:
        os.setsid()
        descriptor = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0), os.dup2(descriptor, 1), os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
        code = cli.main(list(arguments))
        sys.stdout.flush(), sys.stderr.flush()
        multiprocessing.util._exit_function()
    finally:
        os._exit(code)


class Laboratory:
    """Results that nobody disturbed, and kills of those who make the same."""

    def __init__(self, folder: Path, seeds: int = 3, steps: int = 300) -> None:
        self.folder, self.file = folder, folder / "suite.toml"
        lists = {"environments": '["cliff-walking"]', "algorithms": '["q_learning", "sarsa"]'}
        self.file.write_text(SUITE.format(**lists, seeds=seeds, steps=steps))
        self.base = folder / "base" / "hostile"
        self.base.parent.mkdir()
        began = time.monotonic()
        session = self._session("run", self.base)
        assert session.ended(WEDGED_SECONDS) == 0, session.said()
        self.seconds = time.monotonic() - began
        self.tables = tables(self.base)
        self.keys = list(self.tables["runs"]["key"])
        self.struck: Counter[str] = Counter()
        self.completed = 0

    def _session(self, command: str, results: Path) -> Session:
        if command == "run":
            return Session(results, "run", str(self.file), "--out", str(results.parent), "-j", "2")
        return Session(results, "results", "compact", str(results))

    def findings(self, seed: int) -> Iterator[str]:
        """Kill once, and perhaps again while it recovers; tell what should not be."""
        target, draw = TARGETS[seed % len(TARGETS)], random.Random(seed)
        results, struck = self.folder / "case" / "hostile", False
        while not struck:  # it may have ended before
            shutil.rmtree(results.parent, ignore_errors=True)
            results.parent.mkdir()
            if target == "compaction":
                yield from self._to_compact(results, draw)
            struck = yield from self._killed(target, results, draw)
        self.struck[target] += 1
        while draw.random() < AGAIN:
            self.struck[target] += yield from self._killed(target, results, draw)
        session = self._session("compact" if target == "compaction" else "run", results)
        if (code := session.ended(WEDGED_SECONDS)) != 0:
            yield f"the same command again ends with {code}: {session.said()}"
        self.completed += 1
        yield from self._differences(results)
        if target != "compaction" and not (results / "report" / "index.html").is_file():
            yield "there is no report"

    def _to_compact(self, results: Path, draw: random.Random) -> Iterator[str]:
        """Undisturbed results, of which some may be compacted already."""
        shutil.copytree(self.base, results)
        if draw.random() < 0.5:
            late = draw.sample(self.keys, len(self.keys) // 2)
            for key in late:
                shutil.rmtree(results / key)
            if self._session("compact", results).ended(WEDGED_SECONDS) != 0:
                yield "some results cannot be compacted"
            for key in late:
                shutil.copytree(self.base / key, results / key)

    def _killed(self, target: str, results: Path, draw: random.Random) -> Iterator[str]:
        """Start a session and kill its target; returns whether it lived so long."""
        before = done(results)
        session = self._session("compact" if target == "compaction" else "run", results)
        struck = _await_moment(session, target, results, self.seconds, draw) and _kill(session, target, draw)
        alone = target in ("trial", "server")  # then the session goes on, and ends by itself
        code = session.ended(WEDGED_SECONDS if alone or not struck else GONE_SECONDS)
        if struck and alone and code not in (0, 3):
            yield f"the session whose {target} was killed ends with {code}: {session.said()}"
        if not struck and code != 0:
            yield f"the session that was to be killed ends with {code}: {session.said()}"
        if left := _left(session):
            yield f"left running: {left}"
        if lost := before - done(results):
            yield f"{len(lost)} runs that were done are not: {sorted(lost)}"
        return bool(struck)

    def _differences(self, results: Path) -> Iterator[str]:
        try:
            found = tables(results)
        except Exception as error:
            yield f"the results cannot be read: {error!r}"
            return
        for name, expected in self.tables.items():
            if not found[name].equals(expected):
                yield f"the table {name} is another: {found[name].to_csv()} instead of {expected.to_csv()}"
        for path in (".staging", ".locks"):
            if there := [each.name for each in (results / path).iterdir()]:
                yield f"{path} holds {there}"


def tables(results: Path) -> dict[str, pd.DataFrame]:
    """All tables but what clocks say, in one order, and what could not be read."""
    read = harness.load(results)
    made = {"problems": pd.DataFrame([str(problem) for problem in read.problems])}
    for name in ("runs", "evaluations", "episodes", "diagnostics"):
        table = getattr(read, name)
        rest = table.loc[:, ~table.columns.str.contains(CLOCK)]
        order = [each for each in ("key", "evaluation", "episode", "step", "name") if each in rest]
        made[name] = rest.astype({"key": str}).sort_values(order, kind="stable").reset_index(drop=True)
    scores = read.scores()
    made["scores"] = scores.loc[:, ~scores.columns.str.contains(CLOCK)]
    return made


def done(results: Path) -> set[tuple[str, str]]:
    """Keys and fingerprints of the runs that are done."""
    if not results.is_dir():
        return set()
    runs = harness.load(results).runs
    runs = runs[runs["status"] == "done"]
    return set(zip(runs["key"], runs["fingerprint"], strict=True))


def _await_moment(session: Session, target: str, results: Path, seconds: float, draw: random.Random) -> bool:
    """Wait for a moment drawn at random; False if the session ends before."""
    there: Callable[[], Any] = {"trial": session.trials, "server": session.server}.get(target, lambda: True)
    while not there():
        if session.poll() is not None:
            return False
        time.sleep(0.03)
    if draw.random() < 0.5 or target == "trial":  # by the clock
        time.sleep(draw.uniform(0, {"trial": 0.2}.get(target, seconds)))
        return session.poll() is None
    changes, last = draw.randint(1, 8 if target == "compaction" else 30), _entries(results)
    while changes:  # by what happens in the folder, of which a clock would see little
        if session.poll() is not None:
            return False
        time.sleep(0.002)
        now = _entries(results)
        changes -= now != last
        last = now
    time.sleep(draw.choice((0, draw.uniform(0, 0.01))))
    return session.poll() is None


def _entries(results: Path) -> list[str]:
    names = []
    for folder in (results, results / ".staging", results / "compact"):
        with contextlib.suppress(OSError):
            names += os.listdir(folder)
    return names


def _kill(session: Session, target: str, draw: random.Random) -> bool:
    """Kill the target; False if it is not there any more."""
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        if target == "group":
            os.killpg(session.pid, signal.SIGKILL)
        elif target == "trial":
            draw.choice(session.trials() or [psutil.Process(2**31 - 1)]).kill()
        elif target == "server":
            (session.server() or psutil.Process(2**31 - 1)).kill()
        else:
            session.kill()
        return True
    return False


def _left(session: Session) -> list[str]:
    """What is running of a session a while after its end."""
    until = time.monotonic() + GONE_SECONDS
    while (left := session.left()) and time.monotonic() < until:
        time.sleep(0.05)
    told = []
    for process in left:
        with contextlib.suppress(psutil.Error):
            told.append(f"{process.pid} {process.status()} {' '.join(process.cmdline())[:100]}")
            process.kill()
    return told


def main(count: int, first: int = 0) -> int:
    """Kill so many times; returns how many findings there are."""
    os.environ |= {"HARNESS_PLUGINS": "algorithms,environments", "NO_COLOR": "1"}
    warmed_up()
    found = 0
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        os.chdir(folder)
        laboratory = Laboratory(Path(folder))
        for seed in itertools.count(first):
            for finding in laboratory.findings(seed):
                found += 1
                print(f"{seed} ({TARGETS[seed % len(TARGETS)]}): {finding}", flush=True)
            struck = ", ".join(f"{n} of the {target}" for target, n in laboratory.struck.items())
            told = f"{laboratory.struck.total()} kills ({struck}), {laboratory.completed} times to the end after them"
            print(f"{told}, {found} findings", flush=True)
            if laboratory.struck.total() >= count and len(laboratory.struck) == len(TARGETS):
                return found


if __name__ == "__main__":
    sys.exit(min(1, main(*map(int, sys.argv[1:]))))
