"""What the statistics of a report cost, on one thread, in seconds of processor time.

Bars: 95 % intervals of the IQM of 5 algorithms with 10 runs on 26 tasks, 50,000 resamples, at most 0.35 s; all
statistics of a full report of them, with curves of 50 points, at most 2 s.
"""

from itertools import combinations
from time import process_time

import numpy as np
import pytest

from harness.analysis.pairing import interval, p_values
from harness.statistics import reliability
from harness.statistics.aggregates import IQM, MEAN, MEDIAN, optimality_gap
from harness.statistics.groups import worst_quarter_ends
from harness.statistics.improvement import improvement
from harness.statistics.intervals import bands, intervals
from harness.statistics.multiplicity import holm
from harness.statistics.profiles import profile_band
from harness.statistics.runs import Runs, matrix, ragged

ALGORITHMS, RUNS, TASKS, POINTS = 5, 10, 26, 50
CURVES = np.random.default_rng(0).gamma(4, 0.25, size=(ALGORITHMS, RUNS, TASKS, POINTS))
STEPS = np.arange(POINTS) * 1_000.0


def iqm_intervals() -> None:
    intervals([matrix(scores) for scores in CURVES[..., -1]], [IQM])


def full_report() -> None:
    """Aggregates, profiles, curves, pairs, sample efficiency and reliability of everything there is."""
    scores = [matrix(curves[..., -1]) for curves in CURVES]
    intervals(scores, [IQM, MEAN, MEDIAN, optimality_gap()])
    for curves, final in zip(CURVES, scores, strict=True):
        profile_band(final, np.linspace(0, 3, 101))
        bands(matrix(curves), IQM)
        for task in range(TASKS):
            runs = curves[:, task]
            reliability.interquartile_range(runs[:, -1])
            reliability.dispersion_across_time(STEPS, runs, window=5)
            worst_quarter_ends(runs[:, -1])
    for a, b in combinations(range(ALGORITHMS), 2):
        improvement(scores[a], scores[b], paired=False)
        pair(scores[a], scores[b])


def pair(a: Runs, b: Runs) -> None:
    """A difference and a test per task, with adjusted p-values."""
    tasks = [tuple(ragged([x]) for x in both) for both in zip(a.by_task(), b.by_task(), strict=True)]
    holm([p_values(*both, paired=True).p for both in tasks])
    for both in tasks:
        interval(*both, paired=True)


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("work", [iqm_intervals, full_report])
def test_processor_seconds_of(benchmark, work):
    benchmark.pedantic(work, rounds=5, warmup_rounds=1)
