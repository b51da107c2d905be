"""The options and the steps of ``gate --base-ref``: both sides are run here and now."""

import functools
import math
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import GlobalOptions, note, stacked
from harness.contract.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from harness.analysis.results import Results
    from harness.commits.checkout import Code
    from harness.commits.plans import Plan
    from harness.commits.question import Question
    from harness.commits.speed import SpeedAnswer
    from harness.suite.reading import Suite
    from harness.verdicts.judgement import Judgement

CACHE = ".gate"  # in the folder of results; environments and runs of both sides
MINUTES = click.FloatRange(0, min_open=True)


@dataclass(frozen=True)
class Commits:
    """What the options say about running both sides; None where they say nothing."""

    base_ref: str | None  # the branch that HEAD left; None if stored runs are judged
    speed: bool  # whether time is judged, rather than scores
    out: Path | None  # folder of results
    jobs: int | None  # trials at a time
    max_seeds: int | None  # per side
    max_minutes: float | None  # after which no look, or pair of processes, is begun
    pairs: int | None  # of processes that are timed

    @property
    def cache(self) -> Path:
        """Folder of environments and runs of both sides."""
        return ((self.out or Path("results")) / CACHE).resolve()

    def check(self, base: Path | None, head: Path | None, of_scores: Mapping[str, Any]) -> None:
        """Refuse options that do not go together, and a limit that is no number; ``of_scores`` is for scores alone."""
        if self.max_minutes is not None and math.isnan(self.max_minutes):
            raise UsageError("--max-minutes nan: write a number")
        if self.base_ref is not None:
            if base is not None or head is not None:
                raise UsageError("--base-ref runs both sides; leave out --base and --head, or --base-ref")
            of_learning = {"--jobs": self.jobs, "--max-seeds": self.max_seeds, **of_scores}
            for option, value in (of_learning if self.speed else {"--pairs": self.pairs}).items():
                if value is not None:
                    raise UsageError(f"{option} is {'not ' if self.speed else ''}for --speed")
            return
        if base is None or head is None:
            raise UsageError("say what is judged: --base-ref REF runs both sides; --base and --head are stored runs")
        for name in ("out", "jobs", "max_seeds", "max_minutes", "pairs"):
            if getattr(self, name) is not None:
                raise UsageError(f"--{name.replace('_', '-')} needs --base-ref: stored runs are judged as they are")


def commit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `Commits`, which a command gets as its argument ``commits``."""

    @functools.wraps(function)
    def gathered(*arguments: Any, **options: Any) -> Any:
        commits = Commits(**{field.name: options.pop(field.name) for field in fields(Commits)})
        return function(*arguments, commits=commits, **options)

    return stacked(
        click.option("--base-ref", metavar="REF", help="Run both sides: HEAD as it is, and where it left this branch."),
        click.option("--speed", is_flag=True, help="With --base-ref: judge training time, not scores."),
        click.option("--out", type=click.Path(path_type=Path), help="Results to run into; default: results."),
        click.option("-j", "--jobs", type=click.IntRange(min=0), help="Trials at a time; default: the cores."),
        click.option("--max-seeds", type=click.IntRange(min=1), help="Run no more seeds per side."),
        click.option("--max-minutes", type=MINUTES, help="Begin nothing that would end later."),
        click.option("--pairs", type=click.IntRange(5, 14), help="Processes timed per side; default: 6."),
    )(gathered)


def refuse_stored_times(base: "Results", head: "Results") -> None:
    """Raise a `UsageError` that says why stored times decide nothing."""
    machines = [sorted(results.runs["machine"].astype(str).unique()) for results in (base, head)]
    where = "" if machines[0] == machines[1] else f": on {'; '.join(machines[0])}, and on {'; '.join(machines[1])}"
    raise UsageError(
        f"--speed: these times were not taken side by side{where}. Times are judged on one machine, in turn: "
        "use --base-ref. Scores of these runs can be judged: leave out --speed"
    )


def learning(
    given: GlobalOptions, commits: Commits, argument: str, suite: "Suite", **chosen: Sequence[str]
) -> "Judgement":
    """Run both sides until the gate decides or may run no more; ``argument`` named the suite, whose rule is settled."""
    from harness.commits.interleaved import Bounds, InterruptedSideError, judge_learning, place_of
    from harness.commits.plans import all_apart, known_to, planned
    from harness.verdicts.gate import apart

    asked = _question(given, commits, argument, chosen)
    limits = Bounds(commits.max_seeds, commits.max_minutes, commits.jobs or 0)
    with _sides(commits, asked, suite) as (base, head, plan), runs_of_one_state(head, commits.cache, asked.name):
        of_base = known_to(base, asked, plan, suite, note)
        old = planned("base", base, of_base, suite, place_of(base, of_base, commits.cache))
        if tasks := all_apart(old, plan):
            return apart(suite, tasks)
        try:
            return judge_learning((base, of_base), (head, asked), suite, commits.cache, limits, note)
        except InterruptedSideError:
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None


@contextmanager
def runs_of_one_state(head: "Code", cache: Path, question: str) -> Iterator[None]:
    """Keep no runs, in the folder ``question``, of a working tree that was changed while they were made; say so."""
    from harness.commits import checkout

    try:
        yield
    finally:
        if checkout.working_tree(head.folder, cache.parent).name != head.name:
            shutil.rmtree(cache / head.name / question, ignore_errors=True)
            changed = "the working tree was changed while it was judged"
            note(f"warning: {changed}: the runs of the head are of no one state of it, and are not kept")


def speed(
    given: GlobalOptions, commits: Commits, argument: str, suite: "Suite", share: float | None, **chosen: Sequence[str]
) -> "SpeedAnswer":
    """Time both sides; arguments as of `learning`, and the share of time by which the head may be slower."""
    from harness.commits.plans import known_to
    from harness.commits.speed import PAIRS, judge_speed
    from harness.statistics.timing import TOLERATED

    asked = _question(given, commits, argument, chosen)
    with _sides(commits, asked, suite) as (base, head, plan):
        asked = known_to(base, asked, plan, suite, note)
        pairs, tolerated = commits.pairs or PAIRS, share or TOLERATED
        return judge_speed(base, head, asked, pairs=pairs, tolerated=tolerated, minutes=commits.max_minutes, tell=note)


def _question(given: GlobalOptions, commits: Commits, argument: str, chosen: dict[str, Sequence[str]]) -> "Question":
    from harness.commits.question import Question, suite_file
    from harness.discovery.selection import parse_selection

    for name in chosen["algorithms"]:  # before the base is made, which a name that nothing has is not worth
        given.registry.resolve("algorithm", parse_selection(name).id)
    file = suite_file(argument, given.registry, commits.cache / "suites")
    only = None if given.only is None else sorted(given.only)
    return Question(file, blocked=sorted(given.blocked), only=only, **chosen)


@contextmanager
def _sides(commits: Commits, asked: "Question", suite: "Suite") -> Iterator[tuple["Code", "Code", "Plan"]]:
    """The base and the head, ready to run, and the head's plan; SIGTERM ends both as Ctrl-C does."""
    from harness.commits import checkout
    from harness.commits.interleaved import place_of
    from harness.commits.plans import planned

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = checkout.repository()
    assert commits.base_ref is not None
    commit = checkout.merge_base(root, commits.base_ref)
    head = checkout.working_tree(root, commits.cache.parent)
    note(f"base: {commit[:12]}, where HEAD left {commits.base_ref}")
    dirty = ", with what is not committed" if head.uncommitted else ""
    note(f"head: {head.commit[:12]}{dirty}")
    if head.commit == commit and not dirty:
        note("both sides are the same commit")
    for project in checkout.local_projects(root):
        if not project.editable:
            fix = f"pip install -e {project.folder}"
            note(f"the head's {project.name} is what is installed, not the working tree: {fix}")
    plan = planned("head", head, asked, suite, place_of(head, asked, commits.cache))
    with checkout.checked_out(root, commit, commits.cache) as base:
        yield base, head, plan
