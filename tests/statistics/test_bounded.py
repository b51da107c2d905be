"""Intervals of means of bounded numbers: against Clopper and Pearson, against random shares, and what always holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.bounded import bounded_ends, mean_ends

SCORES = st.lists(st.integers(-20, 20).map(float), min_size=3, max_size=12)
BOUNDS = st.tuples(st.integers(-50, -20), st.integers(20, 50))


def ends(values, least, most, make=mean_ends):
    low, high = make(np.reshape(np.asarray(values, float), (-1, 1)), least, most)
    return float(low[0]), float(high[0])


@pytest.mark.parametrize("runs", [3, 5, 10, 50])
def test_of_successes_and_failures_it_is_clopper_and_pearsons(runs):
    for successes in range(runs + 1):
        values = [1.0] * successes + [0.0] * (runs - successes)
        exact = stats.binomtest(successes, runs).proportion_ci(method="exact")
        assert ends(values, 0, 1, bounded_ends) == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("runs", [3, 10, 40])
def test_an_end_is_a_quantile_of_sums_with_random_shares(runs):
    rng = np.random.default_rng(runs)
    values = rng.gamma(2, size=runs)
    shares = rng.dirichlet(np.ones(runs + 1), 200_000)
    low = np.quantile(shares @ [0, *values], 0.025)
    high = np.quantile(shares @ [*values, 9], 0.975)
    assert ends(values, 0, 9, bounded_ends) == pytest.approx((low, high), abs=0.05)  # of 9


@given(SCORES, BOUNDS)
def test_it_holds_the_mean_spans_students_and_else_stays_within_its_bounds(values, bounds):
    low, high = ends(values, *bounds)
    student = ends(values, min(values), max(values))
    inner = ends(values, *bounds, bounded_ends)
    assert low < np.mean(values) < high
    assert low <= student[0] + 1e-9 and student[1] - 1e-9 <= high
    assert bounds[0] <= inner[0] < inner[1] <= bounds[1]
    assert (low, high) == pytest.approx((min(inner[0], student[0]), max(inner[1], student[1])))


@given(SCORES, BOUNDS, st.sampled_from([-1.0, 1e-6, 3.0, 1e6]), st.sampled_from([-1e6, 0.0, 7.0]))
def test_in_another_unit_it_is_the_same_interval(values, bounds, scale, shift):
    expected = sorted(scale * end + shift for end in ends(values, *bounds))
    moved = sorted(scale * bound + shift for bound in bounds)
    found = ends(scale * np.array(values) + shift, *moved)
    assert found == pytest.approx(expected, abs=1e-7 * (abs(shift) + 50 * abs(scale)))


@given(SCORES, BOUNDS, st.randoms(use_true_random=False))
def test_the_order_of_the_runs_does_not_matter(values, bounds, random):
    shuffled = random.sample(values, len(values))
    assert ends(shuffled, *bounds) == pytest.approx(ends(values, *bounds), abs=1e-9)


@settings(max_examples=50)
@given(SCORES, BOUNDS, st.integers(1, 20))
def test_a_better_run_or_a_better_worst_raises_the_ends(values, bounds, more):
    better = [min(values[0] + more, 20.0), *values[1:]]
    found, raised = (np.array(ends(each, *bounds, bounded_ends)) for each in (values, better))
    assert (raised >= found - 1e-7).all()
    assert ends(values, bounds[0] - more, bounds[1], bounded_ends)[0] < found[0]


def test_it_has_no_width_only_where_nothing_else_can_be():
    assert ends([1.0, 1.0, 1.0], 1, 1) == (1, 1)
    assert ends([1.0, 1.0, 1.0], 0, 1) == (pytest.approx(0.025 ** (1 / 3)), 1)


def test_a_number_beyond_a_bound_moves_the_bound():
    assert ends([-5.0, 1.0, 2.0], 0, 1, bounded_ends) == ends([-5.0, 1.0, 2.0], -5, 2, bounded_ends)


def test_columns_are_apart_and_what_is_not_known_makes_only_its_own_end_unknown():
    values = np.array([[1.0, np.nan], [2.0, 1.0], [4.0, 1.0]])
    low, high = bounded_ends(values, 0, [np.nan, 5])
    assert low[0] == ends(values[:, 0], 0, 9, bounded_ends)[0]
    assert np.isnan([high[0], low[1], high[1]]).all()
