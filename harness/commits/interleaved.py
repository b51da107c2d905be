"""Both sides trained in turn, look by look, until the gate decides or may take no more.

Each side runs in its own environment with its own harness, by the same command line. What is complete is not run
again, by this gate or by a later one of the same code.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from harness.analysis.results import load
from harness.commits.checkout import Code
from harness.commits.question import Question
from harness.commits.side_process import SideError, start
from harness.contract.errors import ExitCode
from harness.statistics.sequential import looks
from harness.suite.reading import Suite
from harness.text import counted
from harness.verdicts.gate import judge, rule_of
from harness.verdicts.judgement import GateAnswer, Judgement
from harness.verdicts.scope import most_blocks, most_tasks

RAN = (ExitCode.YES, ExitCode.INCOMPLETE, ExitCode.NOTHING_RAN)  # with which `harness run` leaves stored runs


class InterruptedSideError(KeyboardInterrupt):
    """This process was interrupted, and the side it had started has said so."""


class Bounds(NamedTuple):
    """What a gate may take."""

    seeds: int | None = None  # per side
    minutes: float | None = None  # after which no further look is begun
    jobs: int = 0  # trials at a time; 0 for the number of cores


def judge_learning(
    base: tuple[Code, Question],
    head: tuple[Code, Question],
    suite: Suite,
    cache: Path,
    limits: Bounds,
    tell: Callable[[str], None] = lambda _: None,
) -> Judgement:
    """Train both sides and judge them at every look as the suite's table ``gate`` says, until one decides.

    Each side is asked its own question: the base has not yet what the head adds.

    Results go into the cache, by the names of what made them.

    Raises:
        SideError: a side cannot run the suite at all.
        InterruptedSideError: in place of `KeyboardInterrupt`, where a side was training.
    """
    began = monotonic()
    question = head[1]
    places = [place_of(*side, cache) for side in (base, head)]
    chosen = (question.algorithms, question.environments, question.devices)
    seeds = rule_of(suite, most_tasks(suite, *chosen), most_blocks(suite, question.environments)).looks[0]
    while True:
        declared = declared_seeds(suite.seeds, seeds)
        for name, (code, asked_of), place in zip(("base", "head"), (base, head), places, strict=True):
            tell(f"{name} ({code.commit[:12]}): {counted(seeds, 'seed')}")
            _run(name, code, asked_of, declared, place, limits.jobs)
        old, new = (load(place / suite.name) for place in places)
        asked = suite.model_copy(update={"seeds": declared})
        judgement = judge(asked, old, new, *chosen)
        minutes = (monotonic() - began) / 60
        tell(f"{judgement.outcome} after {counted(judgement.used, 'seed')} per side and {minutes:.1f} minutes")
        if not (more := _next_look(judgement, seeds)):
            return judgement
        if limits.seeds is not None and more > limits.seeds:
            tell(f"no look at {more} seeds: {limits.seeds} per side are all that --max-seeds allows")
            return judgement
        if limits.minutes is not None and minutes * more / seeds > limits.minutes:
            tell(f"no look at {more} seeds: it would end after more than {limits.minutes:g} minutes")
            return judgement
        seeds = more


def place_of(code: Code, question: Question, cache: Path) -> Path:
    """The folder of results that one side trains into."""
    return cache.resolve() / code.name / question.name


def _next_look(judgement: Judgement, seeds: int) -> int:
    """Seeds per side at the next look that can tell more; 0 if none can."""
    tolerable = judgement.outcome is GateAnswer.REGRESSED and judgement.more is not None
    if judgement.outcome is not GateAnswer.INCONCLUSIVE and not tolerable:
        return 0
    declared = looks(judgement.rule, judgement.blocks, judgement.seeds.paired)
    return next((look.seeds for look in declared if look.seeds > seeds), 0)


def declared_seeds(seeds: Sequence[int], number: int) -> tuple[int, ...]:
    """The first so many seeds of the suite; then come those after its largest."""
    more = range(max(seeds) + 1, max(seeds) + 1 + number - len(seeds))
    return (*seeds, *more)[:number]


def _run(side: str, code: Code, question: Question, seeds: Sequence[int], place: Path, jobs: int) -> None:
    arguments = [*question.arguments("run", seeds, place), "--jobs", str(jobs)]
    with start(code, question, *arguments, stdout=sys.stderr) as process:  # stdout is the verdict's
        try:
            ended = process.wait()
        except KeyboardInterrupt:
            process.terminate()  # which is Ctrl-C to it, also where a shell has it ignore that
            if process.wait() == ExitCode.INTERRUPTED:
                raise InterruptedSideError from None
            raise
    if ended not in list(RAN):
        raise SideError(side, "run", ended)
