"""Times to a threshold, and reliability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.reliability import dispersion_across_time, drawdown, long_term_risk, lower_cvar
from harness.statistics.survival import NEVER, kaplan_meier, median_interval, restricted_mean

BUDGET = 100.0
arrivals = st.lists(st.tuples(st.integers(1, 120), st.booleans()), min_size=1, max_size=12)


@given(arrivals, st.integers(1, 150))
def test_the_restricted_mean_is_the_area_under_the_survival_function(arrivals, horizon):
    times, reached = np.array([t for t, _ in arrivals], float), np.array([r for _, r in arrivals])
    survival = kaplan_meier(times, reached)
    short = np.searchsorted(survival.times, np.arange(horizon), side="right")  # in [t, t + 1), for times are whole
    area = np.concatenate([[1.0], survival.shares])[short].sum()
    assert restricted_mean(times, reached, horizon) == pytest.approx(area)


def test_values_at_risk_are_tails():
    values = np.arange(1.0, 101.0)
    assert lower_cvar(values, 0.05) == 3.0
    assert lower_cvar(values, 1.0) == values.mean()


@given(st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=20))
def test_drawdowns_are_zero_exactly_at_records(curve):
    fall = drawdown(curve)
    assert (fall >= 0).all()
    assert ((fall == 0) == (np.array(curve) == np.maximum.accumulate(curve))).all()
    assert long_term_risk(curve) <= fall.max()


def test_steady_learning_has_no_dispersion_across_time_and_no_long_term_risk():
    steps = np.array([0.0, 10.0, 20.0, 50.0, 60.0, 100.0])
    steady = 3 * steps
    jagged = steady + np.array([0, 20, -20, 20, -20, 20])
    assert dispersion_across_time(steps, [steady, jagged], window=3)[0] == pytest.approx(0)
    assert dispersion_across_time(steps, [steady, jagged], window=3)[1] > 1
    assert long_term_risk(steady) == 0


@pytest.mark.parametrize(
    ("runs", "low", "high"),
    [(5, np.nan, np.nan), (6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (12, 3, 10), (20, 6, 15)],
)
def test_the_interval_of_a_median_is_that_of_the_published_tables_of_the_sign_test(runs, low, high):
    assert median_interval(np.arange(runs, 0, -1)) == pytest.approx((low, high), nan_ok=True)


def test_a_median_that_is_hardly_reached_has_no_upper_end():
    low, high = median_interval([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, NEVER, NEVER, NEVER, NEVER])

    assert (low, high) == (20.0, NEVER)


def test_the_interval_of_a_median_holds_it_as_often_as_it_says():
    drawn = np.random.default_rng(0).exponential(size=(2_000, 10))
    ends = np.array([median_interval(times) for times in drawn])
    held = (ends[:, 0] <= np.log(2)) & (np.log(2) <= ends[:, 1])

    assert abs(held.mean() - (1 - 2 * 11 / 1_024)) < 0.01


def test_runs_at_the_ceiling_do_not_all_belong_to_the_worst_quarter():
    assert lower_cvar([281.0, *[500.0] * 9], 0.25) == pytest.approx((281 + 500 + 500) / 3)


@given(st.lists(st.integers(-1_000, 1_000), min_size=1, max_size=40, unique=True), st.sampled_from([0.05, 0.1, 0.25]))
def test_without_ties_the_worst_values_are_those_up_to_the_quantile(values, share):
    values = np.array(values, float)
    assert lower_cvar(values, share) == pytest.approx(values[values <= np.quantile(values, share) + 1e-9].mean())
