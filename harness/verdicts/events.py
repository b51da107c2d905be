"""Bad things that happen to runs, which no tolerated share of a score may hide: they fail, or miss their threshold.

A drop is a share of the distance to the random policy's score, which may be so low that the loss of everything worth
having is a small one. How often either happens is a question of the gate like any other, and spends of the same alpha.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from harness.analysis.pairing import Run, Side, Task, blocks, failed_together
from harness.analysis.tasks import told_seeds
from harness.statistics.decision import breaking, more_failures
from harness.statistics.runs import Floats
from harness.statistics.sequential import Rule
from harness.verdicts.scope import Seeds

FAILURES, THRESHOLDS = "failures", "thresholds"
HAPPENS: dict[str, Callable[[Run], bool]] = {FAILURES: lambda run: run.failed, THRESHOLDS: lambda run: not run.arrived}
TOLD = {FAILURES: "fail", THRESHOLDS: "end below the threshold"}


def concerns(task: Task, name: str) -> bool:
    """Whether an event is asked about on a task: failures are on all, thresholds where some run reaches them.

    Be it of the head: to choose by the base alone would make it look better than it is.
    """
    return name == FAILURES or any(run.arrived for run in task.runs)


def happened(tasks: Sequence[Task], seeds: Seeds) -> dict[str, tuple[Floats, Floats]]:
    """How often each event happened to each seed, [N, B] and [N', B] of the tasks' blocks, where it did at all."""
    of_tasks = np.eye(max(blocks(tasks)) + 1)[list(blocks(tasks))]
    found = {}
    for name, bad in HAPPENS.items():
        asked = [concerns(task, name) for task in tasks]
        base, head = (
            np.array([[bad(side[seed]) for side in sides] for seed in of]) * asked @ of_tasks
            for sides, of in (([task.base for task in tasks], seeds.base), ([task.head for task in tasks], seeds.head))
        )
        if base.any() or head.any():
            found[name] = base, head
    return found


def told(tasks: Sequence[Task], name: str, p: float) -> str:
    """How often it happened on either side, in words."""
    asked = [task for task in tasks if concerns(task, name)]
    head, base = (
        [HAPPENS[name](run) for side in of for run in side.values() if run.counts]
        for of in ([task.head for task in asked], [task.base for task in asked])
    )
    runs = f"{sum(head)} of {len(head)} runs {TOLD[name]}, {sum(base)} of {len(base)} on the base"
    return f"{runs} (p = {p:.2g} of no more than before)"


def broken(tasks: Sequence[Task], rule: Rule) -> Iterator[str]:
    """Tasks that break altogether: all runs of the head fail by themselves, none of the base, often enough.

    Those that fail together with all of their trial count once.
    """
    enough = breaking(len(tasks), rule.of_breaking) if tasks else 0
    for task in tasks:
        base, head = (_failures(side) for side in (task.base, task.head))
        apart = not failed_together(task.head)
        failures = min(map(len, (base, head)) if apart else map(_trials, (task.base, task.head)))
        if failures >= enough and all(head) and not any(base):
            yield f"{task.name}: all {len(head)} runs of the head fail, none of {len(base)} on the base"


def lost(task: Task) -> float:
    """Fisher's exact p-value that the runs of the head end at the threshold as often as those of the base."""
    old, new = ([not run.arrived for run in side.values() if run.counts] for side in (task.base, task.head))
    return more_failures(sum(old), len(old), sum(new), len(new))


def _failures(side: Side) -> list[bool]:
    return [run.failed for run in side.values() if run.counts]


def _trials(side: Side) -> int:
    """How many trials the runs that say something come from."""
    return len({run.trial or seed for seed, run in side.items() if run.counts})


def newly_failing(tasks: Sequence[Task]) -> Iterator[str]:
    """The runs that fail on the head and were done on the base, a line per task."""
    for task in tasks:
        if seeds := task.newly_failing:
            statuses = dict.fromkeys(task.head[seed].status for seed in seeds)
            yield f"{task.name}, {told_seeds(seeds)}: {' or '.join(statuses)} on the head, done on the base"
