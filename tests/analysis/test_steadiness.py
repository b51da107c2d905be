import numpy as np
import pytest

import harness
from harness.analysis.stats import mean_interval
from harness.statistics import reliability as measures
from harness.statistics.groups import worst_quarter_ends
from support.results import CARTPOLE, Run, write_runs

CURVES = np.random.default_rng(8).normal(size=(5, 9)).cumsum(axis=1)


def only(tmp_path, runs):
    table = harness.load(write_runs(tmp_path, runs)).reliability()
    assert len(table) == 1
    return table.iloc[0]


def runs(curves):
    return [Run(seed=seed, scores=tuple(curve), environment=CARTPOLE) for seed, curve in enumerate(curves)]


def test_each_number_is_that_of_the_statistics_package(tmp_path):
    row = only(tmp_path, runs(CURVES))
    over_time = measures.dispersion_across_time(np.arange(9), CURVES, 5)
    drawdown = [measures.long_term_risk(curve) for curve in CURVES]
    assert row["across_runs"] == pytest.approx(measures.interquartile_range(CURVES[:, -1]))
    assert row["across_time"] == pytest.approx(over_time.mean())
    assert (row["across_time_low"], row["across_time_high"]) == pytest.approx(mean_interval(over_time))
    assert row["worst_quarter"] == pytest.approx(measures.lower_cvar(CURVES[:, -1], 0.25))
    assert row["drawdown"] == pytest.approx(np.mean(drawdown))
    assert row["across_runs_low"] <= row["across_runs"] <= row["across_runs_high"]
    assert row["done"] == 5


def test_the_worst_quarter_has_the_interval_of_a_trimmed_mean_and_is_no_better_than_the_mean(tmp_path):
    curves = np.random.default_rng(8).normal(size=(12, 3))
    row = only(tmp_path, runs(curves))
    low, high = worst_quarter_ends(curves[:, -1])
    of_mean = mean_interval(curves[:, -1])
    assert high > of_mean[1]  # of three runs, Student's t reaches far
    assert (row["worst_quarter_low"], row["worst_quarter_high"]) == pytest.approx((low, of_mean[1]))


def test_what_cannot_be_negative_has_no_negative_interval(tmp_path):
    curves = np.zeros((5, 9))
    curves[4, 3:8] = 50.0, 0.0, 50.0, 0.0, 20.0
    row = only(tmp_path, runs(curves))
    assert row["drawdown"] > 0
    assert row["across_time"] > 0
    assert row[["drawdown_low", "across_time_low", "across_runs_low"]].tolist() == [0, 0, 0]


def test_two_runs_have_numbers_without_intervals(tmp_path):
    row = only(tmp_path, runs(CURVES[:2]))
    for name in ("across_runs", "across_time", "drawdown", "worst_quarter"):
        assert np.isfinite(row[name])
        assert np.isnan([row[f"{name}_low"], row[f"{name}_high"]]).all()


def test_trap_intervals_that_few_runs_get_wrong_are_not_shown(tmp_path):
    """What the bootstrap would call 95 % holds the spread of 3 normal scores in 13 % of samples."""
    row = only(tmp_path / "few", runs(CURVES[:4]))
    for name in ("across_runs", "worst_quarter"):
        assert np.isfinite(row[name])
        assert np.isnan([row[f"{name}_low"], row[f"{name}_high"]]).all()


def test_a_single_evaluation_says_nothing_about_time(tmp_path):
    row = only(tmp_path, runs([(1.0,), (2.0,), (3.0,)]))
    assert np.isnan(row["across_time"])
    assert row["drawdown"] == 0.0
    assert row["across_runs"] == 1.0


def test_a_cell_without_a_done_run_is_a_row_without_numbers(tmp_path):
    row = only(tmp_path, [Run(status="failed", scores=())])
    assert (row["done"], row["failed"]) == (0, 1)
    assert row[["across_runs", "across_time", "worst_quarter", "drawdown"]].isna().all()


def test_conditional_values_at_risk_of_many_samples_are_those_of_each():
    values = np.random.default_rng(9).normal(size=(7, 11))
    np.testing.assert_allclose(measures.lower_cvar(values, 0.3), [measures.lower_cvar(v, 0.3) for v in values])
