"""Judge whether a commit learns worse, or trains slower."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from harness.commands import gate_commits
from harness.commands.common import DEVICE, GlobalOptions, loaded, note
from harness.commands.gate_commits import Commits, commit_options
from harness.contract.errors import ExitCode, UsageError
from harness.suite.measures import GATED

if TYPE_CHECKING:
    from harness.analysis.results import Results
    from harness.commits.speed import SpeedAnswer
    from harness.suite.reading import Suite
    from harness.verdicts.judgement import Inconclusive, Judgement

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
OUTCOME = click.Choice(["pass", "warn", "fail"])
TOLERANCE = "Drop tolerated overall; default: the suite's. With --speed, of speed; default: 0.1."


@click.command(name="gate")
@click.argument("suite")
@click.option("--base", type=click.Path(path_type=Path), help="Results of the old side.")
@click.option("--head", type=click.Path(path_type=Path), help="Results of the new side.")
@commit_options
@click.option("-a", "--algorithm", "algorithms", multiple=True, help="Judge this one, not the suite's.")
@click.option("-e", "--environment", "environments", multiple=True, help="Only this environment.")
@click.option("--device", "devices", multiple=True, type=DEVICE, help="Judge runs on this device, not on the suite's.")
@click.option("--measure", type=click.Choice(GATED), help="Of a run; default: the suite's.")
@click.option("--tolerance", type=SHARE, help=TOLERANCE)
@click.option("--task-tolerance", type=SHARE, help="Drop tolerated on a task; default: the suite's.")
@click.option("--alpha", type=SHARE, help="Chance of a false alarm; default: the suite's.")
@click.option("--looks", metavar="N,N,...", help="Seeds per side at which it may decide; default: the suite's.")
@click.option("--strict", is_flag=True, help="A regression within the tolerance is one.")
@click.option("--inconclusive", type=OUTCOME, default="warn", show_default=True, help="What becomes of that outcome.")
@click.option("--json", "json_file", metavar="FILE", help="Write JSON; - writes it to stdout, not the table.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write a JUnit XML file.")
@click.option("--summary", type=click.Path(path_type=Path), help="Append Markdown; default: $GITHUB_STEP_SUMMARY.")
@click.pass_obj
def command(
    given: GlobalOptions,
    /,
    suite: str,
    base: Path | None,
    head: Path | None,
    commits: Commits,
    algorithms: tuple[str, ...],
    environments: tuple[str, ...],
    devices: tuple[str, ...],
    measure: str | None,
    strict: bool,
    inconclusive: "Inconclusive",
    json_file: str | None,
    junit: Path | None,
    summary: Path | None,
    looks: str | None,
    **shares: float | None,
) -> ExitCode:
    """Judge SUITE: do runs of the head score less than those of the base, or train slower?

    Runs are stored (--base and --head), or are run now (--base-ref). Ends with 0 passed, 1 regressed or slower,
    3 runs are missing, 4 a plugin is missing, 5 nothing to compare. An inconclusive gate ends with 0 and a warning
    unless --inconclusive=fail.
    """
    from harness.reporting import gate_output
    from harness.suite.reading import check_environments, find_suite
    from harness.verdicts.gate import check_looks, judge
    from harness.verdicts.scope import most_blocks, most_tasks

    of_scores = {"--measure": measure, "--task-tolerance": shares["task_tolerance"], "--alpha": shares["alpha"]}
    commits.check(base, head, {**of_scores, "--looks": looks, "--strict": strict or None})
    check_writable((junit, summary, Path(json_file) if json_file not in (None, "-") else None), commits)
    asked = regated(find_suite(suite, given.registry), measure, looks, shares)
    check_environments(asked, environments)
    tasks = most_tasks(asked, algorithms, environments, devices)
    if tasks and not commits.speed:
        blocks = most_blocks(asked, environments)
        check_looks(asked, tasks, blocks, commits.base_ref is not None, commits.max_seeds)
    chosen = {"algorithms": algorithms, "environments": environments, "devices": devices}
    if commits.base_ref is None:
        assert base is not None and head is not None
        sides = both_stored(base, head, asked, algorithms)
        if commits.speed:
            gate_commits.refuse_stored_times(*sides)
        judgement = judge(asked, *sides, algorithms, environments, devices)
    elif commits.speed:
        answer = gate_commits.speed(given, commits, suite, asked, shares["tolerance"], **chosen)
        return timed(answer, json_file, junit, summary, inconclusive)
    else:
        judgement = gate_commits.learning(given, commits, suite, asked, **chosen)
    show(gate_output, judgement, json_file)
    if judgement.warns(strict, inconclusive):
        note(f"warning: {judgement.suite} is {judgement.outcome}")
    for task in judgement.scope.not_judged:
        note(f"warning: {task.name} is not judged: {task.why_not}")
    document(gate_output, judgement, junit, summary, strict, inconclusive)
    return judgement.exit_code(strict, inconclusive)


def regated(suite: "Suite", measure: str | None, looks: str | None, shares: Mapping[str, float | None]) -> "Suite":
    """The suite with what the options say in place of what its table [gate] says."""
    from pydantic import ValidationError

    from harness.suite.schema import Gate

    given: dict[str, Any] = {"measure": measure, **shares}
    if looks is not None:
        if not re.fullmatch(r"\d{1,5}(,\d{1,5})*", looks):
            raise UsageError(f"--looks {looks}: write numbers of seeds, as in 3,5,8,12")
        given["looks"] = tuple(map(int, looks.split(",")))
    told = {name: value for name, value in given.items() if value is not None}
    try:
        gate = Gate.model_validate({**suite.gate.model_dump(), **told})
    except ValidationError as error:
        wrong = [(details["loc"][0], details["msg"].removeprefix("Value error, ")) for details in error.errors()]
        raise UsageError("; ".join(f"--{str(name).replace('_', '-')}: {message}" for name, message in wrong)) from None
    return suite.model_copy(update={"gate": gate})


def both_stored(base: Path, head: Path, suite: "Suite", algorithms: Sequence[str]) -> tuple["Results", "Results"]:
    """The runs of both sides; refuses one folder for both, and an algorithm that neither has."""
    from harness.analysis.tasks import contestants

    sides = stored(base, suite), stored(head, suite)
    if sides[0].path.resolve() == sides[1].path.resolve():
        raise UsageError(f"--base and --head are the same folder, {sides[0].path}: nothing is compared")
    everybody = sorted({each for side in sides for each in side.runs["contestant"]})
    for algorithm in algorithms:
        contestants(algorithm, everybody)
    return sides


def stored(path: Path, suite: "Suite") -> "Results":
    """The runs of a suite below a folder of results, or in the suite's own folder; broken files are named."""
    results = loaded(path / suite.name if (path / suite.name).is_dir() else path)
    there = sorted(results.runs["suite"].unique())
    if suite.name not in there:
        known = ", ".join(map(repr, there)) or "none"
        raise UsageError(f"{results.path}: holds no run of suite {suite.name!r}; suites there: {known}")
    return results


def check_writable(files: Iterable[Path | None], commits: Commits) -> None:
    """Refuse files that cannot be written at the end, before anything is trained: their folder will not exist."""
    for file in files:
        if file is not None and not file.parent.is_dir() and file.resolve().parent != commits.cache.parent:
            raise UsageError(f"{file}: cannot be written: there is no folder {file.parent}")


def show(output: ModuleType, found: "Judgement | SpeedAnswer", json_file: str | None) -> None:
    """Print the table and what it says, and write JSON, or print it for "-"; ``output`` has the words for each."""
    import json

    from harness.commands.printing import print_json, print_table

    if json_file == "-":
        print_json(output.as_json(found))
        return
    print_table(output.HEADER, output.rows(found))
    click.echo()
    click.echo("\n".join(output.sentences(found)))
    if json_file is not None:
        save(Path(json_file), json.dumps(output.as_json(found), indent=2) + "\n")


def document(
    output: ModuleType, found: "Judgement | SpeedAnswer", junit: Path | None, summary: Path | None, *rule: object
) -> None:
    """Write the files that are asked for, by an option or by the CI service; ``rule`` is what JUnit depends on."""
    if junit is not None:
        save(junit, output.junit(found, *rule))
    if page := summary or os.environ.get("GITHUB_STEP_SUMMARY"):
        save(Path(page), output.markdown(found), append=True)


def timed(
    answer: "SpeedAnswer", json_file: str | None, junit: Path | None, summary: Path | None, inconclusive: str
) -> ExitCode:
    """Show what was timed, and write the files that are asked for."""
    from harness.reporting import speed_output
    from harness.statistics.timing import Speed

    show(speed_output, answer, json_file)
    document(speed_output, answer, junit, summary, inconclusive == "fail")
    if answer.verdict is Speed.INCONCLUSIVE:
        if inconclusive == "warn":
            note("warning: the speed is inconclusive")
        return ExitCode.NO if inconclusive == "fail" else ExitCode.YES
    return ExitCode.NO if answer.verdict is Speed.SLOWER else ExitCode.YES


def save(path: Path, text: str, append: bool = False) -> None:
    """Write a file, or add to its end."""
    try:
        with path.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error
