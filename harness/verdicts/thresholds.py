"""Thresholds that the head reaches less often: a loss that no tolerated share may hide.

A drop is a share of the distance to the random policy's score, which may be so low that the loss of everything worth
having is a small one.
"""

from collections.abc import Sequence

from harness.analysis.pairing import Side, Task
from harness.statistics.decision import more_failures


def lost_thresholds(tasks: Sequence[Task], alpha: float) -> list[tuple[Task | None, str]]:
    """What Fisher's exact tests say of runs that end at their task's threshold or above it.

    Half of alpha is for all tasks together, and half is shared among the tasks. Those are meant whose threshold some
    run reaches, be it of the head: to choose by the base alone would make it look better than it is.

    Returns:
        Each task of which fewer runs do, None for all of them together, and how many in words.
    """
    if not (kept := [task for task in tasks if any(run.at_threshold for run in task.runs)]):
        return []
    found = [(task, f"{task.name}: ", alpha / 2 / len(kept), [task.base], [task.head]) for task in kept]
    whole = (None, "all tasks: ", alpha / 2, [task.base for task in kept], [task.head for task in kept])
    return [
        (task, name + told)
        for task, name, level, base, head in (*found, whole)
        for p, told in [_compared(base, head)]
        if p <= level
    ]


def _compared(base: Sequence[Side], head: Sequence[Side]) -> tuple[float, str]:
    """The p-value that the runs of the head end at their threshold as often, and both counts in words."""
    old, new = ([bool(run.at_threshold) for side in of for run in side.values() if run.counts] for of in (base, head))
    p = more_failures(old.count(False), len(old), new.count(False), len(new))
    ended = f"{sum(new)} of {len(new)} runs end at the threshold, {sum(old)} of {len(old)} on the base"
    return p, f"{ended} (Fisher's p = {p:.2g})"
