"""A SLURM of one machine: ``sbatch``, ``squeue``, ``sacct``, ``scancel`` and ``sinfo``, and the controller behind them.

Scripts are run by bash as processes, so many at a time; they are requeued after preemption, as on a cluster. The
controller can be warm, too: ``warm -m harness_slurm.work ...`` is what ``python`` would do, in a fork that has all
imported.
"""

import contextlib
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "sinfo", "warm")
KNOWN = "array cpus-per-task dependency exclusive gpus-per-node job-name mem nodes open-mode output partition requeue"
KNOWN += " signal time comment reservation"
ALIVE = ("PENDING", "RUNNING")
GRACE = 0.3  # seconds between asking a job to end and killing it
TICK = 0.02
CLIENT = """#!{python} -SE
import json, os, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(os.path.join({folder!r}, "socket"))
told = {{"line": [os.path.basename(sys.argv[0]), *sys.argv[1:]], "cwd": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(link, [b"f"], [1, 2])
link.sendall(json.dumps(told).encode() + b"\\n")
answer = json.loads(link.makefile().readline() or '{{"code": 137}}')
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(answer["code"])
"""


class Refused(Exception):
    """What a command says on stderr."""


@dataclass
class Element:
    """Of an array."""

    id: int
    index: int
    options: dict[str, str]
    script: str
    environment: dict[str, str]
    cwd: str
    at_once: int
    state: str = "PENDING"
    restarts: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    forks: list[int] = field(default_factory=list)
    preempt_at: float = float("inf")
    kill_at: float = float("inf")
    time_out_at: float = float("inf")
    then: str = ""  # its state once it is killed
    ended_at: float = 0.0


@dataclass
class Rules:
    """What a cluster is like."""

    slots: int = 2  # jobs that run at the same time
    preempted: float = 0.0  # part of all jobs
    within: float = 1.0  # seconds after their start
    requeues: float = 1.0  # part of the preempted that it starts again by itself
    seed: int = 0
    remembers: float = 300.0  # seconds that the queue shows what has ended
    accounting: bool = True
    gpus: bool = False
    warm: bool = False


class Controller:
    """Who runs the scripts."""

    def __init__(self, folder: Path, rules: Rules) -> None:
        self.folder, self.rules, self.draw = folder, rules, random.Random(rules.seed)
        self.elements: list[Element] = []
        self.waiting: dict[int, socket.socket] = {}  # for the end of a fork
        self.log = (folder / "events").open("a", buffering=1)
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(str(folder / "socket"))
        self.door.listen(200)
        self.door.settimeout(TICK)

    def serve(self) -> None:
        while os.getppid() != 1:
            with contextlib.suppress(TimeoutError):
                link, _ = self.door.accept()
                self.answer(link)
            self.reap()
            self.watch()
            self.schedule()

    def answer(self, link: socket.socket) -> None:
        link.settimeout(10)
        descriptors, line = [], ""
        with contextlib.suppress(OSError):
            _, descriptors, _, _ = socket.recv_fds(link, 1, 2)
            line = link.makefile().readline()
        if not line.endswith("\n"):  # whoever asked was killed meanwhile
            for descriptor in descriptors:
                os.close(descriptor)
            return link.close()
        asked = json.loads(line)
        name, *words = asked["line"]
        answer: dict[str, Any] = {"code": 0}
        try:
            if (self.folder / "down").exists() and name != "warm":
                raise Refused(f"{name}: error: Unable to contact slurm controller (connect failure)\n")
            if name == "warm":
                self.fork(words, asked, descriptors, link)
                return
            answer["out"] = getattr(self, name)(words, asked)
        except Refused as refused:
            answer = {"code": 1, "err": str(refused)}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        with contextlib.suppress(OSError):
            link.sendall(json.dumps(answer).encode() + b"\n")
        link.close()

    def sbatch(self, words: list[str], asked: dict[str, Any]) -> str:
        script = Path(words[-1]).read_text()
        options: dict[str, str] = {}
        for line in re.findall(r"^#SBATCH --(.*)$", script, re.MULTILINE):
            name, _, value = line.partition("=")
            if name not in KNOWN.split():
                raise Refused(f"sbatch: unrecognized option '--{line}'\nTry \"sbatch --help\" for more information\n")
            options[name] = " ".join(shlex.split(value))
        if options.get("partition", "short") != "short":
            raise Refused("sbatch: error: invalid partition specified: " + options["partition"] + "\n"
                          "sbatch: error: Batch job submission failed: Invalid partition name specified\n")  # fmt: skip
        if not re.fullmatch(r"[\d:-]+", options.get("time", "1")):
            raise Refused("sbatch: error: Invalid --time specification\n")
        last, at_once = map(int, re.fullmatch(r"0-(\d+)%(\d+)", options["array"]).groups())
        id = 1 + max((each.id for each in self.elements), default=100)
        cwd, environment = asked["cwd"], asked["environment"]
        self.elements += [Element(id, i, options, script, environment, cwd, at_once) for i in range(last + 1)]
        self.note("submit", id=id, jobs=last + 1, at_once=at_once, after=options.get("dependency", ""))
        return f"{id}\n"

    def named(self, words: list[str]) -> list[Element]:
        (names,) = (word.partition("=")[2].split(",") for word in words if word.startswith("--name="))
        return [each for each in self.elements if each.options["job-name"] in names]

    def squeue(self, words: list[str], asked: dict[str, Any]) -> str:
        now = time.monotonic()
        shown = [e for e in self.named(words) if e.state in ALIVE or now - e.ended_at < self.rules.remembers]
        return "".join(f"{e.options['job-name']}|{e.index}|{e.state}\n" for e in shown)

    def sacct(self, words: list[str], asked: dict[str, Any]) -> str:
        if not self.rules.accounting:
            raise Refused("Slurm accounting storage is disabled\n")
        lines = []
        for id in dict.fromkeys(each.id for each in self.named(words)):
            of_array = [each for each in self.elements if each.id == id]
            pending = [each.index for each in of_array if each.state == "PENDING"]
            name = of_array[0].options["job-name"]
            lines += [f"{name}|{id}_[{','.join(map(str, pending))}]|PENDING"] if pending else []
            states = [(e, "CANCELLED by 0" if e.state == "CANCELLED" else e.state) for e in of_array]
            lines += [f"{name}|{id}_{e.index}|{state}" for e, state in states if state != "PENDING"]
        return "".join(f"{line}\n" for line in lines)

    def scancel(self, words: list[str], asked: dict[str, Any]) -> str:
        ids = [word for word in words if not word.startswith("--")]
        asked_for = (
            [e for e in self.elements if {str(e.id), f"{e.id}_{e.index}"} & set(ids)] if ids else self.named(words)
        )
        for each in asked_for:
            self.end(each, "CANCELLED")
        return ""

    def sinfo(self, words: list[str], asked: dict[str, Any]) -> str:
        return "gpu:2\n" if self.rules.gpus else "(null)\n"

    def schedule(self) -> None:
        """Start what can be started, in the order in which it came."""
        running = Counter(each.id for each in self.elements if each.state == "RUNNING")
        unfinished = {each.id for each in self.elements if each.state in ALIVE}
        for each in self.elements:
            after = {int(id) for id in re.findall(r"afterany:(\d+)", each.options.get("dependency", ""))}
            room = running.total() < self.rules.slots and running[each.id] < each.at_once
            if each.state == "PENDING" and room and not after & unfinished:
                self.start(each)
                running[each.id] += 1

    def start(self, each: Element) -> None:
        told = {"ARRAY_JOB_ID": each.id, "ARRAY_TASK_ID": each.index, "JOB_ID": each.id, "RESTART_COUNT": each.restarts}
        script = self.folder / f"script-{each.id}"
        if not script.exists():  # bash reads it bit by bit
            script.write_text(each.script)
        output = each.options["output"].replace("%x", each.options["job-name"]).replace("%a", str(each.index))
        with open(output, "ab") as log:
            each.process = subprocess.Popen(
                ["bash", str(script)], cwd=each.cwd, stdout=log, stderr=log, start_new_session=True,
                env={**each.environment, **{f"SLURM_{name}": str(value) for name, value in told.items()}},
            )  # fmt: skip
        now = time.monotonic()
        each.state, each.forks, each.then, each.kill_at = "RUNNING", [], "", float("inf")
        taken = self.draw.random() < self.rules.preempted
        each.preempt_at = now + self.draw.uniform(0, self.rules.within) if taken else float("inf")
        minutes = each.options.get("time", "")
        each.time_out_at = now + 60 * float(minutes) if minutes.isdigit() else float("inf")
        self.note("start", id=each.id, index=each.index, restarts=each.restarts)

    def end(self, each: Element, then: str) -> None:
        """Ask a job to end, and soon kill it."""
        if each.state == "PENDING":
            each.state, each.ended_at = then, time.monotonic()
        elif each.state == "RUNNING" and not each.then:
            each.then, each.kill_at = then, time.monotonic() + GRACE
            if then == "PENDING":
                self.signal(each, signal.SIGUSR2)
            self.signal(each, signal.SIGTERM)

    def watch(self) -> None:
        now = time.monotonic()
        for each in self.elements:
            if each.state == "RUNNING" and not each.then and now > min(each.preempt_at, each.time_out_at):
                again = self.draw.random() < self.rules.requeues
                self.note("preempt", id=each.id, index=each.index, again=again)
                self.end(each, "TIMEOUT" if now > each.time_out_at else "PENDING" if again else "PREEMPTED")
            if now > each.kill_at:
                self.signal(each, signal.SIGKILL)

    def signal(self, each: Element, number: int) -> None:
        """As to all processes of a control group."""
        import psutil

        for pid in (each.process.pid, *each.forks):
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(pid)
                for process in (*root.children(recursive=True), root):
                    with contextlib.suppress(psutil.Error):
                        process.send_signal(number)

    def reap(self) -> None:
        for each in self.elements:
            if each.process is not None and each.process.poll() is not None:
                self.signal(each, signal.SIGKILL)
                code, each.process, each.kill_at = each.process.returncode, None, float("inf")
                each.state = each.then or ("COMPLETED" if code == 0 else "FAILED")
                each.restarts += each.state == "PENDING"
                each.ended_at = time.monotonic()
                self.note("end", id=each.id, index=each.index, state=each.state, code=code)
        for pid in list(self.waiting):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                with contextlib.suppress(OSError), self.waiting.pop(pid) as link:
                    link.sendall(json.dumps({"code": code if code >= 0 else 128 - code}).encode() + b"\n")

    def fork(self, words: list[str], asked: dict[str, Any], descriptors: list[int], link: socket.socket) -> None:
        """What ``python -m MODULE ARGUMENTS`` would do, in a fork."""
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.setsid()
                for target, descriptor in zip((1, 2), descriptors, strict=True):
                    os.dup2(descriptor, target)
                for other in (self.door, link, *self.waiting.values()):
                    other.close()
                sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
                os.chdir(asked["cwd"])
                os.environ.clear()
                os.environ.update(asked["environment"])
                assert words[:2] == ["-m", "harness_slurm.work"]
                from harness_slurm.work import main

                code = main(words[2:])
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        self.waiting[pid] = link
        told = asked["environment"]
        at = int(told["SLURM_ARRAY_JOB_ID"]), int(told["SLURM_ARRAY_TASK_ID"])
        next(each for each in self.elements if (each.id, each.index) == at).forks.append(pid)

    def note(self, event: str, **what: Any) -> None:
        self.log.write(json.dumps({"event": event, "at": time.monotonic(), **what}) + "\n")


def warmed_up() -> None:
    """Import what jobs need, and have what they start be forks of this process."""
    import importlib
    import multiprocessing.util

    import torch

    import harness_slurm.work  # noqa: F401
    from harness.running import executor_local
    from support.kills import _forked_instead

    for module in executor_local.PRELOADED[:-1]:
        importlib.import_module(module)
    torch.set_num_threads(1)
    multiprocessing.util.spawnv_passfds = _forked_instead
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))  # as a new program has it


class FakeSlurm:
    """A cluster, for as long as the ``with`` lasts; ``environment`` is that of a login node."""

    def __init__(self, folder: Path, environment: dict[str, str], **rules: Any) -> None:
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        for name in COMMANDS:
            path = folder / "bin" / name
            path.write_text(CLIENT.format(python=sys.executable, folder=str(folder)))
            path.chmod(0o755)
        self.rules = Rules(**rules)
        self.environment = {**environment, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        self.warm = f"python={folder / 'bin' / 'warm'}"

    def __enter__(self) -> "FakeSlurm":
        line = [sys.executable, "-m", "support.slurm", str(self.folder), json.dumps(self.rules.__dict__)]
        path = os.pathsep.join((str(Path(__file__).parents[1]), self.environment.get("PYTHONPATH", "")))
        self.controller = subprocess.Popen(line, env={**self.environment, "PYTHONPATH": path})
        while not (self.folder / "socket").exists():
            assert self.controller.poll() is None, "the controller died"
            time.sleep(TICK)
        return self

    def __exit__(self, *_: object) -> None:
        import psutil

        everything = psutil.Process(self.controller.pid).children(recursive=True)
        self.controller.kill()
        self.controller.wait()
        for process in everything:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = (self.folder / "events").read_text().splitlines()
        return [told for told in map(json.loads, lines) if told["event"] == event]

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """The controller answers nobody."""
        (self.folder / "down").touch()
        try:
            yield
        finally:
            (self.folder / "down").unlink()


if __name__ == "__main__":
    at, told = Path(sys.argv[1]), Rules(**json.loads(sys.argv[2]))
    if told.warm:
        warmed_up()
    Controller(at, told).serve()
