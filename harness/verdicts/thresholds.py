"""Thresholds that the head reaches less often: a loss that no tolerated share may hide.

A drop is a share of the distance to the random policy's score, which may be so low that the loss of everything worth
having is a small one.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from harness.analysis.pairing import Run, Side, Task
from harness.statistics.decision import more_failures


class Loss(NamedTuple):
    """Fewer runs end at a threshold."""

    task: Task | None  # whose; None for all of them together
    reason: str  # in words


def lost_thresholds(tasks: Sequence[Task], alpha: float) -> list[Loss]:
    """What Fisher's exact tests say of runs that end at their task's threshold or above it.

    Half of alpha is for all tasks together, and half is shared among the tasks. Those are meant whose threshold some
    run reaches, be it of the head: to choose by the base alone would make it look better than it is.
    """
    kept = [task for task in tasks if any(run.at_threshold for run in task.runs)]
    if not kept:
        return []
    old, new = [_counting(task.base) for task in kept], [_counting(task.head) for task in kept]
    found = [(task, *_compared(*sides)) for task, *sides in zip(kept, old, new, strict=True)]
    losses = [Loss(task, f"{task.name}: {told}") for task, p, told in found if p <= alpha / 2 / len(kept)]
    p, told = _compared([*chain(*old)], [*chain(*new)])
    return [*losses, Loss(None, f"all tasks: {told}")] if p <= alpha / 2 else losses


def _counting(side: Side) -> list[Run]:
    return [run for run in side.values() if run.counts]


def _compared(old: Sequence[Run], new: Sequence[Run]) -> tuple[float, str]:
    """The p-value that the new runs end at their threshold as often, and both counts in words."""
    short = [sum(not run.at_threshold for run in runs) for runs in (old, new)]
    p = more_failures(short[0], len(old), short[1], len(new))
    ended = [f"{len(runs) - count} of {len(runs)}" for runs, count in zip((old, new), short, strict=True)]
    return p, f"{ended[1]} runs end at the threshold, {ended[0]} on the base (Fisher's p = {p:.2g})"
