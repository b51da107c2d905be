"""Two algorithms against each other: on each environment, and over those that both ran.

Runs that failed count with the floor, as in `overall`; where no random score is known there is no number. Runs
pair where both sides have the same seeds, and all of them are done.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.overall import CONTESTANT, Contestant
from harness.statistics.decision import ALPHA
from harness.statistics.improvement import improvement as probability
from harness.statistics.intervals import FEWEST_RUNS, NONE, Estimate, difference
from harness.statistics.multiplicity import benjamini_hochberg, holm
from harness.statistics.permutation import (
    Labels,
    labels,
    mean_drop,
    mean_paired_drop,
    share_at_least,
    signs,
)
from harness.statistics.runs import Floats, ragged

if TYPE_CHECKING:
    from harness.analysis.results import Results

THAN = [f"than_{name}" for name in CONTESTANT]
PAIRWISE = ["environment", *CONTESTANT, *THAN, "difference", "low", "high", "method", "paired"]
PAIRWISE += ["test", "p", "p_holm", "p_bh", "n", "than_n", "n_missing"]


class Side(NamedTuple):
    """The runs of one contestant on one environment that count, in the order of their seeds.

    Attributes:
        scores: [n] what is compared, a number per run; NaN where a failed run has no floor.
        seeds: [n].
        missing: how many runs are not done.
        whole: whether all of the n runs are done.
    """

    scores: Floats
    seeds: tuple[int, ...]
    missing: int
    whole: bool


Pair = tuple[tuple[Contestant, Side], tuple[Contestant, Side]]


def improvement(results: "Results") -> pd.DataFrame:
    """The probability that a run of one algorithm scores more than a run of another, ties counting one half.

    Over the environments on which both have runs that count; it needs no normalised scores.

    Returns:
        A row per ordered pair: algorithm, device, than_algorithm, than_device, probability, low, high (95 %
        interval; NaN where a side has fewer than 3 runs), method (of the interval), paired; n_runs and than_n_runs
        (that count), n_tasks, n_missing (runs of both that are not done).
    """
    by_contestant: dict[Contestant, dict[str, Side]] = {}
    for environment, sides in _sides(results, "score"):
        for contestant, side in sides.items():
            by_contestant.setdefault(contestant, {})[environment] = side
    rows: dict[tuple[Contestant, Contestant], tuple[Any, ...]] = {}
    for (one, of_one), (two, of_two) in combinations(sorted(by_contestant.items()), 2):
        shared = [name for name in of_one if name in of_two and _known(of_one[name], of_two[name])]
        if shared:
            a, b = ([side[name] for name in shared] for side in (of_one, of_two))
            rows[one, two], rows[two, one] = _improvements(a, b)
    columns = [
        "probability",
        "low",
        "high",
        "method",
        "paired",
        "n_runs",
        "than_n_runs",
        "n_tasks",
        "n_missing",
    ]
    return pd.DataFrame(
        [(*one, *two, *row) for (one, two), row in sorted(rows.items())],
        columns=[*CONTESTANT, *THAN, *columns],
    )


def _improvements(a: list[Side], b: list[Side]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The row of a pair, and of the pair turned round: what one wins the other loses."""
    paired = all(map(_paired, a, b))
    won = probability(*(ragged([side.scores for side in sides]) for sides in (a, b)), paired=paired)
    lost = Estimate(1 - won.value, 1 - won.high, 1 - won.low, won.method)
    sizes = tuple(sum(len(side.scores) for side in sides) for sides in (a, b))
    missing = sum(side.missing for side in (*a, *b))
    return (*won, paired, *sizes, len(a), missing), (*lost, paired, *sizes[::-1], len(a), missing)


def pairwise(results: "Results") -> pd.DataFrame:
    """The difference of final scores on each environment, for every pair of algorithms, with a test.

    The test is a permutation, two-sided: of signs where enough runs pair to reject so, of labels otherwise. The
    adjusted p-values are meant for all pairs of the environment together, so they, and nothing else, depend on who
    else was run.

    Returns:
        Columns environment, algorithm, device, than_algorithm, than_device; difference (of the means), low, high
        (95 % interval), method (of the interval), paired; test ("signs" or "labels"), p (NaN where a side has fewer
        than 3 runs), p_holm (chance of any false alarm), p_bh (share of false alarms); n, than_n (runs that count),
        n_missing (runs of both that are not done).
    """
    rows = [
        (environment, *row)
        for environment, sides in _sides(results, "score")
        for row in _tested(list(combinations(sides.items(), 2)))
    ]
    return pd.DataFrame(rows, columns=PAIRWISE)


def pairwise_steps(results: "Results") -> pd.DataFrame:
    """The difference of steps to the threshold, restricted to the budget, for every pair of algorithms, with a test.

    All runs are watched to the end of one budget, so the restricted mean of a side is the mean of the steps until its
    runs were at the threshold or at the budget, and the test is that of `pairwise`. A pair of which no run was at the
    threshold has no row: equal budgets say nothing.

    Returns:
        The columns of `pairwise`, the difference negative where the first needs fewer steps; reached, than_reached
        (runs at the threshold), budget.
    """
    rows, budgets = [], results.counted.groupby("environment")["budget"].first()
    for environment, sides in _sides(results, "steps"):
        budget = int(budgets[environment])
        arrived = {one: int((side.scores < budget).sum()) for one, side in sides.items()}
        pairs = [(a, b) for a, b in combinations(sides.items(), 2) if arrived[a[0]] or arrived[b[0]]]
        for ((one, _), (two, _)), row in zip(pairs, _tested(pairs, budget), strict=True):
            rows.append((environment, *row, arrived[one], arrived[two], budget))
    return pd.DataFrame(rows, columns=[*PAIRWISE, "reached", "than_reached", "budget"])


def _tested(pairs: Sequence[Pair], most: float = np.inf) -> Iterator[tuple[Any, ...]]:
    """What `PAIRWISE` says of the pairs of one environment, from the algorithm on; differences are ``most`` at most."""
    p = np.array([_p_value(a, b) for (_, a), (_, b) in pairs])
    adjusted = zip(p, _adjusted(holm, p), _adjusted(benjamini_hochberg, p), strict=True)
    for ((one, a), (two, b)), of_test in zip(pairs, adjusted, strict=True):
        sizes = len(a.scores), len(b.scores), a.missing + b.missing
        test = "signs" if _signs_tell(a, b) else "labels"
        value, low, high, method = _difference(a, b)
        interval = max(low, -most), min(high, most)
        yield (*one, *two, value, *interval, method, _paired(a, b), test, *of_test, *sizes)


def _difference(a: Side, b: Side) -> Estimate:
    if not _known(a, b):
        return Estimate(np.nan, np.nan, np.nan, NONE)
    one, two = ragged([a.scores]), ragged([b.scores])
    return difference(one, two, paired=_paired(a, b))


def _p_value(a: Side, b: Side) -> float:
    """Two-sided; NaN where there are too few runs, or a run has no score."""
    if min(len(a.scores), len(b.scores)) < FEWEST_RUNS or not _known(a, b):
        return float("nan")
    if _signs_tell(a, b):
        statistic = mean_paired_drop(a.scores - b.scores, _signs(len(a.scores)))
    else:
        statistic = mean_drop(a.scores, b.scores, _labels(len(a.scores), len(b.scores)))
    return float(share_at_least(np.abs(statistic)))


@lru_cache(maxsize=16)
def _signs(n: int) -> Labels:
    return signs([n])[0]


@lru_cache(maxsize=16)
def _labels(n: int, m: int) -> Labels:
    return labels([(n, m)])[0]


def _adjusted(adjust: Callable[[Floats], Floats], p: Floats) -> Floats:
    """Adjusted for the tests that were made; NaN for the others."""
    tested = np.isfinite(p)
    adjusted = np.full(len(p), np.nan)
    adjusted[tested] = adjust(p[tested])
    return adjusted


def _sides(results: "Results", column: str) -> Iterator[tuple[str, dict[Contestant, Side]]]:
    """Per environment, its contestants with this column of their runs; both in order."""
    missing = results.runs[results.runs["status"] != "done"].groupby(["environment", *CONTESTANT]).size()
    for environment, here in results.counted.groupby("environment"):
        yield (
            str(environment),
            {
                (str(algorithm), str(device)): Side(
                    group[column].to_numpy(),
                    tuple(group["seed"]),
                    int(missing.get((environment, algorithm, device), 0)),
                    bool((group["status"] == "done").all()),
                )
                for (algorithm, device), group in here.groupby(CONTESTANT)
            },
        )


def _paired(a: Side, b: Side) -> bool:
    """Whether run i of both sides has the same seed, which no other run has."""
    return a.whole and b.whole and a.seeds == b.seeds and len(set(a.seeds)) == len(a.seeds)


def _signs_tell(a: Side, b: Side) -> bool:
    """Whether runs pair, and are enough for flipped signs to reject; those of five have no p-value below 1/16."""
    return _paired(a, b) and 2 * 0.5 ** len(a.scores) <= ALPHA


def _known(*sides: Side) -> bool:
    return all(np.isfinite(side.scores).all() for side in sides)
