from itertools import product
from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from support_oracle import case

from harness.analysis.stats import (
    mean_band,
    mean_interval,
    percentile_ends,
    resample,
    resampled_means,
)
from harness.statistics.laws import student_quantile

# scipy 1.17.1, scipy.stats.t.ppf(0.975, degrees)
QUANTILES = {
    1: 12.706204736432095,
    2: 4.302652729696142,
    3: 3.182446305284263,
    4: 2.7764451051977987,
    9: 2.2621571627409915,
    10: 2.2281388519649385,
    29: 2.045229642132703,
    250: 1.9694983934211532,
}


@pytest.mark.parametrize(("degrees", "expected"), QUANTILES.items())
def test_student_quantiles_agree_with_scipy(degrees, expected):
    assert student_quantile(0.975, degrees) == pytest.approx(expected, rel=1e-9)


def test_all_27_resamples_of_three_runs_give_the_percentiles_of_the_oracle_once_the_widening_is_undone():
    inputs, expected, tolerance = case("bootstrap_exhaustive_mean_n3")
    scores = np.array(inputs["scores"])[:, 0]
    every = np.array(list(product(range(3), repeat=3)))
    ends = percentile_ends(scores.mean(), resampled_means(scores, every), runs=3, level=inputs["size"])
    widening = sqrt(3 / 2) * QUANTILES[2] / NormalDist().inv_cdf(0.975)
    narrow = [scores.mean() + (float(end) - scores.mean()) / widening for end in ends]
    np.testing.assert_allclose(narrow, expected, atol=tolerance)


def test_resampled_means_are_means_of_the_drawn_runs():
    values = np.random.default_rng(1).normal(size=(5, 3))
    indices = resample(5, 40)
    np.testing.assert_allclose(resampled_means(values, indices), values[indices].mean(axis=1))


def test_a_resample_draws_whole_curves():
    """Runs are 0 or 1 throughout, so the mean of any resample is one constant curve."""
    curves = np.repeat([[0.0], [0.0], [1.0], [1.0], [1.0]], 9, axis=1)
    means = resampled_means(curves, resample(5))
    assert (means == means[:, :1]).all()


def test_resamples_neither_use_nor_change_global_random_state():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = resample(7)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert (resample(7) == first).all()


def test_the_interval_of_few_runs_is_students():
    values = [1.0, 2.0, 4.0, 5.0]
    low, high = mean_interval(values)
    reach = QUANTILES[3] * np.std(values, ddof=1) / 2
    assert (low, high) == (pytest.approx(3 - reach), pytest.approx(3 + reach))


def test_the_interval_of_many_runs_is_close_to_students():
    values = np.random.default_rng(3).normal(size=40)
    reach = student_quantile(0.975, 39) * values.std(ddof=1) / sqrt(40)
    low, high = mean_interval(values)
    assert low == pytest.approx(values.mean() - reach, abs=0.1 * reach)
    assert high == pytest.approx(values.mean() + reach, abs=0.1 * reach)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_below_three_runs_there_is_no_interval(values):
    assert np.isnan(mean_interval(values)).all()


@pytest.mark.parametrize("runs", [4, 12])
def test_equal_runs_have_an_interval_of_no_width(runs):
    assert mean_interval([500.0] * runs) == (500.0, 500.0)


@pytest.mark.parametrize("runs", [5, 12])
def test_a_nan_score_makes_the_interval_nan_rather_than_narrower(runs):
    assert np.isnan(mean_interval([*np.arange(runs - 1.0), np.nan])).all()


def test_a_band_holds_its_mean_and_is_nan_below_three_runs():
    curves = np.random.default_rng(2).normal(size=(6, 11))
    low, high = mean_band(curves)
    assert (low <= curves.mean(axis=0)).all()
    assert (high >= curves.mean(axis=0)).all()
    assert np.isnan(mean_band(curves[:2])).all()


def test_a_point_that_a_run_lacks_has_no_band():
    curves = np.random.default_rng(2).normal(size=(6, 3))
    curves[4, 1] = np.nan
    low, high = mean_band(curves)
    assert np.isnan([low[1], high[1]]).all()
    assert np.isfinite([low[0], high[2]]).all()


def test_the_interval_covers_the_true_mean_of_normal_runs_about_as_often_as_it_says():
    random = np.random.default_rng(11)
    covered = {runs: 0 for runs in (3, 5, 10)}
    trials = 400
    for runs in covered:
        for values in random.normal(size=(trials, runs)):
            low, high = mean_interval(values)
            covered[runs] += low <= 0 <= high
    # Three standard errors of 400 trials are .033; the bootstrap of 10 runs may fall short by as much again.
    assert all(covered[runs] / trials >= 0.95 - 0.033 for runs in (3, 5)), covered
    assert covered[10] / trials >= 0.95 - 0.066, covered
