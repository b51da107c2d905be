import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.metrics import area_under_curve, final_score, held, normalised, steps_to_threshold
from harness.statistics.survival import NEVER, kaplan_meier, restricted_mean
from support.oracle import case


def test_the_final_score_is_the_last_and_not_the_best():
    assert final_score([1.0, 9.0, 3.0]) == 3.0


def test_area_agrees_with_the_oracle_of_regret():
    inputs, expected, tolerance = case("regret_simple")
    area = area_under_curve(inputs["steps"], inputs["returns"])
    width = inputs["steps"][-1] - inputs["steps"][0]
    assert (inputs["reference"] - area) * width == pytest.approx(expected["regret"], abs=tolerance)
    assert 1 - area / inputs["reference"] == pytest.approx(expected["normalised"], abs=tolerance)


def test_the_area_of_a_constant_curve_is_its_height_however_its_steps_are_spread():
    assert area_under_curve([0, 1, 50, 51, 1000], [7.5] * 5) == pytest.approx(7.5)


def test_a_single_point_has_no_area():
    assert np.isnan(area_under_curve([0], [5.0]))


@pytest.mark.parametrize("name", ["normalise", "normalise_inverted"])
def test_normalised_scores_agree_with_the_oracle(name):
    inputs, expected, tolerance = case(name)
    np.testing.assert_allclose(
        normalised(inputs["scores"], inputs["random"], inputs["reference"]), expected, atol=tolerance
    )


def test_normalised_scores_are_not_clipped():
    assert normalised(300.0, 0.0, 200.0) == 1.5
    assert normalised(-100.0, 0.0, 200.0) == -0.5


def test_a_missing_or_degenerate_reference_gives_nan():
    assert np.isnan(normalised([1.0, 1.0], [0.0, np.nan], [np.nan, 1.0])).all()
    assert np.isnan(normalised(1.0, 2.0, 2.0))


def test_steps_to_threshold_agree_with_the_oracle():
    inputs, expected, _ = case("steps_to_threshold")
    curve = inputs["steps"], inputs["returns"]
    assert steps_to_threshold(*curve, inputs["threshold"]) == expected["first"]
    assert steps_to_threshold(*curve, inputs["threshold"], inputs["sustain"]) == expected["sustained"]
    assert expected["never_at_9"] is None
    assert steps_to_threshold(*curve, 9) == NEVER


def test_steps_to_threshold_agree_with_the_oracle_on_uneven_steps():
    inputs, expected, _ = case("steps_to_threshold_interp")
    assert steps_to_threshold(inputs["steps"], inputs["returns"], inputs["threshold"]) == expected["first"]


def test_a_threshold_reached_only_by_the_last_evaluation_is_not_sustained():
    assert steps_to_threshold([0, 1, 2], [0, 0, 9], 5, sustained=2) == NEVER


def test_fewer_evaluations_than_must_sustain_it_never_reach_a_threshold():
    assert steps_to_threshold([0], [9.0], 5, sustained=2) == NEVER


def test_nan_never_reaches_a_threshold():
    assert steps_to_threshold([0, 1, 2], [np.nan, np.nan, np.nan], -1e9) == NEVER


def test_kaplan_meier_agrees_with_the_oracle():
    inputs, expected, tolerance = case("km_all_censored_at_budget")
    survival = kaplan_meier(inputs["time"], inputs["event"])
    shares = np.concatenate([[1.0], survival.shares])
    found = shares[np.searchsorted(survival.times, inputs["at"], side="right")]
    np.testing.assert_allclose(found, expected["S"], atol=tolerance)
    assert survival.median == expected["median"]


def test_restricted_mean_agrees_with_the_oracle():
    inputs, expected, tolerance = case("rmst_budget")
    assert restricted_mean(inputs["time"], inputs["event"], inputs["tau"]) == pytest.approx(expected, abs=tolerance)


def test_a_median_that_is_not_seen_is_never_reached():
    inputs, expected, tolerance = case("km_median_unreached")
    assert expected["median"] is None
    assert kaplan_meier(inputs["time"], inputs["event"]).median == NEVER
    mean = restricted_mean(inputs["time"], inputs["event"], 100.0)
    assert mean == pytest.approx(expected["rmst_100"], abs=tolerance)


def test_nobody_arriving_leaves_the_whole_budget():
    assert kaplan_meier([10.0, 10.0], [False, False]).median == NEVER
    assert restricted_mean([10.0, 10.0], [False, False], 10.0) == 10.0


steps = st.integers(1, 100).map(float)


@given(st.lists(steps, min_size=1, max_size=12), st.integers(1, 12))
def test_censored_runs_never_shorten_the_estimate(arrivals, censored):
    budget = 100.0
    some = kaplan_meier(arrivals, [True] * len(arrivals))
    times = [*arrivals, *[budget] * censored]
    reached = [True] * len(arrivals) + [False] * censored
    more = kaplan_meier(times, reached)
    assert more.median >= some.median
    longer = restricted_mean(times, reached, budget)
    assert longer >= restricted_mean(arrivals, [True] * len(arrivals), budget) - 1e-9
    assert longer == pytest.approx(np.mean(np.minimum(times, budget)))


def test_a_held_curve_agrees_with_the_oracle():
    inputs, expected, tolerance = case("align_step_hold")
    wanted = [np.nan if value is None else value for value in expected]
    np.testing.assert_allclose(held(inputs["steps"], inputs["returns"], inputs["grid"]), wanted, atol=tolerance)


def test_a_curve_is_not_extrapolated_to_before_its_first_point():
    np.testing.assert_array_equal(held([5.0, 6.0], [1.0, 2.0], [0.0, 5.0]), [np.nan, 1.0])
