"""Intervals, bands, and the laws and standard errors behind them."""

from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.aggregates import IQM, MEAN, MEDIAN, optimality_gap, replicates
from harness.statistics.intervals import (
    DIFFERENCE_RESAMPLES,
    bands,
    difference,
    ends,
    intervals,
    simultaneous_ends,
    widening,
)
from harness.statistics.laws import hypergeometric_tail, power_of_t_test, student_quantile
from harness.statistics.resampling import resamples
from harness.statistics.runs import matrix, ragged
from harness.statistics.students import difference_and_error, mean_and_error

ALL = [MEAN, MEDIAN, IQM, optimality_gap()]
FEW = 2_000  # resamples, where the bootstrap's own error does not matter


def normal(*shape, seed=0, mean=0.0):
    return np.random.default_rng(seed).normal(mean, size=shape)


def one(runs, aggregate, **options):
    return intervals([runs], [aggregate], **options)[0][0]


@pytest.mark.parametrize(("effect", "runs"), [(1.0, 3), (0.8, 12), (0.01, 2), (100.0, 2)])
def test_the_power_of_a_t_test_is_that_of_the_noncentral_t(effect, runs):
    expected = stats.nct.sf(stats.t.ppf(0.95, runs - 1), runs - 1, effect * sqrt(runs))
    assert power_of_t_test(effect, runs, 0.05) == pytest.approx(expected, rel=1e-9)


def test_without_an_effect_the_power_is_the_level():
    assert power_of_t_test(0.0, 6, 0.05) == pytest.approx(0.05, abs=1e-6)


def test_the_hypergeometric_tail_is_a_probability():
    assert hypergeometric_tail(0, 4, 5, 10) == 1
    assert hypergeometric_tail(3, 4, 5, 10) == pytest.approx(11 / 42)


def test_the_widening_of_equal_tasks_is_that_of_few_runs():
    expected = sqrt(5 / 4) * student_quantile(0.975, 26 * 4) / NormalDist().inv_cdf(0.975)
    assert widening([5] * 26) == pytest.approx(expected)
    assert 1 < widening([10] * 26) < widening([3, *[10] * 25]) < widening([3] * 26)


@pytest.mark.parametrize("aggregate", ALL)
@pytest.mark.parametrize("runs", [1, 2])
def test_trap_below_three_runs_there_is_a_point_and_no_interval(aggregate, runs):
    found = one(matrix(normal(runs, 4)), aggregate)
    assert np.isfinite(found.value)
    assert np.isnan([found.low, found.high]).all()
    assert found.method == "none"
    pair = matrix(normal(runs, 4))
    assert difference(pair, pair, paired=False).method == "none"


def test_one_task_with_few_runs_is_enough_to_have_no_interval():
    assert one(ragged([np.arange(9.0), [1.0, 2.0]]), MEAN).method == "none"


@pytest.mark.parametrize("aggregate", [MEAN, MEDIAN])
def test_a_single_task_with_few_runs_has_students_interval(aggregate):
    scores = np.array([1.0, 2.0, 4.0, 5.0])
    found = one(ragged([scores]), aggregate)
    reach = student_quantile(0.975, 3) * scores.std(ddof=1) / 2
    assert found == (3.0, pytest.approx(3 - reach), pytest.approx(3 + reach), "student")


def test_the_standard_error_of_an_iqm_is_that_of_a_trimmed_mean():
    scores = np.array([0.0, 3.0, 4.0, 8.0, 100.0])  # winsorised 3 3 4 8 8; three of them count
    found = mean_and_error(scores, IQM)
    sum_of_squares = np.var([3, 3, 4, 8, 8]) * 5
    assert found == (5.0, pytest.approx(sqrt(sum_of_squares / (3 * 2))), 2)


def test_pairs_that_share_everything_differ_by_nothing_with_certainty():
    scores, many = ragged([normal(5)]), matrix(normal(5, 8))
    for same in (scores, many):
        assert difference(same, same, paired=True)[:3] == (0, 0, 0)
    assert difference(many, many, paired=False).low < 0


@pytest.mark.parametrize(("a", "b"), [((5,), (5,)), ((12,), (12,)), ((14,), (11,)), ((4, 4), (4, 4)), ((3, 5), (6, 4))])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_a_difference_the_other_way_round_is_the_same_to_the_last_digit(a, b, level):
    one, two = (ragged([normal(n, seed=n + k) for n in sizes]) for k, sizes in enumerate((a, b)))
    for paired in {False, a == b}:
        forth, back = (difference(*sides, paired=paired, level=level) for sides in ((one, two), (two, one)))
        assert back == forth.turned
        assert back.turned == forth


def test_a_difference_of_many_runs_comes_from_resampling_both_sides():
    a, b = ragged([normal(12)]), ragged([normal(11, seed=1, mean=9.0)])
    of_a = np.concatenate([a.values[x].mean(axis=1) for x in resamples(a, DIFFERENCE_RESAMPLES)])
    of_b = np.concatenate([b.values[x].mean(axis=1) for x in resamples(b, DIFFERENCE_RESAMPLES, stream=1)])
    value = a.values.mean() - b.values.mean()
    low, high = ends(value, of_a - of_b, widening([12, 11]))
    assert difference(a, b, paired=False) == pytest.approx((value, low, high, "bootstrap"))


def test_pairing_removes_what_seeds_have_in_common():
    luck = normal(8, 5)
    a, b = (matrix(luck + 0.1 * normal(8, 5, seed=1)), matrix(luck + 0.1 * normal(8, 5, seed=2)))
    paired, apart = (difference(a, b, paired=paired) for paired in (True, False))
    assert paired.value == pytest.approx(apart.value)
    assert paired.high - paired.low < (apart.high - apart.low) / 4


def test_differences_of_runs_that_do_not_vary_have_no_width():
    found = difference_and_error(np.full(4, 2.0), np.full(6, 1.0), paired=False)
    assert found == (1.0, 0.0, 8)


def test_equal_scores_have_an_interval_of_no_width():
    for runs in (ragged([[7.0] * 4]), matrix(np.full((5, 3), 7.0))):
        for aggregate in ALL:
            found = one(runs, aggregate, count=FEW)
            assert found.low == pytest.approx(found.value)
            assert found.high == pytest.approx(found.value)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 6), st.integers(2, 4), st.integers(0, 50), st.floats(0.1, 9), st.floats(-9, 9))
def test_intervals_move_and_stretch_with_the_scores(runs, tasks, seed, scale, shift):
    scores = normal(runs, tasks, seed=seed)
    for plain, moved in zip(
        *(intervals([matrix(x)], [MEAN, MEDIAN, IQM], count=300)[0] for x in (scores, scale * scores + shift)),
        strict=True,
    ):
        assert moved.low == pytest.approx(scale * plain.low + shift, abs=1e-6)
        assert moved.high == pytest.approx(scale * plain.high + shift, abs=1e-6)


def test_a_groups_numbers_depend_on_no_other_group():
    groups = [matrix(normal(5, 4, seed=i)) for i in range(2)]
    groups.insert(1, ragged([normal(4), normal(6)]))
    together = intervals(groups, ALL, count=FEW)
    assert together == [intervals([each], ALL, count=FEW)[0] for each in groups]


def test_resampling_tasks_too_makes_intervals_wider_where_tasks_differ():
    runs = matrix(normal(6, 10) + 5 * normal(10, seed=3))
    those, such = one(runs, MEAN, count=FEW), one(runs, MEAN, of_tasks=True, count=FEW)
    assert such.method == "bootstrap of tasks"
    assert such.high - such.low > 3 * (those.high - those.low)
    assert one(matrix(normal(9, 2)), MEAN, of_tasks=True).method == "none"


@pytest.mark.parametrize(("runs", "least"), [(3, 0.84), (5, 0.86)])
def test_the_widened_bootstrap_covers_better_than_the_plain_one(runs, least):
    """Two statistics of 26 tasks in 150 trials: the share covered is known to about .03."""
    covered = np.zeros(2)
    trials = 150
    for seed in range(trials):
        sample = matrix(normal(runs, 26, seed=seed))
        drawn = replicates([sample], [IQM, MEAN], resamples(sample, 512))[0].T
        values = [IQM(sample), MEAN(sample)]
        for index, wider in enumerate((1.0, widening(sample.counts))):
            low, high = ends(values, drawn, wider)
            covered[index] += np.mean((low <= 0) & (high >= 0))
    plain, widened = covered / trials
    assert widened > plain
    assert widened > least


def test_trap_a_band_draws_whole_curves():
    """Runs are 0 or 1 throughout: every resampled curve is flat, and so is the band."""
    curves = ragged([np.repeat([[0.0], [0.0], [1.0], [1.0], [1.0]], 9, axis=1)] * 2)
    found = bands(curves, MEAN, count=FEW)
    assert found.value[0] == 0.6
    for low, high in (found[1:3], found[3:]):
        assert np.ptp(low) == np.ptp(high) == 0
        assert low[0] < 0.6 < high[0]


def test_a_simultaneous_band_is_wider_than_a_pointwise_one_and_no_wider_for_points_that_move_together():
    alone = matrix(normal(8, 3, 20))
    together = matrix(np.repeat(normal(8, 3, 1), 20, axis=2))
    ratio = {}
    for name, curves in {"alone": alone, "together": together}.items():
        found = bands(curves, IQM, count=FEW)
        whole = found.simultaneous_high - found.simultaneous_low
        ratio[name] = np.median(whole / (found.high - found.low))
    assert ratio["alone"] > 1.3
    assert ratio["together"] == pytest.approx(1, abs=0.1)


def test_a_simultaneous_band_holds_as_many_whole_replicates_as_it_says():
    drawn = normal(4_000, 30)
    low, high = simultaneous_ends(np.zeros(30), drawn, (10_000,), level=0.9)  # so many runs need no widening
    inside = ((drawn >= low) & (drawn <= high)).all(axis=1).mean()
    assert inside == pytest.approx(0.9, abs=0.005)  # the quantile has two decimals
    low, high = ends(np.zeros(30), drawn, level=0.9)
    assert ((drawn >= low) & (drawn <= high)).all(axis=1).mean() < 0.2


def test_a_point_that_a_run_lacks_has_neither_value_nor_band():
    curves = normal(4, 2, 5)
    curves[2, 1, 3] = np.nan
    found = bands(matrix(curves), MEAN, count=FEW)
    assert np.isnan(np.array(found)).any(axis=0).tolist() == [False, False, False, True, False]
    assert np.isnan(np.array(found)[:, 3]).all()


def test_a_points_interval_is_the_same_in_a_table_and_in_a_band():
    for counts in ((4,), (14,), (3, 5)):
        runs = ragged([np.random.default_rng(n).normal(size=(n, 3)) for n in counts])
        found = bands(runs, IQM, count=FEW)
        for index, point in enumerate(runs.points()):
            ((expected,),) = intervals([point], [IQM], count=FEW)
            assert (found.low[index], found.high[index]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("counts", [(5,), (6,), (14,), (3, 5)])
def test_trap_a_simultaneous_band_is_nowhere_inside_the_pointwise_one(counts):
    """Percentiles of skewed runs lie beyond a symmetric band on one side."""
    skewed = ragged([np.random.default_rng(n).exponential(size=(n, 20)) for n in counts])
    found = bands(skewed, MEAN, count=FEW)
    assert (found.simultaneous_low <= found.low).all()
    assert (found.simultaneous_high >= found.high).all()


def test_trap_points_that_only_rounding_moves_do_not_widen_a_simultaneous_band():
    drawn = normal(2_000, 12)
    rounding = 1e-16 * np.random.default_rng(1).standard_t(1, size=(2_000, 9))
    expected = simultaneous_ends(np.zeros(12), drawn, (9,))
    found = simultaneous_ends(np.zeros(21), np.hstack([drawn, rounding]), (9,))
    np.testing.assert_array_equal(np.array(found)[:, :12], expected)


@pytest.mark.parametrize(("n", "least"), [(5, 0.84), (10, 0.91)])
def test_a_simultaneous_band_holds_whole_curves_about_as_often_as_it_says(n, least):
    """Of random walks: 89 % of those of 5 runs, 94 % of 10."""
    walks = np.random.default_rng(n).normal(size=(300, n, 12)).cumsum(axis=2)
    held = []
    for curves in walks:
        found = bands(ragged([curves]), MEAN, count=600)
        held.append((found.simultaneous_low <= 0).all() and (found.simultaneous_high >= 0).all())
    assert np.mean(held) > least


def test_four_runs_are_too_few_for_a_simultaneous_band():
    found = bands(matrix(normal(4, 1, 5)), MEAN, count=FEW)
    assert np.isfinite(found[:3]).all()
    assert np.isnan(found[3:]).all()


def test_bands_of_fewer_than_three_runs_are_none():
    found = bands(matrix(normal(2, 2, 5)), MEAN)
    assert np.isfinite(found.value).all()
    assert np.isnan(found[1:]).all()


def test_curves_can_be_taken_apart():
    curves = ragged([[[1.0, 2.0], [3.0, 4.0]]])
    assert [MEAN(point) for point in curves.points()] == [2.0, 3.0]
