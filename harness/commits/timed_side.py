"""Trains in blocks of steps, one whenever it is told to: what is timed, in a process of its own.

Each side of a speed gate runs its own, by the hidden command ``harness time-blocks``, so that nothing of a side but
that command is known to the other. It is told what to do by lines of JSON on stdin, and answers each with one line;
what they mean has a number, for sides that measure differently are not compared.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.commits.speed import PROTOCOL
from harness.measuring.training import Training
from harness.measuring.trial import LocalTrial
from harness.running.plan import Cell, Plan, TrialPlan

BLOCK_SECONDS = 0.05  # at least
UNEVENNESS = 2.0  # of the times of blocks, at most; a block that is too short holds no update, or one
BLOCKS_LOOKED_AT = 8
CALIBRATION_SECONDS = 20.0  # at most, for one task
MARK_STEPS = 100  # between marks, at most, while the length of a block is sought
MARKS = 2_000  # per budget, likewise
MOST_MARKS = 50_000

Report = Callable[[int, float], None]  # told of steps and training seconds


class Over(BaseException):
    """Enough was trained; no algorithm catches this."""


def train(cell: Cell, seeds: Sequence[int], spacing: int, marks: int, report: Report) -> None:
    """Train until the report has had enough; nothing is evaluated.

    The report is told at every mark after the one at 0, with the clock stopped; it may wait, and raises `Over` to end
    training. The budget is the suite's unless it has too little room for ``marks`` marks, ``spacing`` steps apart.
    """
    points = max(math.ceil(cell.task.steps / spacing), marks + 1)
    description = replace(TrialPlan(cell, tuple(seeds)).description, budget=points * spacing, points=points)

    def tell(trial: LocalTrial) -> None:
        with trial.clock.paused():
            if trial.steps:
                report(trial.steps, trial.clock.training)

    try:
        Training(description, cell.device, at_mark=tell).run()
    except Over:
        return
    raise RuntimeError("training ended before it was told to")


def warm_up(config: Mapping[str, Any]) -> int:
    """Steps before an algorithm learns: the largest of its settings called ``*_starts``."""
    starts = [v for name, v in config.items() if name.endswith("_starts") and isinstance(v, int | float)]
    return int(max(starts, default=0))


def block_length(times: Sequence[float]) -> int | None:
    """How many marks make a block: enough to time, and for all blocks to hold about the same work.

    By the training seconds between marks, [n]; None if more marks are needed to tell.
    """
    if sum(times) < BLOCKS_LOOKED_AT * BLOCK_SECONDS:
        return None
    length = math.ceil(BLOCK_SECONDS / (sum(times) / len(times)))
    while length * BLOCKS_LOOKED_AT <= len(times):
        blocks = [sum(times[i * length : (i + 1) * length]) for i in range(BLOCKS_LOOKED_AT)]
        if max(blocks) <= UNEVENNESS * min(blocks) and min(blocks) >= BLOCK_SECONDS / UNEVENNESS:
            return length
        length *= 2
    return None


def calibrated(cell: Cell, seeds: Sequence[int], start: int) -> int:
    """Steps of a block of this task, on this machine."""
    spacing = min(MARK_STEPS, max(1, cell.task.steps // MARKS))
    times: list[float] = []
    warm: list[tuple[int, float]] = []  # steps and seconds of every mark from where training is warm
    block = 0

    def report(steps: int, seconds: float) -> None:
        nonlocal block
        if steps < start:
            return
        if warm:
            times.append(seconds - warm[-1][1])
        warm.append((steps, seconds))
        if len(times) < BLOCKS_LOOKED_AT or (len(times) & (len(times) - 1) and len(times) < MOST_MARKS):
            return  # only powers of two are looked at
        length = block_length(times)
        if length is None and (sum(times) > CALIBRATION_SECONDS or len(times) >= MOST_MARKS):
            length = math.ceil(len(times) / BLOCKS_LOOKED_AT)
        if length is not None:
            block = math.ceil(length * (steps - warm[0][0]) / len(times))
            raise Over

    train(cell, seeds, spacing, math.ceil(start / spacing) + MOST_MARKS + 1, report)
    return block


@dataclass(frozen=True)
class Worker:
    """Answers requests about a plan until there are no more, when ``ask`` gives None."""

    plan: Plan
    answer: Callable[[Mapping[str, Any]], None]
    ask: Callable[[], Mapping[str, Any] | None]

    def serve(self) -> None:
        """Say what there is to time, then do as told."""
        cells, tasks = {name_of(cell): cell for cell in self.plan.cells}, {}
        for name, cell in cells.items():
            many = cell.contestant.needs.processes == "many"
            why_not = cell.reason or ("its environments step in other processes" if many else "")
            tasks[name] = {"warm_up": warm_up(cell.contestant.config), "why_not": why_not}
        self.answer({"protocol": PROTOCOL, "tasks": tasks})
        while (request := self.ask()) is not None:
            cell = cells[request["task"]]
            try:
                self._serve(cell, request)
            except Exception as error:
                self.answer({"error": f"{type(error).__name__}: {error}"})

    def _serve(self, cell: Cell, request: Mapping[str, Any]) -> None:
        every = tuple(cell.keys)
        seeds = every if cell.contestant.entry.spec.trains_together(cell.contestant.needs) else every[:1]
        if request["do"] == "calibrate":
            self.answer({"block": calibrated(cell, seeds, request["start"])})
            return
        block, blocks = request["block"], request["blocks"]
        skipped = math.ceil(request["start"] / block) + 1
        train(cell, seeds, block, skipped + blocks, self._pacer(skipped, blocks, block))

    def _pacer(self, skipped: int, blocks: int, block: int) -> Report:
        """Waits at every mark from the one on at which training is warm."""
        done, before = 0, (0, 0.0)

        def report(steps: int, seconds: float) -> None:
            nonlocal done, before
            if steps < skipped * block:
                return
            taken, before = (steps - before[0], seconds - before[1]), (steps, seconds)
            self.answer({"steps": taken[0], "seconds": taken[1]})
            if done == blocks:
                raise Over
            done += 1
            self.ask()

        return report


def name_of(cell: Cell) -> str:
    """What a person calls a task."""
    device = "" if cell.device == "cpu" else f" ({cell.device})"
    return f"{cell.contestant.label} on {cell.environment.spec.name}{device}"


def serve(plan: Plan) -> None:
    """Talk over stdin and what was stdout; whatever else is printed goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(message: Mapping[str, Any]) -> None:
        print(json.dumps(message), file=channel, flush=True)

    def ask() -> Mapping[str, Any] | None:
        line = sys.stdin.readline()
        return json.loads(line) if line else None

    Worker(plan, answer, ask).serve()
