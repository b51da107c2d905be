"""Times to a threshold, and reliability."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.reliability import (
    dispersion_across_runs,
    dispersion_across_time,
    drawdown,
    long_term_risk,
    lower_cvar,
    short_term_risk,
    upper_cvar,
)
from harness.statistics.survival import (
    NEVER,
    kaplan_meier,
    median_interval,
    restricted_mean,
    restricted_mean_difference,
)

BUDGET = 100.0
arrivals = st.lists(st.tuples(st.integers(1, 120), st.booleans()), min_size=1, max_size=12)


@given(arrivals, st.integers(1, 150))
def test_the_restricted_mean_is_the_area_under_the_survival_function(arrivals, horizon):
    times, reached = np.array([t for t, _ in arrivals], float), np.array([r for _, r in arrivals])
    survival = kaplan_meier(times, reached)
    edges = np.unique([0.0, *survival.times[survival.times < horizon], horizon])
    area = np.diff(edges) @ survival.at(edges[:-1])
    assert restricted_mean(times, reached, horizon) == pytest.approx(area)


@settings(max_examples=30, deadline=None)
@given(*[st.lists(st.integers(1, 100), min_size=1, max_size=5)] * 2)
def test_differences_of_times_change_sign_with_their_groups(a, b):
    reached = [t < 90 for t in a], [t < 90 for t in b]
    forth = restricted_mean_difference((a, b), reached, BUDGET, count=50)
    back = restricted_mean_difference((b, a), reached[::-1], BUDGET, count=50)
    assert forth.value == pytest.approx(-back.value)
    assert 0 < forth.p <= 1
    assert np.isnan(forth.low) == (min(len(a), len(b)) < 3)


def test_groups_that_arrive_at_once_do_not_differ():
    times, reached = [10.0, 20.0, 100.0, 30.0], [True, True, False, True]
    found = restricted_mean_difference((times, times), (reached, reached), BUDGET)
    assert found.value == 0
    assert found.p == 1
    assert found.low < 0 < found.high


def test_the_test_of_times_enumerates_all_splits():
    fast, slow = [1.0, 2.0, 3.0], [60.0, 70.0, 100.0]
    found = restricted_mean_difference((fast, slow), ([True] * 3, [True, True, False]), BUDGET)
    assert found.value == pytest.approx(2 - 230 / 3)
    assert found.p == pytest.approx(2 / 20)  # of 20 splits only this one and its mirror image are as extreme


def test_trap_runs_that_never_arrive_are_neither_dropped_nor_lucky():
    """One fast arrival beside failures loses to runs that all arrive, though the mean of its arrivals is less."""
    found = restricted_mean_difference(
        ([5.0, BUDGET, BUDGET, BUDGET], [40.0, 45.0, 50.0, 55.0]), ([True] + [False] * 3, [True] * 4), BUDGET
    )
    assert found.value == pytest.approx(76.25 - 47.5)


def test_values_at_risk_are_tails():
    values = np.arange(1.0, 101.0)
    assert lower_cvar(values, 0.05) == 3.0
    assert upper_cvar(values, 0.05) == 98.0
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
    assert short_term_risk(jagged) < 0 < short_term_risk(steady)


def test_dispersion_across_runs_is_per_point():
    assert dispersion_across_runs([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]).tolist() == [0.0, 1.0]


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


@given(
    st.lists(st.integers(-1_000, 1_000), min_size=1, max_size=40, unique=True),
    st.sampled_from([0.05, 0.1, 0.25]),
)
def test_without_ties_the_worst_values_are_those_up_to_the_quantile(values, share):
    values = np.array(values, float)
    assert lower_cvar(values, share) == pytest.approx(
        values[values <= np.quantile(values, share) + 1e-9].mean()
    )
