"""Two algorithms against each other: on each environment, and over those that both ran.

Which runs count and pair, and what a failed one scores, is said in `pairing`; where it has no score there is no number.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from harness.analysis.measures import measured
from harness.analysis.overall import LABEL, Label
from harness.analysis.pairing import Difference, Run, Sample, Task, counting, difference, related, sample
from harness.analysis.summaries import mean
from harness.statistics.improvement import improvement as probability
from harness.statistics.intervals import Estimate
from harness.statistics.multiplicity import adjustment, benjamini_hochberg, holm
from harness.statistics.runs import ragged
from harness.suite.measures import named

if TYPE_CHECKING:
    from harness.analysis.results import Results

THAN = [f"than_{name}" for name in LABEL]
PAIRWISE = ["environment", *LABEL, *THAN, "mean", "than_mean", "difference", "low", "high", "method", "paired"]
PAIRWISE += ["test", "p", "p_holm", "p_bh", "n", "than_n", "n_missing"]


class Pair(NamedTuple):
    """Two algorithms on one environment."""

    one: Label  # what is compared
    two: Label  # with what
    task: Task  # the runs of the first as the head, those of the second as the base

    @property
    def missing(self) -> int:
        """How many runs of both are not done."""
        return sum(run.status != "done" for run in self.task.runs)


def improvement(results: "Results") -> pd.DataFrame:
    """The probability that a run of one algorithm scores more than a run of another, ties counting one half.

    Over the environments on which both have runs that count; it needs no normalised scores.

    Returns:
        A row per ordered pair: algorithm, device, than_algorithm, than_device, probability, low, high (95 %
        interval; NaN where a side has fewer than 3 runs), method (of the interval), paired; n_runs and than_n_runs
        (that count), n_tasks, n_missing (runs of both that are not done).
    """
    found: dict[tuple[Label, Label], list[tuple[Pair, Sample]]] = {}
    for pair in chain.from_iterable(_pairs(results, "final_score")):
        if (chosen := sample(pair.task)).known:
            found.setdefault((pair.one, pair.two), []).append((pair, chosen))
    rows: dict[tuple[Label, Label], tuple[Any, ...]] = {}
    for (one, two), of_pair in found.items():
        rows[one, two], rows[two, one] = _improvements(of_pair)
    columns = ["probability", "low", "high", "method", "paired"]
    columns += ["n_runs", "than_n_runs", "n_tasks", "n_missing"]
    return pd.DataFrame(
        [(*one, *two, *row) for (one, two), row in sorted(rows.items())], columns=[*LABEL, *THAN, *columns]
    )


def _improvements(found: Sequence[tuple[Pair, Sample]]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The row of a pair, and of the pair turned round: what one wins the other loses."""
    paired = all(chosen.paired for _, chosen in found)
    blocks = related([pair.task for pair, _ in found], [chosen for _, chosen in found])
    than, runs = (ragged([chosen.scores[side] for _, chosen in found], blocks) for side in (0, 1))
    won = probability(runs, than, paired=paired)
    lost = Estimate(1 - won.value, 1 - won.high, 1 - won.low, won.method)
    sizes, missing = (sum(runs.counts), sum(than.counts)), sum(pair.missing for pair, _ in found)
    return (*won, paired, *sizes, len(found), missing), (*lost, paired, *sizes[::-1], len(found), missing)


def pairwise(results: "Results") -> pd.DataFrame:
    """The difference of final scores on each environment, for every pair of algorithms, with a test.

    The adjusted p-values are meant for all pairs of the environment together, so they, and nothing else, depend on who
    else was run.

    Returns:
        Columns environment, algorithm, device, than_algorithm, than_device; mean, than_mean (of the runs that are
        compared, failed ones included; NaN where one has no score), difference (of these means), low, high
        (95 % interval), method (of the interval), paired; test ("signs" or "labels"; "" where there is none), p
        (two-sided; NaN where a side has fewer than 3 runs), p_holm (chance of any false alarm), p_bh (share of false
        alarms); n, than_n (runs that are compared), n_missing (runs of both that are not done).
    """
    rows = [
        row
        for pairs in _pairs(results, "final_score")
        for row in _rows(pairs, [difference(pair.task) for pair in pairs])
    ]
    return pd.DataFrame(rows, columns=PAIRWISE)


def pairwise_steps(results: "Results") -> pd.DataFrame:
    """The difference of steps to the threshold, restricted to the budget, for every pair of algorithms, with a test.

    All runs are watched to the end of one budget, so the restricted mean of a side is the mean of the steps until its
    runs were at the threshold or at the budget. A pair of which no run was at the threshold has no row: equal budgets
    say nothing.

    Returns:
        The columns of `pairwise`, the difference negative where the first needs fewer steps; reached, than_reached
        (runs at the threshold), budget.
    """
    rows = []
    for pairs in _pairs(results, "steps_to_threshold"):
        compared = [(pair, difference(pair.task)) for pair in pairs]
        reached = [[int((of < pair.task.budget).sum()) for of in apart.sample.scores[::-1]] for pair, apart in compared]
        kept = [(*both, arrived) for both, arrived in zip(compared, reached, strict=True) if any(arrived)]
        of_pairs = _rows([pair for pair, *_ in kept], [apart for _, apart, _ in kept])
        rows += [(*row, *arrived, pair.task.budget) for row, (pair, _, arrived) in zip(of_pairs, kept, strict=True)]
    return pd.DataFrame(rows, columns=[*PAIRWISE, "reached", "than_reached", "budget"])


def _rows(pairs: Sequence[Pair], differences: Sequence[Difference]) -> Iterator[tuple[Any, ...]]:
    """What `PAIRWISE` says of the pairs of one environment."""
    p = [apart.test.p for apart in differences]
    adjusted = zip(p, adjustment(holm, p), adjustment(benjamini_hochberg, p), strict=True)
    for pair, apart, of_test in zip(pairs, differences, adjusted, strict=True):
        than, runs = map(len, apart.sample.seeds)
        means = (mean(scores) for scores in reversed(apart.sample.scores))
        test = "" if isnan(apart.test.p) else apart.test.permuted
        told = (*means, *apart.estimate, apart.sample.paired, test, *of_test)
        yield (pair.task.environment, *pair.one, *pair.two, *told, runs, than, pair.missing)


def _pairs(results: "Results", measure: str) -> Iterator[list[Pair]]:
    """Per environment, pairs of algorithms with runs that count; one with runs of a seed in two suites is in none."""
    runs = results.runs.assign(value=measured(results, measure)["value"])
    for environment, here in runs.groupby("environment"):
        sides = {
            (str(algorithm), str(device)): {
                seed: Run(status, value, independent=apart)
                for seed, status, value, apart in rows[["seed", "status", "value", "independent"]].itertuples(
                    index=False
                )
            }
            for (algorithm, device), rows in here.groupby(LABEL)
            if not rows["seed"].duplicated().any()
        }
        labels = [label for label, side in sides.items() if counting(side)]
        random, budget = float(here["random_score"].iloc[0]), int(here["budget"].iloc[0])
        yield [
            Pair(one, two, Task(str(environment), *one, budget, sides[two], sides[one], random, measure=named(measure)))
            for one, two in combinations(labels, 2)
        ]
