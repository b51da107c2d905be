"""What a gate judges: the tasks a suite asks for, and the seeds on which both sides answered.

Runs that failed by themselves are answers. Runs that are missing, interrupted or skipped are not: they are to be
run again, and a gate waits for them rather than judge by those that happen to be there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product, takewhile
from typing import NamedTuple

from harness.analysis.pairing import Task, blocks, failed_together, paired
from harness.analysis.tasks import told_seeds
from harness.discovery.selection import parse_selection
from harness.suite.reading import Suite

SKIPPED = "both sides skipped it"
OTHER_STREAMS = "streams of one side come from the seed alone, those of the other from seed and environment"
SIDES = ("base", "head")


@dataclass(frozen=True)
class Scope:
    """The tasks of a gate."""

    tasks: list[Task]  # to be judged
    not_comparable: list[Task]  # that cannot be, each with the reason
    unanswered: list[str]  # what the suite asks for and a side has no run of, in words

    @property
    def not_judged(self) -> list[Task]:
        """Those not comparable that at least one side has trained."""
        return [task for task in self.not_comparable if task.why_not != SKIPPED]

    def answering(self) -> "Scope":
        """The same without tasks whose runs cannot answer.

        Runs that failed together with all of their trial are one failure, be it by luck or by the code: those of the
        base are no base, and those of the head are to be run again. And sides of which only one has streams of its
        own on each environment differ in how their tasks hang together: with several, they are not comparable.
        """
        apart = {side: all(r.independent for t in self.tasks for r in getattr(t, side).values()) for side in SIDES}
        scope = Scope([], list(self.not_comparable), list(self.unanswered))
        for task in self.tasks:
            if apart["base"] != apart["head"] and len({task.environment for task in self.tasks}) > 1:
                scope.not_comparable.append(replace(task, why_not=OTHER_STREAMS))
            elif seeds := failed_together(task.base):
                scope.not_comparable.append(replace(task, why_not=f"{told_seeds(seeds)} of the base failed together"))
            elif seeds := failed_together(task.head):
                what = f"{told_seeds(seeds)} of the head failed together, in one trial"
                scope.unanswered.append(f"{task.name}: {what}: {task.why_failing}")
            else:
                scope.tasks.append(task)
        return scope

    def scored(self) -> "Scope":
        """The same without tasks whose failed runs have no score, which are not comparable."""
        unscored = [replace(task, why_not=task.unscored) for task in self.tasks if task.unscored]
        tasks = [task for task in self.tasks if not task.unscored]
        return Scope(tasks, [*self.not_comparable, *unscored], self.unanswered)


class Unfinished(NamedTuple):
    """A run that a gate waits for."""

    task: str  # its name
    seed: int  # of the run
    status: str  # of it, or "no run"
    side: str  # that it is missing on

    def __str__(self) -> str:
        return f"{self.task}, seed {self.seed}: {self.status} on the {self.side}"


class Seeds(NamedTuple):
    """The seeds of each side, in the order in which they are looked at."""

    base: list[int]  # of the old side
    head: list[int]  # of the new side; the same ones, in the same order, if they pair
    paired: bool  # whether they do
    unfinished: list[Unfinished]  # runs before which the order stops

    @property
    def each(self) -> int:
        """How many each side has at least."""
        return min(len(self.base), len(self.head))


def most_tasks(suite: Suite, algorithms: Sequence[str], environments: Sequence[str], devices: Sequence[str]) -> int:
    """How many tasks a gate can have, by what is asked of `in_scope`; 0 where only stored runs tell."""
    places = {*(environments or suite.environments)}
    cells = sum(len({*(algorithms or suite.contestants_on(place))}) for place in places)
    return cells * len({*(devices or suite.devices)})


def most_blocks(suite: Suite, environments: Sequence[str], tasks: Sequence[Task] = ()) -> int:
    """How many blocks the tasks of a gate on these environments can have; one if stored runs share luck among them."""
    shared = len({*blocks(tasks)}) < len({task.environment for task in tasks})
    return 1 if shared else len({*(environments or suite.environments)})


def in_scope(
    suite: Suite,
    tasks: Iterable[Task],
    algorithms: Sequence[str] = (),
    environments: Sequence[str] = (),
    devices: Sequence[str] = (),
) -> Scope:
    """Sort what `matched` gives by what a suite asks for.

    Algorithms and devices replace the suite's, if any are given; of its environments only those given are kept.

    Raises:
        SelectionError: one of ``algorithms`` cannot be read.
    """
    matched = list(tasks)
    chosen = [parse_selection(name).text for name in algorithms]
    stored = sorted({task.algorithm for task in matched})
    scope = Scope([], [], [])
    sorted_in: set[int] = set()  # for a task that is asked for by two names is one all the same
    cells = [
        (environment, *cell)
        for environment in (environments or suite.environments)
        for cell in product(chosen or suite.contestants_on(environment) or stored, devices or suite.devices)
    ]
    for environment, algorithm, device in dict.fromkeys(cells):
        budget = suite.for_environment(environment).steps
        cell = [i for i, task in enumerate(matched) if _answers(task, environment, algorithm, device)]
        if not cell:
            scope.unanswered.append(f"{algorithm} on {environment}: no run of either side")
        for index in cell:
            if index not in sorted_in:
                sorted_in.add(index)
                _sort(scope, matched[index], budget)
    return scope


def _answers(task: Task, environment: str, algorithm: str, device: str) -> bool:
    return (
        task.environment == environment.rpartition("/")[2]
        and algorithm in (task.algorithm, task.algorithm.partition("/")[2])
        and task.device == device
    )


def _sort(scope: Scope, task: Task, budget: int) -> None:
    why = task.why_not
    if not why and task.budget != budget:
        why = f"its budget is {task.budget:,} steps, the suite's is {budget:,}"
    if not why and all(run.status == "skipped" for run in task.runs):
        why = SKIPPED
    if task.base and not task.head:
        scope.unanswered.append(f"{task.name}: no run of the head")
    elif why:
        scope.not_comparable.append(replace(task, why_not=why))
    else:
        scope.tasks.append(task)


def chosen_seeds(tasks: Sequence[Task], declared: Sequence[int]) -> Seeds:
    """The seeds that are looked at: shared ones if they pair, otherwise each side's own.

    Which runs are looked at first is settled before any is seen: the suite's seeds in its order, then others in
    ascending order. The order stops before the first seed that some task has no answer for; where seeds pair,
    before one of the suite's, too, that one side has not run at all.
    """
    sides = [[task.base for task in tasks], [task.head for task in tasks]]
    present = [set().union(*side) for side in sides]
    answered = [set.intersection(*({s for s, run in one.items() if run.counts} for one in side)) for side in sides]
    shared = present[0] & present[1]
    pairs = paired(*present)
    asked = shared | (present[0] | present[1]).intersection(declared)
    orders = [_ordered(asked if pairs else seeds, declared) for seeds in present]
    good = [answered[0] & answered[1]] * 2 if pairs else answered
    base, head = (list(takewhile(kept.__contains__, order)) for order, kept in zip(orders, good, strict=True))
    unfinished = [
        Unfinished(task.name, seed, side[seed].status if seed in side else "no run", name)
        for name, order, one_side in zip(("base", "head"), orders, sides, strict=True)
        for task, side in zip(tasks, one_side, strict=True)
        for seed in order
        if seed not in side or not side[seed].counts
    ]
    return Seeds(base, head, pairs, unfinished)


def _ordered(seeds: set[int], declared: Sequence[int]) -> list[int]:
    first = [seed for seed in declared if seed in seeds]
    return [*first, *sorted(seeds.difference(first))]
