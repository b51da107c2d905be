"""The probability of improvement: that a run of one algorithm scores more than a run of another (Â₁₂, U / nm)."""

import numpy as np

from harness.statistics.intervals import BOOTSTRAP, FEWEST_RUNS, NONE, Estimate, alike, ends, widening
from harness.statistics.resampling import Indices, draws, resamples, rows_at_once
from harness.statistics.runs import Floats, Runs

RESAMPLES = 2_000


def probability_of_improvement(a: Runs, b: Runs) -> float:
    """The mean over tasks of the share of pairs of runs in which ``a`` scores more; ties count one half.

    Raises:
        ValueError: for groups that are not on the same tasks.
    """
    alike(a, b, paired=False)
    return float(np.mean([wins.mean() for wins in _wins(a, b)]))


def improvement(a: Runs, b: Runs, *, paired: bool, count: int = RESAMPLES) -> Estimate:
    """The probability of improvement with a bootstrap interval, within [0, 1].

    Groups are paired where run i of a task has the same seed in both; they are then resampled together.

    Raises:
        ValueError: for groups that are not on the same tasks, or are paired and differ in their runs.
    """
    alike(a, b, paired)
    value = probability_of_improvement(a, b)
    if min(a.fewest_units, b.fewest_units) < FEWEST_RUNS:
        return Estimate(value, np.nan, np.nan, NONE)
    wins = _wins(a, b)
    rows = rows_at_once(a, b)
    of_a = resamples(a, count, rows=rows)
    of_b = resamples(b, count, stream=0 if paired else 1, rows=rows)
    drawn = np.concatenate([_resampled(wins, a, b, *both) for both in zip(of_a, of_b, strict=True)])
    wider = widening(a.units if paired else [*a.units, *b.units])
    low, high = np.clip(ends(value, drawn, wider), 0, 1)
    return Estimate(value, float(low), float(high), BOOTSTRAP)


def _wins(a: Runs, b: Runs) -> list[Floats]:
    """Per task, whether run i of ``a`` scores more than run j of ``b``: 1, 1/2 or 0, [n, n′]."""
    return [(np.sign(x[:, None] - y[None, :]) + 1) / 2 for x, y in zip(a.by_task(), b.by_task(), strict=True)]


def _resampled(wins: list[Floats], a: Runs, b: Runs, indices_a: Indices, indices_b: Indices) -> Floats:
    """The statistic [b] of resamples: a bilinear form in how often each run was drawn; sums of halves, so exact."""
    of_a = np.split(draws(a, indices_a), a.starts[1:], axis=1)
    of_b = np.split(draws(b, indices_b), b.starts[1:], axis=1)
    total = np.zeros(len(indices_a))
    for x, y, won in zip(of_a, of_b, wins, strict=True):
        total += ((x @ won) * y).sum(axis=1) / won.size
    return total / len(wins)
