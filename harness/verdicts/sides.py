"""Two sides as matched tasks: which runs may be compared with which, and why others may not.

A task is an environment with its budget and evaluation, an algorithm and a device. What differs in any of them, or
in a version, is not comparable: it is listed with the reason, and never averaged with anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.measures import measured
from harness.analysis.results import Results
from harness.analysis.summaries import FAILED
from harness.discovery.selection import parse_selection
from harness.errors import UsageError
from harness.listing import reason
from harness.statistics.runs import Floats

CELL = ["environment_name", "contestant", "device"]
TASK = {  # columns that make a task, and how a person calls them
    "environment_id": "environment id",
    "environment_version": "environment version",
    "budget": "budget",
    "task_hash": "environment arguments, wrappers or evaluation",
}
ALGORITHM = {"algorithm_id": "algorithm", "algorithm_version": "algorithm version"}


class Run(NamedTuple):
    """What is compared of a run.

    Attributes:
        status: one of the stored statuses.
        value: of the measure; NaN for a run that has none.
        fingerprint: of all its returns.
        seconds: its share of the wall-clock time of its trial; NaN if not known.
        machine: it ran on.
        commit: it ran with.
        error: why it failed or was skipped; empty for others.
        at_threshold: whether it is done and ended at the environment's threshold or above it; not where there is none.
    """

    status: str
    value: float
    fingerprint: str
    seconds: float
    machine: str
    commit: str
    error: str = ""
    at_threshold: bool = False

    @property
    def judged(self) -> bool:
        """Whether it says something about the algorithm: it is done, or failed by itself."""
        return self.failed or (self.status == "done" and isfinite(self.value))

    @property
    def failed(self) -> bool:
        """Whether it failed by itself, rather than by what is around it."""
        return self.status in FAILED


Side = Mapping[int, Run]  # by seed


@dataclass(frozen=True)
class Task:
    """Runs of both sides that are compared, or the reason why they cannot be.

    Attributes:
        environment: its short name.
        algorithm: full id, preset and overrides; of the head, where two algorithms are compared.
        device: trained on.
        budget: steps of a run; the base's, where they differ.
        base: runs of the old side by seed; empty where it has none.
        head: of the new side.
        random: score of a random policy, as the base has it stored; NaN if it is not known.
        reference: score of a good policy, likewise.
        why_not: why they are not comparable; empty if they are.
        note: what a reader should know though they are.
    """

    environment: str
    algorithm: str
    device: str
    budget: int
    base: Side
    head: Side
    random: float = nan
    reference: float = nan
    why_not: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """What a person reads."""
        return f"{self.algorithm} on {self.environment}{f' ({self.device})' if self.device != 'cpu' else ''}"

    @property
    def shared(self) -> list[int]:
        """Seeds that both sides have, whatever became of them; ascending."""
        return sorted(self.base.keys() & self.head.keys())

    @property
    def newly_failing(self) -> list[int]:
        """Seeds that failed on the head and were done on the base."""
        return [seed for seed in self.shared if self.head[seed].failed and self.base[seed].status == "done"]

    @property
    def why_failing(self) -> str:
        """What the first run of the head that failed said in the end, of those that newly fail if any do."""
        failed = self.newly_failing or sorted(seed for seed, run in self.head.items() if run.failed)
        return reason(self.head[failed[0]].error) if failed else ""

    @property
    def origin(self) -> float:
        """The score that counts as none: a random policy's, or 0 where that is not known."""
        return self.random if isfinite(self.random) else 0.0

    @property
    def known_scale(self) -> bool:
        """Whether it is known which scores are 0 and 1 of the normalised score."""
        return isfinite(self.random) and isfinite(self.reference) and self.random != self.reference

    @property
    def floor(self) -> float:
        """The score of a run that failed: a random policy's, but no better than the worst of both sides."""
        seen = [run.value for side in (self.base, self.head) for run in side.values() if isfinite(run.value)]
        known = [value for value in (self.random, *seen) if isfinite(value)]
        return min(known, default=0.0)

    def scores(self, side: Side, seeds: Sequence[int]) -> Floats:
        """Scores [N] of judged runs in the order of the seeds; those that failed have the floor."""
        return np.array([self.floor if side[seed].failed else side[seed].value for seed in seeds])


def matched(base: Results, head: Results, measure: str) -> list[Task]:
    """The same algorithms on both sides, task by task, in the order of environments and algorithms.

    An algorithm whose version was raised is not comparable; one whose configuration differs under the same name is,
    because that is a change of the code, and it is noted.

    Args:
        base: stored runs of the old side.
        head: of the new side.
        measure: a name that `harness.analysis.measures` knows.
    """
    old, new = _cells(base, measure), _cells(head, measure)
    return [
        task
        for cell in sorted(old.keys() | new.keys())
        for task in _tasks(cell, old.get(cell, []), new.get(cell, []), same_algorithm=True)
    ]


def contrasted(results: Results, base: str, head: str, measure: str) -> list[Task]:
    """Two algorithms of one set of runs, task by task.

    Args:
        results: stored runs.
        base: the algorithm that is compared with: full id, preset and overrides, or the same without the plugin.
        head: the one that is judged.
        measure: a name that `harness.analysis.measures` knows.

    Raises:
        UsageError: there are no runs of an algorithm, or a name fits several.
    """
    cells = _cells(results, measure)
    known = sorted({contestant for _, contestant, _ in cells})
    old, new = (_contestant(name, known) for name in (base, head))
    if old == new:
        raise UsageError(f"{base!r} and {head!r} are the same algorithm")
    places = sorted({(environment, device) for environment, name, device in cells if name in (old, new)})
    return [
        task
        for environment, device in places
        for task in _tasks(
            (environment, new, device),
            cells.get((environment, old, device), []),
            cells.get((environment, new, device), []),
            same_algorithm=False,
        )
    ]


def _named(name: str, known: Sequence[str]) -> list[str]:
    return [each for each in known if name in (each, each.partition("/")[2])]


def contestants(name: str, known: Sequence[str]) -> list[str]:
    """Those of the stored contestants that a name, with or without the plugin, stands for.

    Raises:
        UsageError: there is none; it lists those that there are.
    """
    found = _named(name, known) or _named(parse_selection(name).text, known)
    if not found:
        raise UsageError(f"{name!r} has no runs; there are {', '.join(known)}")
    return found


def _contestant(name: str, known: Sequence[str]) -> str:
    found = contestants(name, known)
    if len(found) > 1:
        raise UsageError(f"{name!r} fits {' and '.join(found)}")
    return found[0]


Cell = tuple[str, str, str]


class _Group(NamedTuple):
    """Runs of one side in one cell that are of the same task."""

    facts: tuple[object, ...]  # values of the columns TASK
    runs: pd.DataFrame

    @property
    def budget(self) -> int:
        return int(self.runs["budget"].iloc[0])


def _cells(results: Results, measure: str) -> dict[Cell, list[_Group]]:
    values, final = (measured(results, name)["value"] for name in (measure, "final_score"))
    runs = results.runs.assign(value=values, at_threshold=final >= results.runs["threshold"])
    return {
        (str(environment), str(contestant), str(device)): [
            _Group(facts, group) for facts, group in rows.groupby([*TASK], sort=True)
        ]
        for (environment, contestant, device), rows in runs.groupby(CELL, sort=True)
    }


def _tasks(cell: Cell, base: list[_Group], head: list[_Group], same_algorithm: bool) -> Iterator[Task]:
    """What both sides of a cell have in common, then what they have not."""
    old, new = ({group.facts: group for group in side} for side in (base, head))
    for facts in (each for each in old if each in new):
        yield _task(cell, old[facts], new[facts], same_algorithm)
    only_old = [group for group in base if group.facts not in new]
    only_new = [group for group in head if group.facts not in old]
    for left, right in zip(only_old, only_new, strict=False):
        why = _differing(left.facts, right.facts)
        yield Task(*cell, left.budget, _side(left.runs), _side(right.runs), why_not=why)
    for left in only_old[len(only_new) :]:
        yield Task(*cell, left.budget, _side(left.runs), {}, why_not="only the base has it")
    for right in only_new[len(only_old) :]:
        yield Task(*cell, right.budget, {}, _side(right.runs), why_not="only the head has it")


def _task(cell: Cell, base: _Group, head: _Group, same_algorithm: bool) -> Task:
    """Both sides of one task, if each is of one algorithm, and of the same where that is asked."""
    random, reference = (_stored(name, base.runs, head.runs) for name in ("random_score", "reference_score"))
    task = Task(*cell, base.budget, _side(base.runs), _side(head.runs), random, reference)
    for side, runs in (("base", base.runs), ("head", head.runs)):
        for column, name in (*ALGORITHM.items(), ("config", "configuration")):
            if runs[column].nunique() > 1:
                return replace(task, why_not=f"the {side} has more than one {name}")
        if runs["seed"].duplicated().any():
            return replace(task, why_not=f"the {side} has several runs of one seed")
        if runs.loc[runs["status"] == "done", "value"].isna().any():
            return replace(task, why_not=f"a run of the {side} has nothing that this measure could measure")
    if not same_algorithm:
        return task
    old, new = base.runs.iloc[0], head.runs.iloc[0]
    why = difference(
        [*ALGORITHM.values()], [old[name] for name in ALGORITHM], [new[name] for name in ALGORITHM]
    )
    note = "" if old["config"] == new["config"] else "its configuration differs"
    return replace(task, why_not=why, note=note)


def _differing(base: tuple[object, ...], head: tuple[object, ...]) -> str:
    """What differs between two tasks; hashes are only named where nothing readable differs."""
    *readable, _ = zip(TASK.values(), base, head, strict=True)
    told = difference(*zip(*readable, strict=True))
    return told or f"{TASK['task_hash']} differ"


def difference(names: Sequence[str], base: Sequence[object], head: Sequence[object]) -> str:
    """What differs between two sides, in words; empty if nothing does."""
    return ", ".join(
        f"{name} {old} and {new}" for name, old, new in zip(names, base, head, strict=True) if old != new
    )


def _side(runs: pd.DataFrame) -> dict[int, Run]:
    seconds = (runs["total_seconds"] / runs["runs_in_trial"].clip(lower=1)).astype(float)
    columns = (runs[name] for name in ("status", "value", "fingerprint"))
    rest = (runs[name] for name in ("machine", "commit", "error", "at_threshold"))
    rows = zip(runs["seed"], *columns, seconds, *rest, strict=True)
    return {int(seed): Run(*run) for seed, *run in rows}


def _stored(column: str, *sides: pd.DataFrame) -> float:
    """The first value of a column that a side has; NaN if none has."""
    return next((float(value) for runs in sides for value in runs[column].dropna()), nan)
