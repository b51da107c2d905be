"""Two sides as matched tasks: which runs may be compared with which, and why others may not.

A task is an environment with its budget and evaluation, an algorithm and a device. What differs in any of them, or
in a version, is not comparable: it is listed with the reason, and never averaged with anything.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.analysis.measures import measured
from harness.analysis.pairing import Run, Task
from harness.contract.errors import UsageError
from harness.discovery.selection import parse_selection
from harness.suite.measures import Failure, Measure, named

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
    """
    asked = named(measure)
    old, new = _places(base, measure), _places(head, measure)
    return [
        task
        for place in sorted(old.keys() | new.keys())
        for task in _tasks(place, old.get(place, {}), new.get(place, {}), asked, same_algorithm=True)
    ]


def contrasted(results: "Results", base: str, head: str, measure: str) -> list[Task]:
    """Two algorithms of one set of runs, task by task, by their full ids, presets and overrides, or without the plugin.

    Raises:
        UsageError: there are no runs of an algorithm, or a name fits several.
    """
    asked = named(measure)
    groups = _places(results, measure)
    known = sorted({contestant for _, contestant, _ in groups})
    old, new = (_contestant(name, known) for name in (base, head))
    if old == new:
        raise UsageError(f"{base!r} and {head!r} are the same algorithm")
    tasks: list[Task] = []
    for environment, device in sorted({(place, on) for place, name, on in groups if name in (old, new)}):
        first, second = (groups.get((environment, name, device), {}) for name in (old, new))
        tasks += _tasks((environment, new, device), first, second, asked, same_algorithm=False)
    return tasks


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
_Groups = dict[tuple[Any, ...], pd.DataFrame]  # runs of one side in one place, by the values of the columns TASK


def valued(results: "Results", measure: str) -> pd.DataFrame:
    """The table of runs with the value of a measure that single runs have, and whether they ended at the threshold."""
    values, final = (measured(results, name)["value"] for name in (measure, "final_score"))
    runs = results.runs.assign(value=values, arrived=final >= results.runs["threshold"])
    unfit = results.unfit.assign(value=np.nan, arrived=False)
    return pd.concat([runs, unfit], ignore_index=True) if len(unfit) else runs


def _places(results: "Results", measure: str) -> dict[Place, _Groups]:
    return {
        (str(environment), str(contestant), str(device)): dict(iter(rows.groupby([*TASK], sort=True)))
        for (environment, contestant, device), rows in valued(results, measure).groupby(PLACE, sort=True)
    }


def _tasks(place: Place, old: _Groups, new: _Groups, measure: Measure, same_algorithm: bool) -> Iterator[Task]:
    """What both sides of a place have in common, then what they have not."""
    for facts in (each for each in old if each in new):
        first, second = old[facts], new[facts]
        task = task_of(place, first, second, measure)
        if same_algorithm:  # of one version; another configuration is noted
            versions = [[runs[column].iloc[0] for column in ALGORITHM] for runs in (first, second)]
            changed = not task.why_not and first["config"].iloc[0] != second["config"].iloc[0]
            why = task.why_not or what_differs([*ALGORITHM.values()], *versions)
            task = replace(task, why_not=why, note="its configuration differs" if changed else "")
        yield task
    only_old, only_new = ([facts for facts in one if facts not in other] for one, other in ((old, new), (new, old)))
    for left, right in zip_longest(only_old, only_new):
        why = _why_apart(left, right) if left and right else f"only the {'base' if left else 'head'} has it"
        base, head = (_side(of[facts]) if facts else {} for of, facts in ((old, left), (new, right)))
        budget = dict(zip(TASK, left or right, strict=True))["budget"]
        yield Task(*place, int(budget), base, head, why_not=why)


def task_of(
    place: Place,
    base: pd.DataFrame,
    head: pd.DataFrame,
    measure: Measure,
    names: tuple[str, str] = ("the base", "the head"),
) -> Task:
    """Both sides of one task, each at least one row of what `valued` gives, or why they cannot be compared.

    The names are of both sides, for the reason.
    """
    random, reference = (_stored(name, base, head) for name in ("random_score", "reference_score"))
    budget = int(base["budget"].iloc[0])
    task = Task(*place, budget, _side(base), _side(head), random, reference, measure)
    why = _why_mixed(names[0], base, measure) or _why_mixed(names[1], head, measure)
    if not why and measure.failure is Failure.BUDGET:
        why = what_differs(["threshold"], *([side["threshold"].iloc[0]] for side in (base, head)))
    if not why and measure.failure is Failure.RANDOM and any(run.failed for run in task.runs):
        known = random, _stored("random_score", head, base)
        if not np.isnan(random):
            why = what_differs(["random score, which failed runs count as,"], *([each] for each in known))
    return replace(task, why_not=why)


def _why_mixed(name: str, runs: pd.DataFrame, measure: Measure) -> str:
    """Why the runs of a side are not runs of one thing, or have no number; empty if they are and have."""
    for column, what in (*ALGORITHM.items(), ("config", "configuration")):
        if len(values := sorted(runs[column].unique())) > 1:
            return f"{name} has more than one {what}" + f": {', '.join(values)}" * (column != "config")
    if len(twice := runs.loc[runs["seed"].duplicated(), "seed"].unique()):
        return f"{name} has runs of {told_seeds(twice)} in several suites"
    nothing = runs.loc[(runs["status"] == "done") & runs["value"].isna(), "seed"]
    return f"{name} has no {measure.name} with {told_seeds(nothing)}" if len(nothing) else ""


def told_seeds(seeds: Iterable[int]) -> str:
    """``seed 3``, ``seeds 3, 4``; of many the first ten."""
    ordered = sorted(seeds)
    shown = ", ".join(map(str, ordered[:10]))
    return f"seed{'s' * (len(ordered) > 1)} {shown}{', ...' * (len(ordered) > 10)}"


def _why_apart(base: tuple[object, ...], head: tuple[object, ...]) -> str:
    """What differs between two tasks; hashes are only named where nothing readable differs."""
    *readable, _ = zip(TASK.values(), base, head, strict=True)
    told = what_differs(*zip(*readable, strict=True))
    return told or f"{TASK['task_hash']} differ"


def what_differs(names: Sequence[str], base: Sequence[object], head: Sequence[object]) -> str:
    """What differs between two sides, in words; empty if nothing does."""
    return ", ".join(f"{name} {old} and {new}" for name, old, new in zip(names, base, head, strict=True) if old != new)


def _side(runs: pd.DataFrame) -> dict[int, Run]:
    seconds = (runs["total_seconds"] / runs["runs_in_trial"].clip(lower=1)).astype(float)
    trial = runs["started_at"].astype(str).where(runs["runs_in_trial"] > 1, "")
    columns = (runs[name] for name in ("status", "value", "fingerprint"))
    rest = (runs[name] for name in ("machine", "commit", "error", "arrived"))
    rows = zip(runs["seed"], *columns, seconds, *rest, trial, runs["independent"], strict=True)
    return {int(seed): Run(*run) for seed, *run in rows}


def _stored(column: str, *sides: pd.DataFrame) -> float:
    """The first value of a column that a side has; NaN if none has."""
    return next((float(value) for runs in sides for value in runs[column].dropna()), nan)
