"""What both sides of a gate would train, asked before either does: who cannot start, and versions that differ."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.analysis.pairing import Task
from harness.analysis.tasks import what_differs
from harness.commits.checkout import Code
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
    with start(code, question, *arguments) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        ended = process.wait()
    if ended not in list((ExitCode.YES, ExitCode.NOTHING_RAN)):
        raise SideError(side, "plan", ended)
    try:
        return {Planned(*(cell[name] for name in Planned._fields)): cell for cell in json.loads(said)["cells"]}
    except (ValueError, TypeError, KeyError):
        return {}


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
