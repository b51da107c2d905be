"""The one place that pairs runs: which count, what a failed one scores, how far apart sides are and how sure that is.

Report, `compare`, claims and gate all ask here, so that one question has one answer whoever asks it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite, nan
from typing import NamedTuple

import numpy as np

from harness.analysis.summaries import FAILED
from harness.statistics import intervals
from harness.statistics.decision import ALPHA, drops, min_p, permutations
from harness.statistics.intervals import FEWEST_RUNS, LEVEL, NONE, Estimate
from harness.statistics.runs import Floats, Runs, ragged
from harness.suite.measures import MEASURES, USUAL, Failure, Measure
from harness.text import reason

UNKNOWN = Estimate(nan, nan, nan, NONE)


class Run(NamedTuple):
    """What is compared of a run."""

    status: str  # one of the stored statuses
    value: float  # of the measure; NaN for a run that has none
    fingerprint: str = ""  # of all its returns
    seconds: float = nan  # its share of the wall-clock time of its trial; NaN if not known
    machine: str = ""  # it ran on
    commit: str = ""  # it ran with
    error: str = ""  # why it failed or was skipped; empty for others
    arrived: bool = False  # whether it is done, and ended at its threshold or above; not where there is none
    trial: str = ""  # that trained it with others; "" if it was alone
    independent: bool = False  # whether its streams depend on the environment, so that others share no luck with it

    @property
    def counts(self) -> bool:
        """Whether it says something about the algorithm: it is done, or failed by itself."""
        return self.failed or (self.status == "done" and isfinite(self.value))

    @property
    def failed(self) -> bool:
        """Whether it failed by itself, rather than by what is around it."""
        return self.status in FAILED


Side = Mapping[int, Run]  # the runs of one side of a comparison, by seed


@dataclass(frozen=True)
class Task:
    """Runs of both sides that are compared, or the reason why they cannot be."""

    environment: str  # its short name
    algorithm: str  # full id, preset and overrides; of the head, where two algorithms are compared
    device: str  # trained on
    budget: int  # steps of a run; the base's, where they differ
    base: Side  # runs of the old side by seed; empty where it has none
    head: Side  # of the new side
    random: float = nan  # score of a random policy, as the base has it stored; NaN if it is not known
    reference: float = nan  # score of a good policy, likewise
    measure: Measure = MEASURES[USUAL]  # that the values of the runs are of
    why_not: str = ""  # why they are not comparable; empty if they are
    note: str = ""  # what a reader should know though they are

    @property
    def name(self) -> str:
        """What a person reads."""
        return f"{self.algorithm} on {self.environment}{f' ({self.device})' if self.device != 'cpu' else ''}"

    @property
    def runs(self) -> list[Run]:
        """Those of both sides."""
        return [*self.base.values(), *self.head.values()]

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
    def normal(self) -> bool:
        """Whether its scores can be normalised."""
        known = isfinite(self.random) and isfinite(self.reference) and self.random != self.reference
        return known and self.measure.failure is Failure.RANDOM

    @property
    def most(self) -> float:
        """No two runs can be further apart."""
        return self.budget if self.measure.failure is Failure.BUDGET else inf

    @cached_property
    def failed_score(self) -> float:
        """What a failed run counts as; NaN where it has no score."""
        if self.measure.failure is Failure.RANDOM:
            return floor(self.random, (run.value for run in self.runs))
        return self.budget if self.measure.failure is Failure.BUDGET else nan

    @property
    def unscored(self) -> str:
        """Why its failed runs have no score; empty where they have one, or none failed."""
        if not any(run.failed for run in self.runs) or isfinite(self.failed_score):
            return ""
        if self.measure.failure is Failure.NOTHING:
            return f"a failed run has no {self.measure.name}"
        return "a failed run has no score where no random score is known: declare random_score"

    @property
    def unscored_head(self) -> bool:
        """Whether it is `unscored`, and runs of the head failed."""
        return bool(self.unscored) and any(run.failed for run in self.head.values())

    def scores(self, side: Side, seeds: Iterable[int]) -> Floats:
        """Scores [N] of runs that count, in the order of the seeds."""
        return np.array([self.failed_score if side[seed].failed else side[seed].value for seed in seeds])


def floor(random: float, values: Iterable[float]) -> float:
    """What a failed run scores: as the random policy, or as the worst of those compared with it if that is less.

    So nobody gains by failing. NaN where no random score is known.
    """
    return float(np.min([random, *filter(isfinite, values)]))


def failed_together(side: Side) -> list[int]:
    """The seeds that failed with all others of their trial: one failure, and not as many as there are seeds.

    Unless they diverged, which each run does by itself: a trial goes on until all of its runs have.
    """
    trials: dict[str, list[int]] = {}
    for seed, run in side.items():
        if run.trial:
            trials.setdefault(run.trial, []).append(seed)
    whole = [
        seeds
        for seeds in trials.values()
        if all(side[seed].failed for seed in seeds) and any(side[seed].status != "diverged" for seed in seeds)
    ]
    return sorted(seed for seeds in whole if len(seeds) > 1 for seed in seeds)


class Sample(NamedTuple):
    """The runs of a task that are compared, in the order of their seeds."""

    seeds: tuple[list[int], list[int]]  # of the base and of the head; the same ones if they pair
    scores: tuple[Floats, Floats]  # of both, [n] and [n']
    failed: tuple[int, int]  # how many of these runs failed, on either side
    paired: bool  # whether they do
    known: bool  # whether there are runs of both sides, and all runs of the task that count have a score

    @property
    def means(self) -> tuple[float, float]:
        """Of the scores of both; NaN of none."""
        base, head = (float(scores.mean()) if len(scores) else nan for scores in self.scores)
        return base, head


class PValues(NamedTuple):
    """Permutation tests of no difference."""

    permuted: str  # "signs" of the differences of pairs, or "labels" of runs
    less: float  # one-sided p-value against a head that scores less than the base; NaN where a side has too few runs
    more: float  # against one that scores more

    @property
    def p(self) -> float:
        """Two-sided."""
        return float(np.minimum(1.0, 2 * np.minimum(self.less, self.more)))


UNTESTED = PValues("labels", nan, nan)


def related(tasks: Sequence[Task], samples: Sequence[Sample]) -> tuple[int, ...]:
    """The `blocks` of tasks of which these runs are compared.

    Empty if tasks of a block have not the same seeds, or seeds share luck among several tasks on one side only.
    """
    sides = [task.base for task in tasks], [task.head for task in tasks]
    base, head = (all(run.independent for side in of for run in side.values()) for of in sides)
    if base != head and len(tasks) > 1:
        return ()
    return blocks_of([task.environment for task in tasks], base, [tuple(map(tuple, found.seeds)) for found in samples])


class Difference(NamedTuple):
    """The head of a task less its base: the answer that everybody gives."""

    sample: Sample  # the runs that it is about
    estimate: Estimate  # of the difference of means, with its 95 % interval
    test: PValues  # that there is none


def blocks(tasks: Sequence[Task]) -> tuple[int, ...]:
    """The blocks of tasks on which runs of a seed share its luck, [M]: tasks on one environment.

    All tasks are one block where the streams of some run are derived from its seed alone.
    """
    return blocks_of([task.environment for task in tasks], all(run.independent for task in tasks for run in task.runs))


def blocks_of(environments: Sequence[str], apart: bool, seeds: Sequence[object] | None = None) -> tuple[int, ...]:
    """The same of tasks on these environments, [M]; empty if tasks of a block have not the same seeds, where given."""
    names = [name.partition(" ")[0] if apart else "" for name in environments]  # what follows tells budgets apart
    found = tuple(map(list(dict.fromkeys(names)).index, names))
    alike = seeds is None or len({*zip(found, seeds, strict=True)}) == len({*found})
    return found if alike else ()


def counting(side: Side) -> list[int]:
    """The seeds of the runs that count, ascending."""
    return [seed for seed in sorted(side) if side[seed].counts]


def paired(base: Collection[int], head: Collection[int]) -> bool:
    """Whether runs with these seeds pair: three seeds are shared, or all that a side has."""
    return len({*base} & {*head}) >= min(FEWEST_RUNS, len(base), len(head))


def sample(
    task: Task, base: Collection[int] | None = None, head: Collection[int] | None = None, pair: bool = True
) -> Sample:
    """The runs that count, or those of them with these seeds; where seeds pair, only those that are shared."""
    old, new = (
        [seed for seed in counting(side) if only is None or seed in only]
        for side, only in ((task.base, base), (task.head, head))
    )
    pairs = pair and paired(old, new)
    if pairs:
        old = new = [seed for seed in old if seed in new]
    scores = task.scores(task.base, old), task.scores(task.head, new)
    failed = sum(task.base[seed].failed for seed in old), sum(task.head[seed].failed for seed in new)
    return Sample((old, new), scores, failed, pairs, known=bool(old and new and not task.unscored))


def difference(task: Task, base: Collection[int] | None = None, head: Collection[int] | None = None) -> Difference:
    """How far apart the sides of a task are; arguments as of `sample`. Without numbers where a run has no score."""
    found = sample(task, base, head)
    if not found.known:
        return Difference(found, UNKNOWN, UNTESTED)
    old, new = (ragged([scores]) for scores in found.scores)
    return Difference(found, interval(old, new, found.paired, task.most), p_values(old, new, found.paired))


def interval(base: Runs, head: Runs, paired: bool, most: float = inf, level: float = LEVEL) -> Estimate:
    """The mean of the head less that of the base, with its interval between ``-most`` and ``most``."""
    found = intervals.difference(head, base, paired=paired, level=level)
    return found._replace(low=max(found.low, -most), high=min(found.high, most))


def p_values(base: Runs, head: Runs, paired: bool) -> PValues:
    """Is there a difference on any of these tasks, or on all of them together?

    By means and ranks. A gate looks at the better half, too, which differs where only the spread does: it asks whether
    anything is worse, this whether one side is better. Signs are permuted where runs pair and are so many that signs
    can reject, two-sided; those of five cannot.
    """
    signs = paired and 2 * 0.5 ** sum(base.units) <= ALPHA
    less = more = nan
    if min(base.fewest_units, head.fewest_units) >= FEWEST_RUNS:
        less = min_p(drops(base, head, signs, permutations(base, head, signs)))
        more = min_p(drops(head, base, signs, permutations(head, base, signs)))
    return PValues("signs" if signs else "labels", less, more)
