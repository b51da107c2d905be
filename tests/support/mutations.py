"""Folders of results as killed sessions, full disks and strangers leave them, and what must hold of every one.

    PYTHONPATH=tests python -m support.mutations 2000 [FIRST]

makes so many folders, the first from the seed FIRST, and takes each through every command that reads results: none may
hang, end with 70 or write outside; what is damaged is named by all, and trained again by ``run``. Each is a finding
otherwise, with the seed that repeats it. Commands run in forks of this process, and so do trials, to save the imports.
"""

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from support.damage import MUTATIONS, OF_COMPACTED, Mutation, Place
from support.hostile import HOSTILE, write_suite

TIME_LIMIT = 60
MEMORY = 4 * 2**30  # that a command may take beyond what it is forked with
COMMANDS = ("ls", "report", "compare", "claims", "gate", "plan", "rerun", "compact", "run")


class Answer(NamedTuple):
    """What a command ended with; None if it did not."""

    code: int | None
    out: str
    err: str


class Finding(NamedTuple):
    """What should not be."""

    seed: int
    mutations: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        return f"{self.seed}: {' + '.join(self.mutations)}: {self.what}"


class ForkingExecutor:
    """Runs each job in a fork of this process, one at a time."""

    jobs = 1

    def __init__(self, options: Any, from_afar: bool = False) -> None:
        self._job: tuple[Any, int] | None = None

    def lacks(self, device: str) -> str:
        return "" if device == "cpu" else "no such device"

    def has_room(self, device: str, cpus: int) -> bool:
        return self._job is None

    def start(self, job: Any) -> None:
        from harness.running.worker import run_job

        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.setsid()
                run_job(job.folder, job.device)
            os._exit(0)
        self._job = job, child

    def wait(self, seconds: float) -> list[Any]:
        from harness.contract.executor import Ended

        if self._job is None:
            return []
        (job, child), self._job = self._job, None
        os.waitpid(child, 0)
        return [Ended(job.id, "ended", "", 1.0)]

    def progress(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


def warmed_up() -> None:
    """Import everything once, and let nothing start Python anew: forks of this process answer in a moment."""
    import matplotlib.pyplot  # noqa: F401
    import torch

    import harness.api  # noqa: F401
    from harness.commands import claims, compare, gate, plan, report, rerun, results, run  # noqa: F401
    from harness.reporting import figures_environment, figures_overview, report  # noqa: F401, F811
    from harness.running import executor_local
    from harness.running import plan as planning
    from harness.running.worker import run_job  # noqa: F401

    torch.set_num_threads(1)
    executor_local.LocalExecutor = executor_local.create = ForkingExecutor
    ask, told = planning.describe_targets, {}

    def remembered(*arguments: Any) -> Any:
        if repr(arguments) not in told:
            told[repr(arguments)] = ask(*arguments)
        return told[repr(arguments)]

    planning.describe_targets = remembered


def call(*arguments: str) -> Answer:
    """Run the command line in a fork, its output into files."""
    from harness.commands import cli

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            _answer(cli.main, arguments, out.fileno(), err.fileno())
        code = _waited(child)
        out.seek(0), err.seek(0)
        return Answer(code, *(file.read(2**20).decode(errors="replace") for file in (out, err)))


def _answer(main: Callable[[list[str]], int], arguments: Iterable[str], out: int, err: int) -> None:
    code = 99
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0), os.dup2(out, 1), os.dup2(err, 2)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
        code = main(list(arguments))
        sys.stdout.flush()
    finally:
        os._exit(code)


def _waited(child: int) -> int | None:
    """The exit code of a process; None if it had to be killed."""
    until = time.monotonic() + TIME_LIMIT
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


class Laboratory:
    """Results to start from, and the commands on mutated copies of them."""

    def __init__(self, folder: Path) -> None:
        from harness.commands import cli

        self.folder = folder
        self.codes: dict[str, Counter[int | None]] = {}
        self.named = 0
        self.file = write_suite(folder, ["steady", "in-step"], ["short"], 3)
        with Path(self.file).open("a") as file:
            file.write('\n[[claims]]\nstatement = "s"\nbetter = "steady"\nthan = "in-step"\nenvironment = "short"\n')
            file.write('metric = "final_score"\nmargin = 1\n')
        self.bases = {name: folder / name for name in ("folders", "compacted", "both")}
        with contextlib.redirect_stdout(io.StringIO()):  # here, so that forks know what plugins said about themselves
            cli.main(["plan", self.file, "--out", str(folder / "nothing")])
        for base in self.bases.values():
            self._trained(base)
        for name in ("compacted", "both"):
            assert call("results", "compact", str(self.bases[name] / "hostile")).code == 0
        self.keys = sorted(place.name for place in (self.bases["folders"] / "hostile").glob("?" * 20))
        for key in self.keys[::2]:
            shutil.copytree(self.bases["folders"] / "hostile" / key, self.bases["both"] / "hostile" / key)

    def _trained(self, base: Path) -> None:
        if base == self.bases["folders"]:
            answer = call("run", self.file, "--out", str(base))
            assert answer.code == 0, answer
            shutil.rmtree(base / "hostile" / "report")
        else:
            shutil.copytree(self.bases["folders"], base)

    def findings(self, seed: int) -> Iterator[Finding]:
        """Mutate a copy of the results, take it through all commands, and tell what should not be."""
        rng = np.random.default_rng(seed)
        kind = ("folders", "folders", "compacted", "both")[rng.integers(4)]
        case, outside = self.folder / "case", self.folder / "outside"
        for left in (case, outside):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(self.bases[kind], case)
        outside.mkdir()
        (outside / "precious.txt").write_text("precious")
        (outside / "run.json").write_text("{}")
        names, changes = self._mutated(case / "hostile", outside, kind, rng)
        for what in self._wrong(case, outside, changes):
            yield Finding(seed, names, what)

    def _mutated(
        self, suite: Path, outside: Path, kind: str, rng: np.random.Generator
    ) -> tuple[tuple[str, ...], dict[Path, Mutation]]:
        """Some mutations, by the folder that each was done to."""
        made, names = {}, []
        for _ in range(rng.choice([1, 1, 2, 3])):
            known = OF_COMPACTED if kind == "compacted" else MUTATIONS
            name = list(known)[rng.integers(len(known))]
            places = [suite / key for key in (self.keys if kind == "folders" else self.keys[::2])]
            run = suite / "compact" if kind == "compacted" else places[rng.integers(len(places))]
            if run not in made and not any("elsewhere" in other or "compact" in other for other in names):
                made[run] = known[name]
                known[name].change(Place(suite, run, outside, rng))
                names.append(name)
        return (kind, *names), made

    def _wrong(self, case: Path, outside: Path, changes: dict[Path, Mutation]) -> Iterator[str]:
        suite, before = case / "hostile", list(_tree(outside))
        refused = any(mutation.refused for mutation in changes.values())
        listed = call("results", "ls", "--json", str(suite))
        problems = json.loads(listed.out)["problems"] if listed.code == 0 else []
        self.named += bool(problems)
        for run, mutation in changes.items():
            if mutation.damaged and not any(Path(problem["path"]).is_relative_to(run) for problem in problems):
                yield f"damage is not named: {listed.err[-300:]}"
        key = next(iter(changes)).name if len(next(iter(changes)).name) == 20 else self.keys[0]
        asked = {
            "ls": ("results", "ls", str(suite)),
            "report": ("report", str(suite)),
            "compare": ("compare", str(self.bases["folders"] / "hostile"), str(suite)),
            "claims": ("claims", self.file, str(suite)),
            "gate": ("gate", self.file, "--base", str(self.bases["folders"] / "hostile"), "--head", str(suite)),
            "plan": ("plan", self.file, "--out", str(case)),
            "rerun": ("rerun", key, "--out", str(suite)),
        }
        for name, arguments in asked.items():
            answer = call(*arguments)
            yield from self._faults(name, answer)
            if name in ("ls", "report", "compare", "claims", "gate"):
                yield from _unnamed(name, answer, problems)
        copy = case.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        with contextlib.suppress(shutil.Error, OSError):  # as of FIFOs
            subprocess_copy(case, copy)
            yield from self._faults("compact", call("results", "compact", str(copy / "hostile")))
        answer = call("run", self.file, "--out", str(case))
        yield from self._faults("run", answer)
        if answer.code not in (0, 2 if refused else 0):
            yield f"run ends with {answer.code}: {answer.err[-600:]}"
        elif answer.code == 0:
            yield from self._not_whole(suite, "run")
            yield from self._faults("compact after run", call("results", "compact", str(suite)))
            yield from self._not_whole(suite, "compact after run")
        if list(_tree(outside)) != before:
            yield "something was written outside"

    def _not_whole(self, suite: Path, after: str) -> Iterator[str]:
        """Whether every run that the suite asks for is there and done."""
        listed = call("results", "ls", "--json", str(suite))
        if listed.code != 0:
            yield f"ls after {after} ends with {listed.code}"
            return
        told = json.loads(listed.out)
        done = {run["key"] for run in told["runs"] if run["status"] == "done"}
        if missing := set(self.keys) - done:
            yield f"after {after}, {len(missing)} runs are not there: {listed.err[-300:]}"

    def _faults(self, name: str, answer: Answer) -> Iterator[str]:
        self.codes.setdefault(name, Counter())[answer.code] += 1
        if answer.code is None:
            yield f"{name} hangs: {answer.err[-200:]}"
        elif answer.code not in (0, 1, 2, 3, 4, 5):
            yield f"{name} ends with {answer.code}: {answer.err[-600:]}"
        elif "Traceback" in answer.err:
            yield f"{name} shows a traceback: {answer.err[-600:]}"
        elif answer.code == 2 and not answer.err.strip():
            yield f"{name} ends with 2 and says nothing"


def subprocess_copy(source: Path, target: Path) -> None:
    """Copy a folder as it is, FIFOs and holes too."""
    import subprocess

    subprocess.run(["cp", "-a", "--sparse=always", source, target], check=False, capture_output=True)


def _unnamed(name: str, answer: Answer, problems: list[dict[str, str]]) -> Iterator[str]:
    for problem in problems:
        shown = "".join(c if c.isprintable() else "?" for c in " ".join(problem["path"].split()))
        if shown not in answer.err:
            yield f"{name} does not name {problem['path']}"


def _tree(folder: Path) -> Iterator[tuple[Any, ...]]:
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        yield str(path), found.st_ino, found.st_mtime_ns, found.st_size


def main(count: int, first: int = 0) -> int:
    """Try so many folders; returns how many findings there are."""
    sys.path.insert(0, str(HOSTILE))
    os.environ |= {"PYTHONPATH": str(HOSTILE), "HARNESS_PLUGINS": "hostile", "NO_COLOR": "1"}
    warmed_up()
    found = 0
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        os.chdir(folder)
        laboratory = Laboratory(Path(folder))
        for tried, seed in enumerate(range(first, first + count), 1):
            for finding in laboratory.findings(seed):
                found += 1
                print(finding, flush=True)
            if tried % 50 == 0 and tried < count:
                print(f"{tried} folders so far", flush=True)
    for command, codes in laboratory.codes.items():
        print(f"{command}: {', '.join(f'{n} ended with {code}' for code, n in sorted(codes.items()))}")
    print(f"{count} folders of results, {laboratory.named} named damaged, {found} findings", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(min(1, main(*map(int, sys.argv[1:]))))
