"""How a session shows its progress: a live table on a terminal, plain lines elsewhere. All of it on stderr."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

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

    def started(self, job: str, trial: TrialPlan) -> None:
        """Say that a trial has begun."""
        print(f"start  {trial}", file=self.stream, flush=True)

    def advanced(self, steps: Mapping[str, int]) -> None:
        """Steps taken so far, by id of running job, which plain lines do not follow."""

    def finished(self, job: str, trial: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """One line with the worst status and its reason, of those in the rows of a trial's runs."""
        self.finished_runs += len(rows)
        print(f"{summary(trial, rows)}  [{self.finished_runs}/{self.total}]", file=self.stream, flush=True)


def summary(trial: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A finished trial in one line."""
    kinds = sorted({row["status"] for row in rows}, key=lambda status: status == "done")
    took = "".join(f"  {row['total_seconds']:.1f} s" for row in rows[:1] if row["total_seconds"] is not None)
    why = "".join([f": {reason(row['error'])}" for row in rows if row["error"]][:1])
    return f"{'/'.join(kinds):6s} {trial}{took}{why}"


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
        self._tasks: dict[str, TaskID] = {}

    def started(self, job: str, trial: TrialPlan) -> None:
        """Add its bar, in steps."""
        self._tasks[job] = self.bars.add_task(str(trial), total=trial.cell.task.steps)

    def advanced(self, steps: Mapping[str, int]) -> None:
        """Move the bars."""
        for job, taken in steps.items():
            if job in self._tasks:
                self.bars.update(self._tasks[job], completed=taken)

    def finished(self, job: str, trial: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Remove its bar and print its line."""
        if job in self._tasks:
            self.bars.remove_task(self._tasks.pop(job))
        self.bars.advance(self._all, len(rows))
        self.bars.console.print(summary(trial, rows), markup=False, highlight=False)


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
