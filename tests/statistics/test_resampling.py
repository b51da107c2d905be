"""Representation of runs, resamples, and what is computed from them: aggregates, profiles, improvement."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.statistics.aggregates import IQM, MEAN, MEDIAN, optimality_gap, replicates
from harness.statistics.improvement import improvement, probability_of_improvement
from harness.statistics.profiles import profile, profile_band
from harness.statistics.resampling import BLOCK, _below, identity, resamples, resamples_of_tasks
from harness.statistics.runs import matrix, ragged

GAP = optimality_gap(1.0)
LINEAR = [MEAN, MEDIAN, IQM]
scores = arrays(
    float, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-100, 100).map(lambda x: round(x, 3))
)
tasks = st.lists(st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=6), min_size=1, max_size=5)


def trimmed(values):
    """A second implementation of the IQM."""
    cut = int(0.25 * values.size)
    return np.sort(values, axis=None)[cut : values.size - cut].mean()


def drawn(runs, count=BLOCK, **options):
    return np.concatenate(list(resamples(runs, count, **options)))


@given(scores)
def test_aggregates_are_what_their_definitions_say(scores):
    runs = matrix(scores)
    assert IQM(runs) == pytest.approx(trimmed(scores), abs=1e-9)
    assert MEAN(runs) == pytest.approx(scores.mean(), abs=1e-9)
    assert MEDIAN(runs) == pytest.approx(np.median(scores.mean(axis=0)), abs=1e-9)
    assert GAP(runs) == pytest.approx(1 - np.minimum(scores, 1).mean(), abs=1e-9)


@given(scores, st.randoms(use_true_random=False))
def test_aggregates_know_no_order_of_runs_or_tasks(scores, random):
    rows, columns = list(range(scores.shape[0])), list(range(scores.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    for aggregate in (*LINEAR, GAP):
        before, after = aggregate(matrix(scores)), aggregate(matrix(scores[rows][:, columns]))
        assert after == pytest.approx(before, abs=1e-9)


@given(tasks, st.floats(0.1, 10), st.floats(-10, 10))
def test_aggregates_move_and_stretch_with_the_scores(tasks, scale, shift):
    runs = ragged(tasks)
    moved = ragged([[scale * x + shift for x in task] for task in tasks])
    for aggregate in LINEAR:
        assert aggregate(moved) == pytest.approx(scale * aggregate(runs) + shift, abs=1e-6)


@given(tasks, st.integers(0, 1_000), st.floats(0, 30))
def test_a_better_run_never_makes_an_aggregate_worse(tasks, which, gain):
    runs = ragged(tasks)
    better = runs.values.copy()
    better[which % len(better)] += gain
    improved = replace(runs, values=better)
    assert all(aggregate(improved) >= aggregate(runs) - 1e-9 for aggregate in LINEAR)
    assert GAP(improved) <= GAP(runs) + 1e-9


@given(scores)
def test_the_weighted_iqm_of_equal_weights_is_the_plain_one(scores):
    runs = matrix(scores)
    nearly = runs.weights.copy()
    nearly[0] *= 1 + 1e-12  # enough to take the way of unequal weights
    assert IQM(replace(runs, weights=nearly)) == pytest.approx(IQM(runs), abs=1e-6)


def test_in_ragged_data_every_task_weighs_the_same():
    runs = ragged([[0.0], [3.0, 3.0, 3.0]])
    assert MEAN(runs) == MEDIAN(runs) == pytest.approx(1.5)
    assert profile(runs, [1.0]) == pytest.approx([0.5])
    # ⌊4/4⌋ of four runs' weight is cut off either end: half of what remains is still each task's
    assert IQM(runs) == pytest.approx(1.5)


def test_trap_the_iqm_of_up_to_three_scores_is_their_mean():
    for size in (1, 2, 3):
        values = np.arange(size) ** 3.0
        assert IQM(ragged([values])) == pytest.approx(values.mean())


def test_trap_a_collapse_of_a_quarter_of_the_runs_is_invisible_to_the_iqm_but_not_to_the_mean():
    healthy = np.ones((4, 5))
    collapsed = healthy.copy()
    collapsed[0] = 0
    assert IQM(matrix(collapsed)) == IQM(matrix(healthy)) == 1
    assert MEAN(matrix(collapsed)) == pytest.approx(0.75)


def test_trap_curves_have_no_single_aggregate():
    for aggregate in (*LINEAR, GAP):
        with pytest.raises(ValueError, match="not of curves"):
            aggregate(ragged([np.ones((3, 7))]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_trap_no_score_that_is_not_finite_gets_in_unnoticed(value):
    with pytest.raises(ValueError, match="not finite"):
        ragged([[1.0, value], [2.0]])


def test_trap_a_run_without_a_score_is_an_error():
    with pytest.raises(ValueError, match="not finite"):
        matrix([[1.0, np.nan], [3.0, 2.0]])


def test_no_task_and_a_task_without_runs_are_errors():
    with pytest.raises(ValueError, match="no task"):
        ragged([])
    with pytest.raises(ValueError, match="have no runs"):
        ragged([[1.0], []])


@pytest.mark.parametrize("counts", [(4, 4, 4), (1, 5, 3)])
def test_a_resample_draws_as_many_runs_of_each_task_as_it_has(counts):
    runs = ragged([np.arange(n) for n in counts])
    cells = drawn(runs)
    assert cells.shape == (BLOCK, sum(counts))
    assert (runs.task[cells] == runs.task).all()


@pytest.mark.parametrize("counts", [(10, 10), (3, 7)])
def test_every_run_is_drawn_equally_often(counts):
    runs = ragged([np.zeros(n) for n in counts])
    cells = drawn(runs, 20_000)
    expected = len(cells) * np.ones(sum(counts))
    counted = np.bincount(cells.ravel(), minlength=sum(counts))
    assert (np.abs(counted - expected) < 5 * np.sqrt(expected)).all()


@pytest.mark.parametrize("bound", [1, 3, 40_000, 2**16, 2**16 + 1])
def test_bounded_integers_stay_below_their_bound_and_reach_its_ends(bound):
    numbers = _below(np.random.default_rng(0), bound, 2_000)
    assert numbers.shape == (BLOCK, 2_000)
    assert numbers.min() == 0
    assert numbers.max() == bound - 1
    assert numbers.mean() == pytest.approx((bound - 1) / 2, rel=0.01)


@pytest.mark.parametrize("counts", [(5, 5, 5), (2, 7, 4)])
@pytest.mark.parametrize("rows", [1, 7, 100, 10_000])
def test_trap_resamples_do_not_depend_on_how_many_fit_in_memory(counts, rows):
    runs = ragged([np.zeros(n) for n in counts])
    assert (drawn(runs, 1_100, rows=rows) == drawn(runs, 1_100)).all()


def test_asking_for_more_resamples_leaves_the_first_ones_as_they_are():
    runs = ragged([np.zeros(5), np.zeros(5)])
    assert (drawn(runs, 1_500)[:700] == drawn(runs, 700)).all()


def test_streams_give_other_resamples():
    runs = ragged([np.zeros(9)])
    assert (drawn(runs) == drawn(runs)).all()
    assert (drawn(runs) != drawn(runs, stream=1)).any()


def test_trap_global_random_state_is_neither_used_nor_changed():
    runs = ragged([np.zeros(9)])
    np.random.seed(1)  # noqa: NPY002
    before, first = np.random.get_state()[1].copy(), drawn(runs)  # noqa: NPY002
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert (drawn(runs) == first).all()


def test_numbers_do_not_depend_on_the_number_of_threads():
    program = (
        "import numpy as np; from harness.statistics import aggregates as a, intervals as i, improvement as p;"
        "from harness.statistics.runs import matrix; x = np.random.default_rng(0).normal(size=(2, 10, 26));"
        "g = [matrix(s) for s in x]; print(i.intervals(g, [a.IQM, a.MEAN, a.MEDIAN], count=2000),"
        "p.improvement(*g, paired=False))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(said) == 1
    assert "bootstrap" in said.pop()


def test_replicates_equal_the_aggregates_of_the_runs_that_were_drawn():
    random = np.random.default_rng(5)
    for counts in ((4, 4, 4), (2, 5, 9)):
        runs = ragged([random.normal(size=n) for n in counts])
        cells = drawn(runs, 40)
        (found,) = replicates([runs], [*LINEAR, GAP], [cells])
        for row, resample in enumerate(cells):
            again = replace(runs, values=runs.values[resample])
            assert found[:, row] == pytest.approx([each(again) for each in (*LINEAR, GAP)])


def test_the_identity_is_the_sample():
    runs = ragged([[3.0, 1.0], [2.0]])
    assert runs.values[identity(runs)].tolist() == [[3.0, 1.0, 2.0]]


def test_a_resample_of_tasks_fills_each_place_from_one_task():
    runs = ragged([np.zeros(4)] * 6)
    cells = np.concatenate(list(resamples_of_tasks(runs, 600)))
    places = runs.task[cells].reshape(600, 6, 4)
    assert (places == places[:, :, :1]).all()
    assert len(np.unique(places[:, :, 0], axis=0)) > 500
    counted = np.bincount(places[:, :, 0].ravel())
    assert (np.abs(counted - 600) < 5 * np.sqrt(600)).all()


def test_tasks_with_different_numbers_of_runs_cannot_be_resampled():
    with pytest.raises(ValueError, match="same number of runs"):
        next(resamples_of_tasks(ragged([[1.0], [1.0, 2.0]]), 10))


@given(tasks)
def test_profiles_fall_from_one_to_zero(tasks):
    runs = ragged(tasks)
    for of in ("runs", "means"):
        shares = profile(runs, np.linspace(-51, 51, 23), of)
        assert shares[0] == pytest.approx(1)
        assert shares[-1] == 0
        assert (np.diff(shares) <= 1e-12).all()


def test_replicates_of_profiles_are_profiles_of_resamples():
    runs = ragged([[0.1, 0.5, 0.9], [0.2, 0.2, 0.7, 1.0]])
    thresholds = [0.0, 0.2, 0.5, 0.8]
    for of in ("runs", "means"):
        cells = drawn(runs, 300)
        again = [profile(replace(runs, values=runs.values[row]), thresholds, of) for row in cells]
        low, high = np.quantile(again, [0.025, 0.975], axis=0)
        _, lower, upper = profile_band(runs, thresholds, of, count=300)
        assert (lower <= low + 1e-9).all()
        assert (upper >= high - 1e-9).all()
        assert lower.min() >= 0
        assert upper.max() <= 1


@given(tasks, tasks)
def test_probabilities_of_improvement_either_way_add_up_to_one(x, y):
    few = min(len(x), len(y))
    a, b = ragged(x[:few]), ragged(y[:few])
    assert probability_of_improvement(a, b) + probability_of_improvement(b, a) == pytest.approx(1)


@given(tasks, st.floats(0.5, 3))
def test_the_probability_of_improvement_sees_only_the_order(x, stretch):
    a, b = ragged(x), ragged([[v + 3 for v in task] for task in x])
    bent = [replace(runs, values=np.exp(stretch * runs.values / 50)) for runs in (a, b)]
    assert probability_of_improvement(*bent) == pytest.approx(probability_of_improvement(a, b))


def test_the_interval_of_an_improvement_comes_from_resampling_both_sides():
    random = np.random.default_rng(0)
    a, b = ragged([random.normal(0.3, size=12)]), ragged([random.normal(size=9)])
    again = [
        probability_of_improvement(ragged([a.values[x]]), ragged([b.values[y]]))
        for x, y in zip(drawn(a, 400), drawn(b, 400, stream=1), strict=True)
    ]
    found = improvement(a, b, paired=False, count=400)
    low, high = np.quantile(again, [0.025, 0.975])
    assert 0 <= found.low < low < found.value < high < found.high <= 1


def test_runs_that_do_not_match_are_not_compared():
    two, one = ragged([[1.0, 2.0], [3.0]]), ragged([[1.0, 2.0]])
    with pytest.raises(ValueError, match="cannot be compared"):
        probability_of_improvement(two, one)
    with pytest.raises(ValueError, match="pair only"):
        improvement(ragged([[1.0, 2.0, 3.0]]), one, paired=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 99))
def test_resamples_of_equal_runs_are_all_the_same(runs, tasks, seed):
    same = matrix(np.full((runs, tasks), 0.25))
    assert np.ptp(replicates([same], LINEAR, resamples(same, 60))) < 1e-12
