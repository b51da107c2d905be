"""One number for many runs on many tasks (Agarwal et al., 2021, arXiv:2108.13264), and for any resample of them.

Each statistic is written once, for resamples; its estimate is its value for the resample that is the sample.
Pooled statistics (mean, IQM, optimality gap) give every task the same weight, however many runs it has.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.statistics.resampling import Indices, identity
from harness.statistics.runs import Floats, Runs

Resampled = Callable[[Indices], Floats]  # indices [b, K] to one number per resample [b]


@dataclass(frozen=True)
class Aggregate:
    """A statistic of the scores of runs.

    On a single task it is a mean of numbers: ``averaged`` gives these, and how many of them count. Student's t is about
    that mean.
    """

    name: str  # in tables
    resampled: Callable[[Runs], Resampled]  # what, given the runs, computes the statistic of resamples of them
    averaged: Callable[[Floats], tuple[Floats, int]]  # given the scores [n] of a single task

    def __call__(self, runs: Runs) -> float:
        """The estimate.

        Raises:
            ValueError: for curves; a statistic of curves is one of each of their points.
        """
        if runs.values.ndim != 1:
            raise ValueError(f"{self.name} is a statistic of scores, not of curves")
        return float(self.resampled(runs)(identity(runs))[0])


def _mean(runs: Runs) -> Resampled:
    shares = runs.values * runs.weights
    return lambda indices: np.asarray(shares.take(indices, mode="clip").sum(axis=1))


def _median(runs: Runs) -> Resampled:
    """The median over tasks of the mean over runs; of an even number of tasks, between the middle two."""
    low, high = (runs.tasks - 1) // 2, runs.tasks // 2

    def of(indices: Indices) -> Floats:
        means = np.sort(task_means(runs, indices), axis=1)
        return np.asarray((means[:, low] + means[:, high]) / 2)

    return of


def _iqm(runs: Runs) -> Resampled:
    """The mean of what is left when the lowest and the highest ⌊K/4⌋ of the K pooled scores are cut off.

    Sorting small integers, the ranks of the scores, is several times faster than sorting the scores.
    """
    order = np.argsort(runs.values, kind="stable")
    size, cut = len(order), len(order) // 4
    ranks: NDArray[np.unsignedinteger] = np.empty(size, np.uint16 if size <= 2**16 else np.uint32)
    ranks[order] = np.arange(size)
    ordered, weights = runs.values[order], runs.weights[order]

    def equally(indices: Indices) -> Floats:
        drawn = ranks.take(indices, mode="clip")
        drawn.sort(axis=1)
        return np.asarray(ordered.take(drawn[:, cut : size - cut], mode="clip").sum(axis=1) / (size - 2 * cut))

    def weighted(indices: Indices) -> Floats:
        """As much weight is cut off at each end as ⌊K/4⌋ runs of K have; a run may lose part of its own."""
        drawn = np.sort(ranks.take(indices, mode="clip"), axis=1)
        above = np.cumsum(weights[drawn], axis=1)
        above /= above[:, -1:]
        kept = np.diff(np.clip(above, cut / size, 1 - cut / size), axis=1, prepend=cut / size)
        return np.asarray((ordered[drawn] * kept).sum(axis=1) / (1 - 2 * cut / size))

    return equally if np.ptp(weights) == 0 else weighted


def _winsorised(scores: Floats) -> tuple[Floats, int]:
    """The numbers whose spread is that of a trimmed mean (Tukey and McLaughlin, 1963; Yuen, 1974)."""
    cut = len(scores) // 4
    ordered = np.sort(scores)
    return np.clip(scores, ordered[cut], ordered[len(scores) - 1 - cut]), len(scores) - 2 * cut


def _themselves(scores: Floats) -> tuple[Floats, int]:
    return scores, len(scores)


MEAN = Aggregate("mean", _mean, _themselves)
MEDIAN = Aggregate("median", _median, _themselves)
IQM = Aggregate("iqm", _iqm, _winsorised)


def optimality_gap(target: float = 1.0) -> Aggregate:
    """How far scores fall short of a target on average; what exceeds it makes up for nothing. Less is better."""

    def short(scores: Floats) -> Floats:
        return target - np.minimum(scores, target)

    def resampled(runs: Runs) -> Resampled:
        return _mean(replace(runs, values=short(runs.values)))

    return Aggregate("optimality_gap", resampled, lambda scores: _themselves(short(scores)))


def task_means(runs: Runs, indices: Indices) -> Floats:
    """The mean over the runs of each task, [b, M], in resamples [b, K]."""
    drawn = runs.values.take(indices, mode="clip")
    if runs.equal:
        return np.asarray(drawn.reshape(len(indices), runs.tasks, runs.fewest).mean(axis=2))
    return np.asarray(np.add.reduceat(drawn, runs.starts, axis=1) / np.array(runs.counts))


def replicates(groups: Sequence[Runs], aggregates: Sequence[Aggregate], drawn: Iterable[Indices]) -> Floats:
    """The value of each statistic of each group in each resample, [G, Q, B].

    All groups have the same numbers of runs, and all see the same resamples: drawing them is half the work.
    """
    of = [[aggregate.resampled(runs) for aggregate in aggregates] for runs in groups]
    pieces = [np.array([[each(indices) for each in row] for row in of]) for indices in drawn]
    return np.concatenate(pieces, axis=2)
