"""What both sides of a gate would train, asked before either does: who cannot start, and versions that differ."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from harness.analysis.pairing import Task
from harness.analysis.tasks import what_differs
from harness.commits.checkout import Code, NoBaseError
from harness.commits.question import Question
from harness.commits.side_process import SideError, start
from harness.contract.errors import ExitCode
from harness.suite.reading import Suite

VERSIONS = {"algorithm_version": "algorithm version", "environment_version": "environment version"}


class Planned(NamedTuple):
    """A contestant on an environment and a device, as `harness plan` names them."""

    algorithm: str
    environment: str
    device: str


Plan = Mapping[Planned, Mapping[str, Any]]  # what `harness plan --json` says of each


def planned(side: str, code: Code, question: Question, suite: Suite, place: Path) -> Plan:
    """Ask a side, by its name, what it would train into a folder of results; what is wrong, it says itself, on stderr.

    Returns:
        The plan; empty where it is not known, since a plugin printed among it.

    Raises:
        SideError: it has none.
    """
    arguments = [*question.arguments("plan", suite.seeds, place), "--json"]
    ended, said = _said(code, question, *arguments)
    if ended not in list((ExitCode.YES, ExitCode.NOTHING_RAN)):
        raise SideError(side, "plan", ended)
    try:
        return {Planned(*(cell[name] for name in Planned._fields)): cell for cell in json.loads(said)["cells"]}
    except (ValueError, TypeError, KeyError):
        return {}


def known_to(base: Code, question: Question, head: Plan, suite: Suite, tell: Callable[[str], None]) -> Question:
    """What of a question the base can be asked: what the head adds, it has not yet, and that is told.

    Raises:
        NoBaseError: it has nothing of it.
    """
    algorithms, environments = ({cell[i] for cell in head} for i in (0, 1))
    missing = [*_missing(base, question, "algorithms", algorithms)]
    missing += _missing(base, question, "environments", environments)
    for name in missing:
        tell(f"the base has no {name} yet: there is nothing to compare with")
    of_both = sorted(algorithms.difference(missing))
    asked = question.environments or suite.environments
    places = [name for name in asked if not any(f"/{each}".endswith(f"/{name}") for each in missing)]
    if missing and not (of_both and places):
        raise NoBaseError("the base has nothing yet of what is judged: there is nothing to compare")
    return replace(question, algorithms=of_both, environments=places) if missing else question


def _missing(base: Code, question: Question, kind: str, names: set[str]) -> list[str]:
    """Those of the names of the head that are none of the base; none where it does not say what it has."""
    try:
        there = {row["id"] for row in json.loads(_said(base, question, "list", kind, "--json")[1])}
    except (ValueError, TypeError, KeyError):
        return []
    return sorted(name for name in names if re.split(r"[:\[]", name)[0] not in there)


def _said(code: Code, question: Question, *arguments: str) -> tuple[int, str]:
    """What a side ended with, and what it said."""
    with start(code, question, *arguments) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        return process.wait(), said


def all_apart(base: Plan, head: Plan) -> list[Task]:
    """The tasks that the sides would train, if there is none whose versions they share; otherwise nothing."""
    tasks = []
    for asked, new in head.items():
        old = base.get(asked, {})
        if old.get("skipped") and new["skipped"]:
            continue
        versions = [[plan.get(name) for name in VERSIONS] for plan in (old, new)]
        why = what_differs([*VERSIONS.values()], *versions)
        if not why or None in versions[0]:  # an older harness does not say them
            return []
        name = asked.environment.rpartition("/")[2]
        tasks.append(Task(name, asked.algorithm, asked.device, new["steps"], {}, {}, why_not=why))
    return tasks
