import numpy as np
import pytest
from support_results import CARTPOLE, Run, write_runs

import harness
from harness.analysis.stats import mean_interval
from harness.statistics import reliability as measures

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
    assert row["worst_runs"] == pytest.approx(measures.lower_cvar(CURVES[:, -1], 0.25))
    assert row["drawdown"] == pytest.approx(np.mean(drawdown))
    assert row["across_runs_low"] <= row["across_runs"] <= row["across_runs_high"]
    assert row["done"] == 5


@pytest.mark.parametrize(("number", "share"), [(19, 0.25), (20, 0.05)])
def test_the_worst_runs_are_a_quarter_below_twenty_of_them(tmp_path, number, share):
    row = only(tmp_path, runs([(0.0, 0.0, float(i)) for i in range(number)]))
    assert row["worst_share"] == share
    assert row["worst_runs"] == pytest.approx(measures.lower_cvar(np.arange(number), share))


def test_two_runs_have_numbers_without_intervals(tmp_path):
    row = only(tmp_path, runs(CURVES[:2]))
    for name in ("across_runs", "across_time", "drawdown"):
        assert np.isfinite(row[name])
        assert np.isnan([row[f"{name}_low"], row[f"{name}_high"]]).all()


def test_trap_intervals_that_the_bootstrap_of_few_runs_gets_wrong_are_not_shown(tmp_path):
    """What would be called 95 % holds the worst quarter in 26 % of samples of 3 normal scores, the spread in 13 %."""
    row = only(tmp_path / "few", runs(CURVES[:4]))
    assert np.isfinite(row["across_runs"])
    assert np.isnan([row["across_runs_low"], row["across_runs_high"]]).all()
    assert not {"worst_runs_low", "worst_runs_high"} & set(row.index)


def test_a_single_evaluation_says_nothing_about_time(tmp_path):
    row = only(tmp_path, runs([(1.0,), (2.0,), (3.0,)]))
    assert np.isnan(row["across_time"])
    assert row["drawdown"] == 0.0
    assert row["across_runs"] == 1.0


def test_a_cell_without_a_done_run_is_a_row_without_numbers(tmp_path):
    row = only(tmp_path, [Run(status="failed", scores=())])
    assert (row["done"], row["failed"]) == (0, 1)
    assert row[["across_runs", "across_time", "worst_runs", "drawdown"]].isna().all()


def test_conditional_values_at_risk_of_many_samples_are_those_of_each():
    values = np.random.default_rng(9).normal(size=(7, 11))
    np.testing.assert_allclose(
        measures.lower_cvars(values, 0.3), [measures.lower_cvar(v, 0.3) for v in values]
    )
