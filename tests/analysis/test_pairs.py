"""Algorithms in pairs: the answers of `pairing`, and what a table adds to them."""

from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.analysis.pairing import Run as PairedRun
from harness.analysis.pairing import Task, difference
from harness.statistics.improvement import improvement
from harness.statistics.multiplicity import benjamini_hochberg, holm
from harness.statistics.runs import ragged
from harness.statistics.survival import restricted_mean
from support.results import Environment, Run, write_runs

ONE = Environment("one", "One-v1", 0.0, 100.0, 50.0, budget=100)
TWO = Environment("two", "Two-v1", -10.0, None, None, budget=100)
A = {ONE: [10.0, 20.0, 35.0, 41.0], TWO: [0.0, 2.0, 6.0]}
B = {ONE: [12.0, 61.0, 34.0, 80.0], TWO: [8.0, 1.0, 9.5]}
C = {ONE: [0.0, 7.0, 3.0], TWO: [-1.0, -2.0, -3.0]}


def runs(algorithm, scores):
    return [
        Run(f"x/{algorithm}", environment, seed, scores=(0.0, score))
        for environment, of_environment in scores.items()
        for seed, score in enumerate(of_environment)
    ]


@pytest.fixture
def load(tmp_path):
    return lambda *groups: harness.load(write_runs(tmp_path, [run for group in groups for run in group]))


def row(table, environment, one, two):
    chosen = (table["environment"] == environment) & (table["algorithm"] == one)
    (found,) = table[chosen & (table["than_algorithm"] == two)].to_dict("records")
    return found


def of(a, b, shared=True):
    """What `pairing` says of two lists of scores, of the first less the second."""
    sides = (
        {seed: PairedRun("done", score) for seed, score in enumerate(scores, first)}
        for scores, first in ((b, 0 if shared else 50), (a, 0))
    )
    found = difference(Task("one", "a", "cpu", 100, *sides))
    return (*found.estimate[:3], found.sample.paired, found.test.permuted, found.test.p)


def said(found):
    return tuple(found[name] for name in ("difference", "low", "high", "paired", "test", "p"))


def test_a_row_is_what_the_module_that_pairs_says(load):
    a, b = [*A[ONE], 3.0, 50.0], [*B[ONE], 5.0, 44.0]
    found = row(load(runs("a", {ONE: a}), runs("b", {ONE: b})).pairwise(), "one", "a", "b")
    assert said(found) == of(a, b)
    assert found["test"] == "signs"
    assert (found["n"], found["than_n"], found["n_missing"]) == (6, 6, 0)


def test_runs_with_other_seeds_do_not_pair(load):
    elsewhere = [replace(run, seed=run.seed + 50) for run in runs("b", B)]
    found = row(load(runs("a", A), elsewhere).pairwise(), "one", "a", "b")
    assert said(found) == of(A[ONE], B[ONE], shared=False)
    assert (found["paired"], found["test"]) == (False, "labels")


def test_where_three_seeds_are_shared_only_those_count(load):
    found = row(load(runs("a", A), runs("c", C)).pairwise(), "one", "a", "c")
    assert said(found) == of(A[ONE][:3], C[ONE])
    assert (found["n"], found["than_n"]) == (3, 3)


def test_a_failed_run_pairs_and_counts_as_the_random_policy(load):
    broken = runs("a", A)
    broken[3] = replace(broken[3], status="crashed", scores=())
    found = row(load(broken, runs("b", B)).pairwise(), "one", "a", "b")
    assert said(found) == of([*A[ONE][:3], ONE.random], B[ONE])
    assert (found["paired"], found["n"], found["n_missing"]) == (True, 4, 1)


def test_trap_failing_is_no_better_than_the_worst_run_of_either_side(load):
    broken, bad = runs("a", {ONE: [10.0, 20.0, 30.0]}), [-40.0, 20.0, -80.0]
    broken[1] = replace(broken[1], status="crashed", scores=())
    found = row(load(broken, runs("b", {ONE: bad})).pairwise(), "one", "a", "b")
    assert found["difference"] == pytest.approx(np.mean([10, -80, 30]) - np.mean(bad))


def test_without_a_floor_a_failed_run_leaves_no_number(load):
    homeless = replace(ONE, random=None)
    broken = runs("a", {homeless: [1.0, 2.0, 3.0, 4.0]})
    broken[0] = replace(broken[0], status="failed", scores=())
    results = load(broken, runs("b", {homeless: [1.0, 2.0, 3.0, 4.0]}))
    found = row(results.pairwise(), "one", "a", "b")
    assert np.isnan([found["difference"], found["p"], found["p_holm"]]).all()
    assert results.improvement().empty


def test_p_values_are_adjusted_within_their_environment(load):
    table = load(runs("a", A), runs("b", B), runs("c", C)).pairwise()
    assert len(table) == 2 * 3
    assert table["p"].nunique() > 1
    for _, here in table.groupby("environment"):
        np.testing.assert_allclose(here["p_holm"], holm(here["p"]))
        np.testing.assert_allclose(here["p_bh"], benjamini_hochberg(here["p"]))
        assert (here["p_holm"] >= here["p_bh"] - 1e-12).all()


def test_pairs_with_too_few_runs_are_not_tested_and_adjust_nothing(load):
    table = load(runs("a", A), runs("b", B), runs("d", {ONE: [5.0, 6.0]})).pairwise()
    tested = row(table, "one", "a", "b")
    assert tested["p_holm"] == tested["p"]
    few = row(table, "one", "a", "d")
    assert np.isnan([few["p"], few["p_holm"], few["p_bh"], few["low"]]).all()
    assert few["difference"] == pytest.approx(np.mean(A[ONE][:2]) - 5.5)  # of the seeds that both have


def test_adding_an_algorithm_changes_adjusted_p_values_and_nothing_else(tmp_path):
    two = harness.load(write_runs(tmp_path / "two", runs("a", A) + runs("b", B)))
    three = harness.load(write_runs(tmp_path / "three", runs("a", A) + runs("b", B) + runs("c", C)))
    for name in ("pairwise", "improvement"):
        old, new = getattr(two, name)(), getattr(three, name)()
        new = new[(new["algorithm"] != "c") & (new["than_algorithm"] != "c")].reset_index(drop=True)
        adjusted = [column for column in ("p_holm", "p_bh") if column in old]
        assert old.drop(columns=adjusted).equals(new.drop(columns=adjusted))


def test_improvement_is_that_of_the_scores_on_the_environments_both_ran(load):
    table = load(runs("a", A), runs("b", B), runs("c", {ONE: C[ONE]})).improvement()
    assert len(table) == 3 * 2
    found = {(pair.algorithm, pair.than_algorithm): pair for pair in table.itertuples()}
    expected = improvement(ragged(list(A.values())), ragged(list(B.values())), paired=True)
    ab, ba, ac = found["a", "b"], found["b", "a"], found["a", "c"]
    assert (ab.probability, ab.low, ab.high) == pytest.approx(expected[:3])
    assert (ab.n_runs, ab.than_n_runs, ab.n_tasks, ab.paired) == (7, 7, 2, True)
    assert (ba.probability, ba.low, ba.high) == pytest.approx((1 - expected.value, 1 - expected.high, 1 - expected.low))
    assert (ac.n_tasks, ac.paired, ac.n_runs, ac.probability) == (1, True, 3, 1.0)


def test_an_algorithm_with_runs_of_a_seed_in_two_suites_is_in_no_pair(load):
    """Which of them is meant? `compare` calls it not comparable, and claims are not judged."""
    twice = [*runs("a", {ONE: [1.0, 2.0, 3.0]}), replace(runs("a", {ONE: [4.0]})[0], suite="other")]
    results = load(twice, runs("b", {ONE: [1.0, 2.0, 3.0]}), runs("c", {ONE: [1.0, 2.0, 4.0]}))
    assert results.pairwise()[["algorithm", "than_algorithm"]].to_numpy().tolist() == [["b", "c"]]


def test_one_algorithm_has_no_pair(load):
    results = load(runs("a", A))
    assert results.pairwise().empty
    assert results.improvement().empty


def curves(algorithm, *crossings, seeds=None, **changes):
    """Runs on ONE, evaluated at 0, 10, ..., 100, that are at the threshold from these steps on; None: never."""
    return [
        Run(
            f"x/{algorithm}",
            ONE,
            seed,
            scores=tuple(60.0 if first is not None and step >= first else 5.0 for step in range(0, 101, 10)),
            changes=changes,
        )
        for seed, first in zip(seeds or range(len(crossings)), crossings, strict=True)
    ]


def test_steps_to_the_threshold_are_compared_by_restricted_means(load):
    """The table takes the mean of capped steps; the statistics package integrates Kaplan and Meier's curve."""
    first, second = [20, 30, None, 50], [60, None, None, 80, 70]
    results = load(curves("a", *first, seeds=range(10, 14)), curves("b", *second))
    (found,) = results.pairwise_steps().to_dict("records")
    times = [np.array([100.0 if t is None else t for t in side]) for side in (first, second)]
    reached = [np.array([t is not None for t in side]) for side in (first, second)]
    one, other = (restricted_mean(t, r, horizon=100.0) for t, r in zip(times, reached, strict=True))
    assert found["difference"] == pytest.approx(one - other)
    assert said(found) == of(*times, shared=False)
    assert (found["reached"], found["than_reached"], found["budget"]) == (3, 3, 100)
    assert (found["n"], found["than_n"], found["n_missing"]) == (4, 5, 0)


def test_a_failed_run_never_reaches_the_threshold(load):
    bad = replace(curves("a", 10, seeds=[3])[0], status="failed", error="no", scores=())
    results = load(curves("a", 20, 30, 40), [bad], curves("b", 20, 30, 40, 50))
    (found,) = results.pairwise_steps().to_dict("records")
    assert found["difference"] == pytest.approx((20 + 30 + 40 + 100) / 4 - 35)
    assert (found["reached"], found["than_reached"], found["paired"]) == (3, 4, True)


def test_pairs_of_which_no_run_reached_the_threshold_are_no_evidence_and_adjust_nothing(load):
    results = load(curves("a", *[None] * 6), curves("b", *[None] * 6), curves("c", 10, 20, 30, 40, 50, 60))
    found = results.pairwise_steps()
    assert list(zip(found["algorithm"], found["than_algorithm"], strict=True)) == [("a", "c"), ("b", "c")]
    np.testing.assert_allclose(found["p"], 2 / 2**6)
    np.testing.assert_allclose(found["p_holm"], 2 * found["p"])


def test_without_a_threshold_no_steps_are_compared(load):
    only_two = {TWO: A[TWO]}
    assert load(runs("a", only_two), runs("b", only_two)).pairwise_steps().empty
