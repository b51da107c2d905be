"""Intervals of means stay where returns can be, as far as the environment says; differences are left alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import harness
from harness.analysis.curves import BANDS
from harness.analysis.stats import mean_interval, possible
from harness.contract.specs import EnvironmentSpec
from harness.statistics.intervals import clipped
from support.results import Environment, Run, write_runs

SWING = Environment("swing", "Swing-v1", -500.0, -100.0, -300.0, 1_000, lowest=-500.0, highest=0.0)
POLE = Environment("pole", "Pole-v1", 0.0, 500.0, 475.0, 1_000, lowest=0.0, highest=500.0)
FREE = {"lowest": None, "highest": None}
FINAL = {SWING: (-500.0, -500.0, -380.0, -500.0), POLE: (500.0, 500.0, 380.0, 500.0)}  # Student's leaves what can be


def load(folder, finals, algorithms=("x/a",), **changes):
    """Runs that begin at the worst of their environment and end at these scores."""
    runs = [
        Run(name, replace(environment, **changes), seed, scores=(min(scores), scores[seed], scores[seed]))
        for name in algorithms
        for environment, scores in finals.items()
        for seed in range(len(scores))
    ]
    return harness.load(write_runs(folder, runs))


@pytest.fixture
def both(tmp_path):
    """The same runs, of environments that say what can be, and of such as do not."""
    return lambda *given, **told: (
        load(tmp_path / "told", *given, **told),
        load(tmp_path / "free", *given, **told, **FREE),
    )


def row(table: pd.DataFrame, environment: str) -> pd.Series:
    (found,) = table[table["environment"] == environment].itertuples(index=False)
    return pd.Series(found._asdict())


def test_a_mean_score_has_no_interval_beyond_what_can_be(both):
    told, free = (results.scores() for results in both(FINAL))

    assert row(free, "swing")["low"] < -500 < row(free, "swing")["mean"]
    assert row(told, "swing")["low"] == -500
    assert row(told, "swing")["high"] > row(free, "swing")["high"]  # 0 is further than the reference
    assert row(free, "pole")["high"] > 500
    assert row(told, "pole")[["high", "best_high", "normalised_high"]].tolist() == [500, 500, 1]
    assert row(told, "pole")["low"] == row(free, "pole")["low"]
    assert row(told, "swing")["normalised_low"] == 0
    pd.testing.assert_series_equal(told["mean"], free["mean"])


def test_areas_and_curves_have_no_interval_beyond_what_can_be(both):
    told, free = both(FINAL)

    assert row(free.sample_efficiency(), "swing")["area_low"] < -500
    assert row(told.sample_efficiency(), "swing")["area_low"] == -500
    bands = {
        name: results.curves("step").query("environment == 'pole'")[BANDS]
        for name, results in (("told", told), ("free", free))
    }
    assert bands["free"]["high"].max() > 500
    assert np.nanmax(bands["told"].to_numpy()) == 500
    pd.testing.assert_series_equal(bands["told"]["low"], bands["free"]["low"])


def test_the_worst_quarter_has_no_interval_beyond_what_can_be(both):
    told, free = (results.reliability() for results in both({SWING: (-500.0, -498.0, -450.0, *[-300.0] * 9)}))

    assert row(free, "swing")["worst_quarter_low"] < -510
    assert row(told, "swing")["worst_quarter_low"] == -500


def test_aggregates_have_no_interval_beyond_what_they_are_where_all_runs_are_at_an_end(tmp_path):
    finals = {POLE: (500.0, 480.0, 500.0), replace(POLE, name="other", reference=250.0): (500.0, 500.0, 430.0)}
    told, free = (load(tmp_path / name, finals, **given) for name, given in (("told", {}), ("free", FREE)))
    before, after = (results.aggregates().set_index("statistic") for results in (free, told))

    assert (before.loc[["iqm", "mean", "median"], "high"] > 1.5).all()  # 1 and 2 are the most that can be
    assert after.loc[["iqm", "mean", "median"], "high"].tolist() == pytest.approx([1.5, 1.5, 1.5])
    assert told.overall_curves()["high"].max() == pytest.approx(1.5)
    assert free.overall_curves()["high"].max() > 1.51
    assert told.trade_off()["score_high"].tolist() == pytest.approx([1.5])
    pd.testing.assert_series_equal(after["value"], before["value"])


def test_differences_and_their_p_values_are_left_alone(both):
    told, free = both(FINAL, algorithms=("x/a", "x/b"))

    pd.testing.assert_frame_equal(told.pairwise(), free.pairwise())


def test_a_bound_that_the_runs_disprove_is_none(tmp_path):
    told = load(tmp_path / "told", {POLE: (700.0, 690.0, 710.0)})

    found = row(told.scores(), "pole")

    assert found["low"] < 690
    assert found["high"] >= mean_interval([700.0, 690.0, 710.0])[1]


def test_where_some_runs_know_no_bound_there_is_none():
    runs = pd.DataFrame({"lowest_return": [-5.0, -7.0], "highest_return": [1.0, np.nan]})

    least, most = possible(runs)

    assert least == -7
    assert np.isnan(most)
    assert np.isnan(possible(runs[:0])).all()


def test_an_interval_that_is_none_stays_none_and_a_bound_that_is_unknown_does_nothing():
    nan = np.nan
    ends = np.array([[1, 1, 1], [nan, -2, -2], [nan, 3, 3], [0, 0, nan], [2, 2, nan]])

    low, high = clipped(*ends)

    np.testing.assert_array_equal(low, [np.nan, 0, -2])
    np.testing.assert_array_equal(high, [np.nan, 2, 3])


def test_a_description_whose_lowest_return_is_above_its_highest_is_refused():
    with pytest.raises(ValueError, match="lowest_return is above highest_return"):
        EnvironmentSpec("pole", "CartPole-v1", lowest_return=1.0, highest_return=0.0)
