"""How a session shows its progress: a live table on a terminal, plain lines elsewhere. All of it on stderr."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from harness.running.plan import TrialPlan
from harness.text import reason

if TYPE_CHECKING:
    from rich.progress import TaskID


@dataclass
class Plain:
    """One line when a trial starts and one when it ends."""

    total: int  # runs of the session
    stream: TextIO = field(default_factory=lambda: sys.stderr)  # where lines go
    finished_runs: int = 0
    _began: dict[str, float] = field(default_factory=dict)

    def started(self, job: str, trial: TrialPlan) -> None:
        """Note when a trial began."""
        self._began[job] = time.monotonic()
        print(f"start  {trial}", file=self.stream, flush=True)

    def advanced(self, steps: Mapping[str, int]) -> None:
        """Steps taken so far, by id of running job, which plain lines do not follow."""

    def finished(self, job: str, trial: TrialPlan, statuses: Mapping[int, str], errors: Mapping[int, str]) -> None:
        """One line with the worst status and its reason, of those by seed with which a trial has ended."""
        self.finished_runs += len(statuses)
        seconds = time.monotonic() - self._began.pop(job)
        print(f"{summary(trial, statuses, errors, seconds)}  [{self.finished_runs}/{self.total}]",
              file=self.stream, flush=True)  # fmt: skip


def summary(trial: TrialPlan, statuses: Mapping[int, str], errors: Mapping[int, str], seconds: float) -> str:
    """A finished trial in one line."""
    kinds = sorted(set(statuses.values()), key=lambda status: status == "done")
    reasons = [reason(errors[seed]) for seed in statuses if errors[seed]]
    why = f": {reasons[0]}" if reasons else ""
    return f"{'/'.join(kinds):6s} {trial}  {seconds:.1f} s{why}"


class Live:
    """A table of running trials on a terminal, finished ones scrolling by above it."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._all = self.bars.add_task("runs", total=total)
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    def started(self, job: str, trial: TrialPlan) -> None:
        """Add its bar, in steps."""
        task = self.bars.add_task(str(trial), total=trial.cell.task.steps)
        self._tasks[job] = (task, time.monotonic())

    def advanced(self, steps: Mapping[str, int]) -> None:
        """Move the bars."""
        for job, taken in steps.items():
            if job in self._tasks:
                self.bars.update(self._tasks[job][0], completed=taken)

    def finished(self, job: str, trial: TrialPlan, statuses: Mapping[int, str], errors: Mapping[int, str]) -> None:
        """Remove its bar and print its line."""
        task, began = self._tasks.pop(job)
        self.bars.remove_task(task)
        self.bars.advance(self._all, len(statuses))
        line = summary(trial, statuses, errors, time.monotonic() - began)
        self.bars.console.print(line, markup=False, highlight=False)


Progress = Plain | Live


@contextmanager
def shown(total: int) -> Iterator[Progress]:
    """The display that suits where stderr goes."""
    if sys.stderr.isatty():
        live = Live(total)
        with live.bars:
            yield live
    else:
        yield Plain(total)
