from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from harness.analysis.stats import RESAMPLES, mean_bands, mean_interval, mean_intervals, resampled_interval
from harness.statistics.aggregates import MEAN
from harness.statistics.intervals import bands, ends, intervals, widening
from harness.statistics.laws import student_quantile
from harness.statistics.resampling import draws, resamples
from harness.statistics.runs import ragged


def test_the_interval_of_few_runs_is_students():
    values = [1.0, 2.0, 4.0, 5.0]
    low, high = mean_interval(values)
    reach = student_quantile(0.975, 3) * np.std(values, ddof=1) / 2
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
    assert mean_interval([500.0] * runs) == pytest.approx((500.0, 500.0), rel=1e-12)


@pytest.mark.parametrize("runs", [5, 12])
def test_a_nan_score_makes_the_interval_nan_rather_than_narrower(runs):
    assert np.isnan(mean_interval([*np.arange(runs - 1.0), np.nan])).all()


def test_an_interval_is_that_of_the_statistics_package():
    values = np.random.default_rng(4).normal(size=17)
    ((estimate,),) = intervals([ragged([values])], [MEAN], count=RESAMPLES)
    assert mean_interval(values) == pytest.approx((estimate.low, estimate.high))


@pytest.mark.parametrize("runs", [2, 6, 14])
def test_intervals_of_several_numbers_are_those_of_each(runs):
    columns = np.random.default_rng(4).normal(size=(runs, 3))
    columns[0, 1] = np.nan
    expected = [mean_interval(column) for column in columns.T]
    np.testing.assert_allclose(mean_intervals(columns), expected)


def test_a_band_is_that_of_the_statistics_package():
    curves = np.random.default_rng(4).normal(size=(17, 5))
    expected = bands(ragged([curves]), MEAN, count=RESAMPLES)
    np.testing.assert_array_equal(mean_bands(curves), expected)


@pytest.mark.parametrize("counts", [(16,), (4, 4), (3, 5)])
def test_the_band_of_a_mean_agrees_with_intervals_of_its_points(counts):
    """Curves are resampled as counts of runs, points as runs."""
    rng = np.random.default_rng(5)
    curves = ragged([rng.normal(size=(n, 3)) for n in counts])
    found = bands(curves, MEAN, count=300)
    cells = np.concatenate(list(resamples(curves, 300)))
    for index, point in enumerate(curves.values.T):
        shares = replace(curves, values=point)
        drawn = draws(shares, cells) @ (point * curves.weights)
        low, high = ends(found.value[index], drawn, widening(counts))
        assert (found.low[index], found.high[index]) == (pytest.approx(low), pytest.approx(high))


def test_any_number_over_runs_has_a_resampled_interval():
    """The same resamples, written out."""
    values = np.random.default_rng(6).normal(size=12)
    cells = np.concatenate(list(resamples(ragged([values]), RESAMPLES)))
    drawn = np.median(values[cells], axis=1)
    low, high = ends(np.median(values), drawn, widening([12]))
    found = resampled_interval(values, lambda of: np.median(of, axis=1))
    assert found == (pytest.approx(float(low)), pytest.approx(float(high)))
    assert np.isnan(resampled_interval(values[:2], lambda of: of.mean(axis=1))).all()


def test_a_band_holds_its_mean_and_is_nan_below_three_runs():
    curves = np.random.default_rng(2).normal(size=(6, 11))
    found = mean_bands(curves)
    for low, high in (found[1:3], found[3:]):
        assert (low <= curves.mean(axis=0)).all()
        assert (high >= curves.mean(axis=0)).all()
    assert np.isnan(mean_bands(curves[:2])[1:]).all()


def test_a_point_that_a_run_lacks_has_no_band():
    curves = np.random.default_rng(2).normal(size=(6, 3))
    curves[4, 1] = np.nan
    found = np.array(mean_bands(curves))
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[:, [0, 2]]).all()


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
