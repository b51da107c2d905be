"""The script whose figures docs/semantics.md tells, with few simulations."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
from rating_coverage import ALGORITHMS, OPPONENTS, POPULATIONS, held, scores, truth


def test_the_truth_of_runs_alike_are_their_ratings():
    assert truth(POPULATIONS[0]) == pytest.approx([*OPPONENTS, *ALGORITHMS], abs=1e-6)


def test_simulated_outcomes_are_those_that_are_to_be_expected():
    mean = scores(POPULATIONS[0], 4_000, np.random.default_rng(0)).mean(axis=1)
    apart = np.subtract.outer(ALGORITHMS, OPPONENTS).ravel()
    assert (mean + 1) / 2 == pytest.approx(1 / (1 + 10 ** (-apart / 400)), abs=0.01)


def test_intervals_hold_nine_times_in_ten_where_runs_may_fail():
    assert min(held(POPULATIONS[2], runs=10, simulations=25)) >= 0.9
