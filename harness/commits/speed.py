"""Is this commit slower? Both sides train beside each other on this machine, in alternating blocks.

A block is a few steps of training, evaluation switched off, as long as fifty milliseconds at least and the same on
all sides. Three warm processes take turns, one block each: the base, the base once more as a control, and the head,
then the same in reverse (ABBA), so that whatever drifts favours none. Such a group of processes is one observation. Its
time of a side is that of all its blocks: a median over blocks would not see an update that one block of four holds.
"""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from harness.commits.checkout import Code
from harness.commits.question import Question
from harness.commits.side_process import start
from harness.contract.errors import ExitCode, HarnessError
from harness.running.provenance import machine
from harness.statistics.timing import MOST_PAIRS, TOLERATED, Speed, Timing, overall, timings
from harness.text import counted

BLOCKS = 12  # timed per process and task; a multiple of 6, so that turns are even
PAIRS = 6
FEWEST_PAIRS = 5  # with which any p-value is small enough
SIDES = ("base", "control", "head")
COMMAND = "time-blocks"  # by which a side is asked; `harness.commits.timed_side` answers
PROTOCOL = 1  # raised when a request, an answer or what is measured comes to mean something else


class SpeedError(HarnessError):
    """A side that cannot be timed; the message says which and why."""

    exit_code = ExitCode.INCOMPLETE


class TimedTask(NamedTuple):
    """Something to time."""

    name: str  # algorithm, environment, device
    start: int  # steps before it is warm
    block: int  # steps of a block


class SpeedAnswer(NamedTuple):
    """What was found."""

    verdict: Speed  # over all tasks
    tasks: Mapping[str, Timing]  # by name
    not_timed: Mapping[str, str]  # reasons by name
    pairs: int  # of processes
    tolerated: float  # share of the base's time by which the head may be slower
    machine: str  # it was measured on
    commits: tuple[str, str]  # of the base and of the head


def judge_speed(
    base: Code,
    head: Code,
    question: Question,
    *,
    pairs: int = PAIRS,
    tolerated: float = TOLERATED,
    minutes: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> SpeedAnswer:
    """Time both sides, and decide; after ``minutes`` no further pair is begun.

    Pairs are of processes, from `FEWEST_PAIRS` to `MOST_PAIRS`; tolerated is a share of the base's time.

    Raises:
        SpeedError: a side cannot be timed, or they have nothing in common.
    """
    if not FEWEST_PAIRS <= pairs <= MOST_PAIRS:
        raise ValueError(f"{pairs} pairs; {FEWEST_PAIRS} to {MOST_PAIRS} can be judged")
    began = monotonic()
    tasks, not_timed = _prepared(base, head, question, tell)
    seconds: list[list[list[float]]] = []  # [pair, task, side], per step
    for pair in range(pairs):
        elapsed = monotonic() - began
        if minutes is not None and pair and elapsed * (pair + 1) / pair > minutes * 60:
            tell(f"speed: stopped after {pair} of {pairs} pairs, for {minutes:g} minutes are all there is")
            break
        tell(f"speed: pair {pair + 1} of {pairs}, {counted(len(tasks), 'task')}, {elapsed:.0f} s so far")
        with ExitStack() as stack:
            processes = [
                stack.enter_context(_started(code, side, question))
                for side, code in zip(SIDES, (base, base, head), strict=True)
            ]
            for process in processes:
                process.hear()
            seconds.append([_timed(processes, task, pair) for task in tasks])
    old, control, new = np.moveaxis(np.array(seconds), 2, 0)
    found = timings(old, new, control, tolerated=tolerated)
    by_name = {task.name: timing for task, timing in zip(tasks, found, strict=True)}
    commits = base.commit, head.commit
    return SpeedAnswer(overall(found), by_name, not_timed, len(seconds), tolerated, machine(), commits)


def turns(blocks: int, pair: int = 0) -> Iterator[tuple[int, ...]]:
    """In which order the sides take their blocks: forwards, then backwards, then likewise with another side first.

    Who begins changes from pair to pair, too.

    In six turns every side is as often first, second and last, and as often follows itself, with its caches warm.
    """
    for turn in range(blocks):
        first = turn // 2 + pair
        order = tuple((first + side) % len(SIDES) for side in range(len(SIDES)))
        yield order[::-1] if turn % 2 else order


def _timed(processes: Sequence["_Process"], task: TimedTask, pair: int) -> list[float]:
    """Seconds per step of each side."""
    (order,) = turns(1, pair)
    for side in order:  # one after another, for training that is warming up disturbs the others, too
        processes[side].ask(do="time", task=task.name, start=task.start, block=task.block, blocks=BLOCKS)
        processes[side].hear()
    spent, steps = [0.0] * len(processes), [0] * len(processes)
    for turn in turns(BLOCKS, pair):
        for side in turn:
            block = processes[side].told()
            spent[side] += block["seconds"]
            steps[side] += block["steps"]
    return [a / b for a, b in zip(spent, steps, strict=True)]


def _prepared(
    base: Code, head: Code, question: Question, tell: Callable[[str], None]
) -> tuple[list[TimedTask], dict[str, str]]:
    """What can be timed on both sides, with blocks that suit the base; and reasons for the rest."""
    with _started(base, "base", question) as old, _started(head, "head", question) as new:
        offered = old.offered(), new.offered()
        not_timed = {
            name: f"only the {side} has it"
            for side, mine, others in (("base", *offered), ("head", *offered[::-1]))
            for name in mine
            if name not in others
        }
        tasks = []
        for name in offered[0]:
            sides = [offer[name] for offer in offered if name in offer]
            why_not = next((side["why_not"] for side in sides if side["why_not"]), not_timed.get(name))
            if why_not:
                not_timed[name] = why_not
                continue
            start = max(side["warm_up"] for side in sides)
            old.ask(do="calibrate", task=name, start=start)
            tasks.append(TimedTask(name, start, old.hear()["block"]))
            tell(f"speed: {name} in blocks of {tasks[-1].block:,} steps")
    if not tasks:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in not_timed.items())
        raise SpeedError(f"there is nothing to time:{reasons}")
    return tasks, not_timed


class _Process(NamedTuple):
    """One side, training when told to: a process of `timed_side`, and what it prints otherwise."""

    side: str
    process: "subprocess.Popen[str]"
    log: Any

    def ask(self, **request: Any) -> None:
        """Send a request."""
        assert self.process.stdin is not None
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            self._fail()

    def hear(self) -> dict[str, Any]:
        """Wait for the answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self._fail()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            self._fail(answer["error"])
        return answer

    def offered(self) -> dict[str, Any]:
        """What the side can time, which it says first."""
        answer = self.hear()
        if answer.get("protocol") != PROTOCOL:
            self._fail(f"it measures by protocol {answer.get('protocol')}, the head by {PROTOCOL}")
        tasks: dict[str, Any] = answer["tasks"]
        return tasks

    def told(self) -> dict[str, Any]:
        """Have the next block trained, and wait for it."""
        self.ask(do="go")
        return self.hear()

    def _fail(self, reason: str = "") -> None:
        """Raise an error that says why; if it is dead, what it said last."""
        if not reason:
            self.process.wait()
            self.log.seek(0)
            lines = self.log.read().strip().splitlines()
            reason = lines[-1] if lines else f"its process ended with {self.process.returncode}"
            if any(f"No command '{COMMAND}'" in line for line in lines):
                reason = "its harness is older than this way to time it"
        raise SpeedError(f"the {self.side} cannot be timed: {reason}")


@contextmanager
def _started(code: Code, side: str, question: Question) -> Iterator[_Process]:
    """A process of a side; it is gone at the end, whatever happens."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = start(code, question, *question.arguments(COMMAND), asked=True, stderr=log)
        try:
            yield _Process(side, process, log)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started
            process.communicate()
