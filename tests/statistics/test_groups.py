"""Intervals of numbers that only a group of runs has, against SciPy's parts of them and by how often they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.groups import FEWEST_OF_QUARTER, FEWEST_RUNS, deviation_ends, worst_quarter, worst_quarter_ends

SCORES = np.random.default_rng(3).gamma(2, 10, size=(4, 17))


def bonett(values, level):
    """Bonett (2006), equation 6, from SciPy's trimmed mean."""
    n = len(values)
    z = stats.norm.ppf((1 + level) / 2)
    centre = stats.trim_mean(values, min(0.5 / np.sqrt(n - 4), (n - 1) // 2 / n))
    kurtosis = n * np.sum((values - centre) ** 4) / np.sum((values - np.mean(values)) ** 2) ** 2
    c = n / (n - z)
    error = c * np.sqrt((kurtosis - (n - 3) / n) / (n - 1))
    variance = np.var(values, ddof=1)
    return np.sqrt(np.exp(np.log(c * variance) + z * error * np.array([-1, 1])))


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("n", [5, 6, 8, 17])
def test_the_interval_of_a_standard_deviation_is_bonetts(n, level):
    for scores in SCORES[:, :n]:
        assert deviation_ends(scores, level) == pytest.approx(bonett(scores, level))


@pytest.mark.parametrize("n", [9, 12, 17])
def test_the_interval_of_a_worst_quarter_is_that_of_a_mean_trimmed_above(n):
    kept = int(0.25 * (n - 1)) + 1
    for scores in SCORES[:, :n]:
        winsorised = stats.mstats.winsorize(scores, limits=(0, (n - kept) / n + 1e-9))
        error = np.sqrt((n - 1) * winsorised.var(ddof=1) / (kept * (kept - 1)))  # Yuen (1974)
        reach = stats.t.ppf(0.975, kept - 1) * error
        value = worst_quarter(scores)
        assert worst_quarter_ends(scores) == pytest.approx((value - reach, value + reach))


@pytest.mark.parametrize(("ends", "n"), [(deviation_ends, FEWEST_RUNS), (worst_quarter_ends, FEWEST_OF_QUARTER)])
def test_a_run_too_few_and_there_is_no_such_interval(ends, n):
    assert np.isnan(ends(SCORES[0, : n - 1])).all()
    assert np.isfinite(ends(SCORES[0, :n])).all()


def test_equal_runs_do_not_say_how_unlike_runs_can_be():
    for score in (500.0, 1.1):  # nine of which have a variance, by rounding
        assert np.isnan(deviation_ends(np.full(9, score))).all()
    assert worst_quarter_ends(np.full(9, 500.0)) == (500.0, 500.0)


@given(st.lists(st.integers(-50, 50), min_size=FEWEST_OF_QUARTER, max_size=30), st.integers(1, 9), st.integers(-9, 9))
def test_intervals_move_and_scale_with_the_scores(scores, scale, shift):
    scores = np.array(scores, float)
    other = scale * scores + shift
    expected = scale * np.array(deviation_ends(scores))
    assert deviation_ends(other) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert worst_quarter_ends(other) == pytest.approx(scale * np.array(worst_quarter_ends(scores)) + shift)


@pytest.mark.parametrize(("n", "least"), [(5, 0.97), (10, 0.93), (20, 0.93)])
def test_the_interval_of_a_standard_deviation_holds_it_as_often_as_it_says(n, least):
    samples = np.random.default_rng(5).normal(size=(800, n))
    assert np.mean([low <= 1 <= high for low, high in map(deviation_ends, samples)]) > least


@pytest.mark.parametrize("n", [10, 20])
def test_the_interval_of_a_worst_quarter_holds_it_far_more_often_than_resamples_would(n):
    """Of 10 normal scores, the bootstrap's would hold it 7 times in 10."""
    samples = np.random.default_rng(6).normal(size=(800, n))
    expected = float(np.mean(worst_quarter(np.random.default_rng(7).normal(size=(20_000, n)))))
    held = np.mean([low <= expected <= high for low, high in map(worst_quarter_ends, samples)])
    assert held > 0.9
