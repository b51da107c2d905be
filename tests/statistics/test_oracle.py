"""Every case of the oracle file that is about `harness.statistics`; the others are in test_stats and test_metrics."""

import numpy as np
import pytest
from scipy import stats

from harness.statistics.aggregates import IQM, MEAN, MEDIAN, optimality_gap, replicates
from harness.statistics.improvement import probability_of_improvement
from harness.statistics.intervals import difference, ends
from harness.statistics.multiplicity import holm
from harness.statistics.permutation import labels, mean_drop, mean_paired_drop, rank_drop, share_at_least, signs
from harness.statistics.profiles import profile
from harness.statistics.reliability import drawdown, interquartile_range, lower_cvar
from harness.statistics.resampling import resamples
from harness.statistics.runs import matrix, ragged
from harness.statistics.students import difference_and_error
from harness.statistics.timing import time_ratio
from support.oracle import CASES, case

AGGREGATES = {"median": MEDIAN, "iqm": IQM, "mean": MEAN, "optimality_gap": optimality_gap(1.0)}


def test_the_oracle_has_all_its_35_cases():
    assert len(CASES) == 35


@pytest.mark.parametrize(
    ("name", "aggregate"),
    [
        ("iqm_5x1", IQM),
        ("iqm_3x1_is_mean", IQM),
        ("iqm_10x1", IQM),
        ("median_4x3", MEDIAN),
        ("mean_4x3", MEAN),
        ("optgap_g1", optimality_gap(1.0)),
    ],
)
def test_aggregates_agree_with_the_oracle(name, aggregate):
    inputs, expected, tolerance = case(name)
    assert aggregate(matrix(inputs["scores"])) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(("name", "of"), [("profile_run", "runs"), ("profile_mean", "means")])
def test_profiles_agree_with_the_oracle(name, of):
    inputs, expected, tolerance = case(name)
    found = profile(matrix(inputs["scores"]), inputs["tau"], of)
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_the_area_under_a_profile_is_what_the_optimality_gap_leaves():
    inputs, expected, tolerance = case("profile_area_identity")
    runs = matrix(inputs["scores"])
    edges = np.unique([0.0, *runs.values, inputs["gamma"]])
    edges = edges[edges <= inputs["gamma"]]
    area = np.diff(edges) @ profile(runs, edges[:-1])  # a profile is constant between scores
    assert area == pytest.approx(expected["area"], abs=tolerance)
    gap = optimality_gap(inputs["gamma"])(runs)
    assert gap == pytest.approx(expected["optimality_gap"], abs=tolerance)
    assert gap == pytest.approx(inputs["gamma"] - area, abs=tolerance)


@pytest.mark.parametrize("name", ["poi_ties", "poi_all_equal"])
def test_the_probability_of_improvement_agrees_with_the_oracle(name):
    inputs, expected, tolerance = case(name)
    found = probability_of_improvement(matrix(inputs["x"]), matrix(inputs["y"]))
    assert found == pytest.approx(expected, abs=tolerance)


def test_probabilities_of_improvement_either_way_add_up_to_one():
    inputs, expected, tolerance = case("poi_complement")
    x, y = matrix(inputs["x"]), matrix(inputs["y"])
    assert probability_of_improvement(x, y) == pytest.approx(expected["ab"], abs=tolerance)
    assert probability_of_improvement(y, x) == pytest.approx(expected["ba"], abs=tolerance)


def test_replicates_of_given_resamples_agree_with_the_oracle():
    inputs, expected, tolerance = case("bootstrap_fixed_indices")
    scores, drawn = np.array(inputs["scores"]), np.array(inputs["indices"])  # [N, M], [B, N, M]
    cells = np.moveaxis(drawn, 2, 1) + len(scores) * np.arange(scores.shape[1])[:, None]
    found = replicates([matrix(scores)], [IQM], [cells.reshape(len(drawn), -1)])
    np.testing.assert_allclose(found[0, 0], expected, atol=tolerance)


def test_all_27_resamples_of_three_runs_give_the_percentiles_of_the_oracle():
    inputs, expected, tolerance = case("bootstrap_exhaustive_mean_n3")
    runs = matrix(inputs["scores"])
    every = np.stack(np.meshgrid(*[range(3)] * 3), axis=-1).reshape(-1, 3)
    found = ends(MEAN(runs), replicates([runs], [MEAN], [every])[0, 0], level=inputs["size"])
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_intervals_of_10_runs_on_26_tasks_agree_with_rliable_within_monte_carlo_error():
    inputs, expected, _ = case("bootstrap_mc_10x26")
    runs = matrix(inputs["scores"])
    aggregates = [AGGREGATES[name] for name in inputs["metrics"]]
    points = [aggregate(runs) for aggregate in aggregates]
    np.testing.assert_allclose(points, expected["point"], atol=1e-7)  # the oracle's scores are rounded
    (drawn,) = replicates([runs], aggregates, resamples(runs, inputs["reps"]))
    found = np.array(ends(points, drawn.T, level=inputs["size"]))
    error = np.abs(found - expected["ci"]) / np.array(expected["mcse"])
    assert (error <= 5 * np.sqrt(2)).all(), error


def test_conditional_value_at_risk_agrees_with_the_oracle():
    inputs, expected, tolerance = case("cvar_lower_05_n10")
    assert lower_cvar(inputs["values"], inputs["alpha"]) == pytest.approx(expected, abs=tolerance)


def test_dispersion_agrees_with_the_oracle():
    inputs, expected, tolerance = case("iqr_across_runs")
    assert interquartile_range(inputs["values"]) == pytest.approx(expected, abs=tolerance)


def test_drawdown_and_the_worst_changes_agree_with_the_oracle():
    inputs, expected, tolerance = case("drawdown")
    assert drawdown(inputs["curve"]).max() == pytest.approx(expected["max_drawdown"], abs=tolerance)
    changes = np.diff(inputs["curve"])
    assert lower_cvar(changes, inputs["alpha"]) == pytest.approx(expected["cvar_diff"], abs=tolerance)


def test_holm_agrees_with_the_oracle():
    inputs, expected, tolerance = case("holm")
    np.testing.assert_allclose(holm(inputs["p"]), expected, atol=tolerance)


def test_welch_agrees_with_the_oracle():
    inputs, expected, tolerance = case("welch")
    found = difference_and_error(np.array(inputs["old"]), np.array(inputs["new"]), paired=False)
    t = found.value / found.error
    assert t == pytest.approx(expected["t"], abs=tolerance)
    assert found.degrees == pytest.approx(expected["df"], abs=tolerance)
    assert stats.t.sf(t, found.degrees) == pytest.approx(expected["p"], abs=tolerance)
    sides = ragged([inputs["old"]]), ragged([inputs["new"]])
    # What the oracle calls lower95 is scipy's one-sided bound of 90 % confidence; that of 95 % is 0.33192.
    ninety = difference(*sides, paired=False, level=0.8)
    assert ninety.low == pytest.approx(expected["lower95"], abs=tolerance)
    ninety_five = difference(*sides, paired=False, level=0.9)
    assert ninety_five.low == pytest.approx(0.33191935490904845, abs=tolerance)


def test_exact_permutations_agree_with_the_oracle():
    inputs, expected, tolerance = case("perm_exact")
    old, new = np.array(inputs["old"]), np.array(inputs["new"])
    permuted = labels(((5, 5),))[0]
    assert len(permuted) == expected["n_splits"]
    assert old.mean() - new.mean() == pytest.approx(expected["statistic"], abs=tolerance)
    assert share_at_least(mean_drop(old, new, permuted)) == pytest.approx(expected["p"], abs=tolerance)


def test_three_runs_a_side_cannot_do_better_than_one_in_twenty():
    inputs, expected, tolerance = case("perm_floor_n3")
    drop = mean_drop(inputs["old"], inputs["new"], labels(((3, 3),))[0])
    assert share_at_least(drop) == pytest.approx(expected, abs=tolerance)


def test_mann_whitney_agrees_with_the_oracle():
    inputs, expected, tolerance = case("mwu_exact")
    old, new = ragged([inputs["old"]]), ragged([inputs["new"]])
    assert probability_of_improvement(old, new) * 25 == pytest.approx(expected["U"], abs=tolerance)
    drop = rank_drop(inputs["old"], inputs["new"], labels(((5, 5),))[0])
    assert share_at_least(drop) == pytest.approx(expected["p"], abs=tolerance)


def test_sign_flips_agree_with_the_oracle():
    inputs, expected, tolerance = case("signflip_paired")
    drop = mean_paired_drop(inputs["differences"], signs((5,))[0])
    assert share_at_least(drop) == pytest.approx(expected, abs=tolerance)


def test_paired_time_ratios_agree_with_the_oracle():
    inputs, expected, tolerance = case("paired_log_ratio")
    assert time_ratio(inputs["a"], inputs["b"]) == pytest.approx(expected["paired"], abs=tolerance)
    a, b = np.array(inputs["a"]), np.array(inputs["b"])
    assert np.median(b) / np.median(a) == pytest.approx(expected["medians"], abs=tolerance)
    assert b.min() / a.min() == pytest.approx(expected["minima"], abs=tolerance)


def test_a_run_that_scores_the_floor_agrees_with_the_oracle():
    inputs, expected, tolerance = case("nan_policy")
    floored = matrix(np.nan_to_num(np.array(inputs["scores"], float), nan=0.0))
    assert IQM(floored) == pytest.approx(expected["floor0_iqm"], abs=tolerance)
    assert profile(floored, inputs["tau"]) == pytest.approx(expected["rliable_profile"], abs=tolerance)
