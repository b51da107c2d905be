"""What a speed gate found, for people, programs, test reports and the summary page of a CI job."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from harness.commits.speed import BLOCKS, SpeedAnswer
from harness.reporting.plain_cells import known, number
from harness.statistics.timing import NOTICED, Speed
from harness.text import one_line

HEADER = ("task", "time", "lower", "upper", "p slower", "base again", "verdict")


def rows(answer: SpeedAnswer) -> Iterator[tuple[str, ...]]:
    """A row per task that was timed, then one per task that was not."""
    for name, timing in answer.tasks.items():
        ratio, low, high, control = (number(each - 1, "+.1%") for each in (*timing[:3], timing.control))
        yield one_line(name), ratio, low, high, f"{timing.p:.2g}", control, timing.verdict
    for name, reason in answer.not_timed.items():
        yield (one_line(name), *[""] * (len(HEADER) - 2), f"not timed ({one_line(reason)})")


def sentences(answer: SpeedAnswer) -> Iterator[str]:
    """The answer, and what it rests on."""
    yield f"speed: {answer.verdict}"
    yield (
        f"training time of the head against the base, evaluation off: {answer.pairs} pairs of processes, {BLOCKS} "
        f"blocks each, one-sided 95 % bounds; noticed: {NOTICED:.0%}, tolerated: {answer.tolerated:.0%}"
    )
    if noisy := [name for name, timing in answer.tasks.items() if timing.noisy(answer.tolerated)]:
        yield f"the base differs from itself, so the machine is too noisy to judge {', '.join(map(one_line, noisy))}"
    elif answer.verdict is Speed.INCONCLUSIVE:
        yield "more pairs of processes (--pairs) or a quieter machine would tell"
    yield f"machine: {one_line(answer.machine)}"


def as_json(answer: SpeedAnswer) -> dict[str, Any]:
    """The answer as JSON values; what is not known is null."""
    return {
        "schema": 1,
        "outcome": answer.verdict,
        "noticed": NOTICED,
        "tolerated": answer.tolerated,
        "pairs": answer.pairs,
        "blocks": BLOCKS,
        "machine": answer.machine,
        "commits": dict(zip(("base", "head"), answer.commits, strict=True)),
        "tasks": [
            {"task": name, "verdict": timing.verdict, **known(timing._asdict())}
            for name, timing in answer.tasks.items()
        ],
        "not_timed": dict(answer.not_timed),
    }


def junit(answer: SpeedAnswer, inconclusive_fails: bool = False) -> str:
    """A JUnit XML document with a test case per task."""
    suite = ElementTree.Element("testsuite", {"name": "harness gate --speed"})
    tags = {Speed.SLOWER: "failure", Speed.INCONCLUSIVE: "failure" if inconclusive_fails else "skipped"}
    for (name, timing), row in zip(answer.tasks.items(), rows(answer), strict=False):
        case = ElementTree.SubElement(suite, "testcase", {"classname": "speed", "name": one_line(name)})
        told = ", ".join(f"{column} {cell}" for column, cell in zip(HEADER[1:], row[1:], strict=True))
        if timing.verdict in tags:
            ElementTree.SubElement(case, tags[timing.verdict], {"message": told})
        ElementTree.SubElement(case, "system-out").text = told
    for name, reason in answer.not_timed.items():
        case = ElementTree.SubElement(suite, "testcase", {"classname": "speed", "name": one_line(name)})
        ElementTree.SubElement(case, "skipped", {"message": one_line(reason)})
    for kind, tag in (("failures", "failure"), ("skipped", "skipped")):
        suite.set(kind, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite)))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode") + "\n"


def markdown(answer: SpeedAnswer) -> str:
    """What a CI job shows on its page: text as it is, for names are strangers'."""
    answered, *rest = sentences(answer)
    table = [HEADER, *rows(answer)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in table)
    return "\n".join([f"## {answered}", "", "```text", *lines, "", *rest, "```", "", ""])
