"""Tables over environments, against direct calls of the statistics on scores written down by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import harness
from harness.analysis.curves import BANDS
from harness.analysis.overall import COUNTS, POPULATION_RESAMPLES, SHARES, STATISTICS, THRESHOLDS, spanning
from harness.analysis.stats import RESAMPLES
from harness.statistics.aggregates import IQM, MEAN, MEDIAN, optimality_gap
from harness.statistics.intervals import bands, intervals
from harness.statistics.profiles import profile_band
from harness.statistics.runs import ragged
from support.results import Environment, Run, write_runs

ONE = Environment("one", "One-v1", 0.0, 100.0, 50.0, budget=100)  # a return of 40 is 0.4 normalised
TWO = Environment("two", "Two-v1", -10.0, 10.0, 5.0, budget=100)  # a return of 4 is 0.7 normalised
UNKNOWN = Environment("unknown", "Unknown-v1", 0.0, None, None, budget=100)
A = {ONE: [10.0, 20.0, 35.0, 40.0], TWO: [0.0, 2.0, 6.0]}  # ragged: four runs here, three there
B = {ONE: [50.0, 60.0, 70.0, 80.0], TWO: [8.0, 9.0, 9.5]}


def runs(algorithm, scores, **changes):
    return [
        Run(f"x/{algorithm}", environment, seed, scores=(environment.random, score), changes=changes)
        for environment, of_environment in scores.items()
        for seed, score in enumerate(of_environment)
    ]


def failed(run):
    return replace(run, status="failed", error="ValueError: no", scores=())


@pytest.fixture
def load(tmp_path):
    return lambda *groups: harness.load(write_runs(tmp_path, [run for group in groups for run in group]))


def normalised(scores):
    return ragged([(np.array(of) - e.random) / (e.reference - e.random) for e, of in scores.items()])


def rows(table, algorithm):
    return table[table["algorithm"] == algorithm].reset_index(drop=True)


def test_aggregates_are_those_of_the_normalised_scores(load):
    table = load(runs("a", A), runs("b", B)).aggregates()
    estimates = intervals([normalised(A), normalised(B)], [IQM, MEAN, MEDIAN, optimality_gap()])
    both = [spanning(one, normalised(of), [1, 1]) for one, of in zip(estimates, (A, B), strict=True)]
    for name, of_algorithm in zip("ab", both, strict=True):
        found = rows(table, name)
        assert list(found["statistic"]) == ["iqm", "mean", "median", "optimality_gap"]
        np.testing.assert_allclose(found[["value", "low", "high"]], [each[:3] for each in of_algorithm])
        assert set(found["method"]) == {"bootstrap"}
        assert set(found[COUNTS].itertuples(index=False, name=None)) == {(7, 3, 4, 2, 0, 0)}


SUCCESS = Environment("success", "Success-v1", 0.0, 1.0, 0.9, budget=100, highest=1.0)


def test_intervals_over_environments_know_that_runs_may_fail(load):
    """Of equal runs: mean and gap as of 15 successes of 15, the median as of 5 of 5; the IQM leaves failures out."""
    table = load(runs("a", {replace(SUCCESS, name=f"env-{i}"): [1.0] * 5 for i in range(3)})).aggregates()
    lows, highs = (table.set_index("statistic")[end] for end in ("low", "high"))
    all_of_15, all_of_5 = 0.025 ** (1 / 15), 0.025 ** (1 / 5)
    assert lows["mean"] == pytest.approx(all_of_15)
    assert highs["optimality_gap"] == pytest.approx(1 - all_of_15)
    assert lows["median"] == pytest.approx(all_of_5)
    assert lows["iqm"] == 1
    assert highs[["mean", "median", "iqm"]].tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("counts", [(3, 3), (3, 7)])
def test_intervals_over_environments_span_those_of_resamples(counts):
    rng = np.random.default_rng(1)
    tasks = [rng.normal(0.5, 0.2, size=n) for n in counts]
    (before,) = intervals([ragged(tasks)], STATISTICS)
    after = spanning(before, ragged(tasks), [1, 1])
    assert after[0] == before[0]
    for old, new in zip(before[1:], after[1:], strict=True):
        assert new.low <= old.low < old.high <= new.high
        assert new.high - new.low > 1.1 * (old.high - old.low)


def test_below_three_runs_of_an_environment_there_are_none_over_environments(load):
    table = load(runs("a", {ONE: [10.0, 20.0, 35.0], TWO: [1.0]})).aggregates()
    assert table[["low", "high"]].isna().all(axis=None)


def test_intervals_of_environments_like_these_resample_the_environments_too(load):
    scores = {replace(TWO, name=f"env-{i}"): [float(i), 2.0 * i, i + 3.0] for i in range(4)}
    table = load(runs("a", scores)).aggregates()
    statistics = [IQM, MEAN, MEDIAN, optimality_gap()]
    (expected,) = intervals([normalised(scores)], statistics, of_tasks=True, count=POPULATION_RESAMPLES)
    found = table[["population_low", "population_high"]]
    np.testing.assert_allclose(found, [(each.low, each.high) for each in expected])
    widths = np.diff(found) / np.diff(table[["low", "high"]])
    assert widths[0] > 1  # of the IQM; the others know of failures, which those of the population do not


@pytest.mark.parametrize("scores", [A, {**B, replace(ONE, name="three"): [1.0, 2.0, 3.0, 4.0]}])
def test_two_environments_or_unlike_numbers_of_runs_say_nothing_about_environments_like_these(load, scores):
    table = load(runs("a", scores)).aggregates()
    assert table[["population_low", "population_high"]].isna().all(axis=None)
    assert table[["low", "high"]].notna().all(axis=None)


def test_profiles_are_those_of_the_normalised_scores(load):
    table = rows(load(runs("a", A)).profiles(), "a")
    for of, points in table.groupby("of"):
        expected = profile_band(normalised(A), THRESHOLDS, of)
        np.testing.assert_array_equal(points["threshold"], THRESHOLDS)
        np.testing.assert_allclose(points[["share", "low", "high"]], np.transpose(expected))
    by_hand = table[(table["of"] == "runs") & (table["threshold"] == 0.4)]["share"].item()
    assert by_hand == pytest.approx((0 / 4 + 3 / 3) / 2)  # strictly above: the run at 0.4 is not


def test_overall_curves_are_the_iqm_at_each_share_of_the_budget(load):
    table = rows(load(runs("a", A)).overall_curves(), "a")
    final = normalised(A).by_task()
    curves = [SHARES * of_task[:, None] for of_task in final]  # evaluated at 0 and at the end
    expected = bands(ragged(curves), IQM, count=RESAMPLES)
    np.testing.assert_allclose(table[["iqm", *BANDS]], np.transpose(expected), atol=1e-12)


def test_a_failed_run_counts_as_the_random_policy(load):
    bad = runs("a", {ONE: [0.0] * 5})[4:]
    table = load(runs("a", A), [failed(run) for run in bad]).aggregates()
    floored = {ONE: [*A[ONE], ONE.random], TWO: A[TWO]}
    mean = table[table["statistic"] == "mean"].iloc[0]
    assert mean["value"] == pytest.approx(MEAN(normalised(floored)))
    assert tuple(mean[COUNTS]) == (8, 3, 5, 2, 1, 1)


def test_trap_where_runs_are_worse_than_random_failing_is_no_better_than_the_worst_of_them(load):
    below = {ONE: [-30.0, 20.0, -50.0, 0.0], TWO: A[TWO]}
    results = load(runs("a", below)[:3], [failed(runs("a", below)[3])], runs("a", {TWO: A[TWO]}), runs("b", B))
    floored = normalised({**below, ONE: [-30.0, 20.0, -50.0, -50.0]})
    assert rows(results.aggregates(), "a").set_index("statistic")["value"]["mean"] == MEAN(floored)
    assert rows(results.overall_curves(), "a")["iqm"].iloc[-1] == pytest.approx(IQM(floored))


@pytest.mark.parametrize("status", ["interrupted", "skipped"])
def test_a_run_that_was_not_made_is_left_out_and_counted(load, status):
    idle = replace(runs("a", {ONE: [0.0] * 5})[4], status=status, scores=())
    table = load(runs("a", A), [idle]).aggregates()
    mean = table[table["statistic"] == "mean"].iloc[0]
    assert mean["value"] == pytest.approx(MEAN(normalised(A)))
    assert tuple(mean[COUNTS]) == (7, 3, 4, 2, 1, 0)


def test_below_three_runs_on_an_environment_there_are_points_without_intervals(load):
    table = load(runs("a", {ONE: A[ONE], TWO: A[TWO][:2]})).aggregates()
    assert table["value"].notna().all()
    assert table[["low", "high"]].isna().all(axis=None)
    assert set(table["method"]) == {"none"}


def test_one_seed_is_a_point(load):
    table = load(runs("a", {ONE: [30.0], TWO: [4.0]})).aggregates()
    assert table.set_index("statistic")["value"]["mean"] == pytest.approx((0.3 + 0.7) / 2)
    assert table["low"].isna().all()


def test_an_environment_without_a_reference_score_is_left_out_and_said_so(load):
    results = load(runs("a", A | {UNKNOWN: [1.0, 2.0, 3.0]}))
    assert results.common.environments == ["one", "two"]
    assert results.common.left_out.to_numpy().tolist() == [
        ["environment", "unknown", "it has no random or no reference score"]
    ]
    assert set(results.aggregates()["n_tasks"]) == {2}


def test_an_environment_that_not_all_have_run_is_left_out_and_said_so(load):
    results = load(runs("a", A), runs("b", {ONE: B[ONE]}))
    assert results.common.environments == ["one"]
    assert results.common.left_out.to_numpy().tolist() == [["environment", "two", "no run of b"]]


def test_an_algorithm_that_never_ran_takes_no_environment_away(load):
    idle = [replace(run, status="skipped", error="no", scores=()) for run in runs("c", B)]
    results = load(runs("a", A), idle)
    assert results.common.environments == ["one", "two"]
    assert results.common.left_out.to_numpy().tolist() == [
        ["algorithm", "c on cpu", "none of its runs is done or failed"]
    ]
    assert set(results.aggregates()["algorithm"]) == {"a"}


def test_without_a_common_environment_the_tables_are_empty(load):
    results = load(runs("a", {ONE: A[ONE]}), runs("b", {TWO: B[TWO]}))
    for table in (results.aggregates(), results.profiles(), results.overall_curves(), results.trade_off()):
        assert table.empty
        assert set(COUNTS) <= set(table.columns)
    assert len(results.common.left_out) == 2


def test_adding_an_algorithm_changes_no_row_of_another(tmp_path):
    before = harness.load(write_runs(tmp_path / "before", runs("a", A)))
    after = harness.load(write_runs(tmp_path / "after", runs("a", A) + runs("b", B)))
    for name in ("aggregates", "profiles", "overall_curves", "trade_off", "reliability"):
        old, new = getattr(before, name)(), rows(getattr(after, name)(), "a")
        pd.testing.assert_frame_equal(old, new, check_exact=True)


def test_a_score_costs_steps_and_seconds(load):
    """The threshold of `ONE` is held by nobody: one evaluation of two reaches it. That of `TWO` at once, by all."""
    good = [replace(run, scores=(6.0, 6.0, 6.0), seconds=4.0) for run in runs("a", {TWO: [0.0] * 3})]
    slow = [replace(run, seconds=10.0) for run in runs("a", {ONE: [60.0, 60.0, 60.0]})]
    row = load(good, slow).trade_off().iloc[0]
    assert row["steps"] == pytest.approx((0 + 1) / 2)
    assert row["seconds"] == pytest.approx((4 + 10) / 2)
    assert row["score"] == pytest.approx(IQM(ragged([[0.6] * 3, [0.8] * 3])))
    assert row["machines"] == 1
    assert (row["seconds_low"], row["seconds_high"]) == (pytest.approx(7.0), pytest.approx(7.0))


def test_seconds_of_runs_that_shared_a_trial_have_no_interval(load):
    row = load(runs("a", A, runs_in_trial=4)).trade_off().iloc[0]
    assert row["seconds"] == pytest.approx(8.0 / 4)
    assert np.isnan([row["seconds_low"], row["seconds_high"]]).all()
    assert np.isfinite([row["score_low"], row["steps_low"]]).all()


def test_steps_to_a_threshold_need_one_on_every_environment(load):
    without = replace(TWO, threshold=None)
    row = load(runs("a", {ONE: A[ONE], without: A[TWO]})).trade_off().iloc[0]
    assert np.isnan(row["steps"])
    assert np.isfinite(row["score"])


def test_environments_on_which_seeds_share_luck_count_for_no_more_than_one(tmp_path):
    """The same returns everywhere: five seeds are five numbers on ten environments, too."""
    places = [replace(SUCCESS, name=f"env-{i}") for i in range(10)]
    same = {place: [0.2, 0.4, 0.5, 0.7, 0.8] for place in places}

    def aggregates(name, made, streams):
        written = [replace(run, changes={"streams": streams}) for run in runs("a", made)]
        return harness.load(write_runs(tmp_path / name, written)).aggregates().set_index("statistic")

    apart, shared = (aggregates(str(streams), same, streams) for streams in ("seed and environment", None))
    widths = [table["high"] - table["low"] for table in (apart, shared)]
    assert (widths[1] > 2 * widths[0])[["iqm", "mean"]].all()
    unlike = aggregates("unlike", {**same, places[9]: [0.2, 0.4, 0.5, 0.7]}, None)
    assert unlike[["low", "high"]].isna().all(axis=None)
