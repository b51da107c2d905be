"""Two sides as matched tasks: which runs may be compared with which, and why others may not.

A task is an environment with its budget and evaluation, an algorithm and a device. What differs in any of them, or
in a version, is not comparable: it is listed with the reason, and never averaged with anything.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from harness.analysis.measures import measured
from harness.analysis.pairing import Run, Task
from harness.discovery.selection import parse_selection
from harness.errors import UsageError
from harness.measures import Failure, Measure, named

if TYPE_CHECKING:
    from harness.analysis.results import Results

PLACE = ["environment_name", "contestant", "device"]
TASK = {  # columns that make a task, and how a person calls them
    "environment_id": "environment id",
    "environment_version": "environment version",
    "budget": "budget",
    "task_hash": "environment arguments, wrappers or evaluation",
}
ALGORITHM = {"algorithm_id": "algorithm", "algorithm_version": "algorithm version"}


def matched(base: "Results", head: "Results", measure: str) -> list[Task]:
    """The same algorithms on both sides, task by task, in the order of environments and algorithms.

    An algorithm whose version was raised is not comparable; one whose configuration differs under the same name is,
    because that is a change of the code, and it is noted.

    Args:
        base: stored runs of the old side.
        head: of the new side.
        measure: the name of one that single runs have.
    """
    asked = named(measure)
    old, new = _places(base, asked), _places(head, asked)
    return [
        task
        for place in sorted(old.keys() | new.keys())
        for task in _tasks(place, old.get(place, []), new.get(place, []), asked, same_algorithm=True)
    ]


def contrasted(results: "Results", base: str, head: str, measure: str) -> list[Task]:
    """Two algorithms of one set of runs, task by task.

    Args:
        results: stored runs.
        base: the algorithm that is compared with: full id, preset and overrides, or the same without the plugin.
        head: the one that is judged.
        measure: the name of one that single runs have.

    Raises:
        UsageError: there are no runs of an algorithm, or a name fits several.
    """
    asked = named(measure)
    groups = _places(results, asked)
    known = sorted({contestant for _, contestant, _ in groups})
    old, new = (_contestant(name, known) for name in (base, head))
    if old == new:
        raise UsageError(f"{base!r} and {head!r} are the same algorithm")
    places = sorted({(environment, device) for environment, name, device in groups if name in (old, new)})
    return [
        task
        for environment, device in places
        for task in _tasks(
            (environment, new, device),
            groups.get((environment, old, device), []),
            groups.get((environment, new, device), []),
            asked,
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


Place = tuple[str, str, str]  # of an environment, a contestant and a device


class _Group(NamedTuple):
    """Runs of one side in one place that are of the same task."""

    facts: tuple[object, ...]  # values of the columns TASK
    runs: pd.DataFrame

    @property
    def budget(self) -> int:
        return int(self.runs["budget"].iloc[0])


def _places(results: "Results", measure: Measure) -> dict[Place, list[_Group]]:
    values, final = (measured(results, name)["value"] for name in (measure.name, "final_score"))
    runs = results.runs.assign(value=values, at_threshold=final >= results.runs["threshold"])
    return {
        (str(environment), str(contestant), str(device)): [
            _Group(facts, group) for facts, group in rows.groupby([*TASK], sort=True)
        ]
        for (environment, contestant, device), rows in runs.groupby(PLACE, sort=True)
    }


def _tasks(
    place: Place, base: list[_Group], head: list[_Group], measure: Measure, same_algorithm: bool
) -> Iterator[Task]:
    """What both sides of a place have in common, then what they have not."""
    old, new = ({group.facts: group for group in side} for side in (base, head))
    for facts in (each for each in old if each in new):
        yield _task(place, old[facts], new[facts], measure, same_algorithm)
    only_old = [group for group in base if group.facts not in new]
    only_new = [group for group in head if group.facts not in old]
    for left, right in zip(only_old, only_new, strict=False):
        why = _why_apart(left.facts, right.facts)
        yield Task(*place, left.budget, _side(left.runs), _side(right.runs), why_not=why)
    for left in only_old[len(only_new) :]:
        yield Task(*place, left.budget, _side(left.runs), {}, why_not="only the base has it")
    for right in only_new[len(only_old) :]:
        yield Task(*place, right.budget, {}, _side(right.runs), why_not="only the head has it")


def _task(place: Place, base: _Group, head: _Group, measure: Measure, same_algorithm: bool) -> Task:
    """Both sides of one task, if each is of one algorithm, and of the same where that is asked."""
    random, reference = (_stored(name, base.runs, head.runs) for name in ("random_score", "reference_score"))
    task = Task(*place, base.budget, _side(base.runs), _side(head.runs), random, reference, measure)
    for side, runs in (("base", base.runs), ("head", head.runs)):
        for column, name in (*ALGORITHM.items(), ("config", "configuration")):
            if runs[column].nunique() > 1:
                return replace(task, why_not=f"the {side} has more than one {name}")
        if runs["seed"].duplicated().any():
            return replace(task, why_not=f"the {side} has several runs of one seed")
        if runs.loc[runs["status"] == "done", "value"].isna().any():
            return replace(task, why_not=f"a run of the {side} has nothing that this measure could measure")
    old, new = base.runs.iloc[0], head.runs.iloc[0]
    same = ALGORITHM if same_algorithm else {}
    if measure.failure is Failure.BUDGET:
        same = {**same, "threshold": "threshold"}
    why = what_differs([*same.values()], [old[name] for name in same], [new[name] for name in same])
    changed = same_algorithm and old["config"] != new["config"]
    return replace(task, why_not=why, note="its configuration differs" if changed else "")


def _why_apart(base: tuple[object, ...], head: tuple[object, ...]) -> str:
    """What differs between two tasks; hashes are only named where nothing readable differs."""
    *readable, _ = zip(TASK.values(), base, head, strict=True)
    told = what_differs(*zip(*readable, strict=True))
    return told or f"{TASK['task_hash']} differ"


def what_differs(names: Sequence[str], base: Sequence[object], head: Sequence[object]) -> str:
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
