"""Algorithms in pairs, against enumeration and direct calls of the statistics."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from support_results import Environment, Run, write_runs

import harness
from harness.statistics.improvement import improvement
from harness.statistics.intervals import difference
from harness.statistics.multiplicity import benjamini_hochberg, holm
from harness.statistics.runs import ragged
from harness.statistics.survival import restricted_mean

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


def sign_flips(a, b):
    """Two-sided p-value of the mean paired difference, by enumeration."""
    d = np.subtract(a, b)
    every = [abs(np.dot(signs, d)) for signs in product([1, -1], repeat=len(d))]
    return np.mean(np.array(every) >= abs(d.sum()) - 1e-9)


def swapped_labels(a, b):
    """Two-sided p-value of Welch's t, by enumeration of who is called what."""
    pooled = np.array([*a, *b])

    def welch(chosen):
        mask = np.isin(np.arange(len(pooled)), chosen)
        x, y = pooled[mask], pooled[~mask]
        return abs(x.mean() - y.mean()) / np.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))

    every = [welch(chosen) for chosen in combinations(range(len(pooled)), len(a))]
    return np.mean(np.array(every) >= every[0] - 1e-6)


def test_runs_with_the_same_seeds_are_tested_by_flipping_signs(load):
    a, b = [*A[ONE], 3.0, 50.0], [*B[ONE], 5.0, 44.0]
    found = row(load(runs("a", {ONE: a}), runs("b", {ONE: b})).pairwise(), "one", "a", "b")
    expected = difference(ragged([a]), ragged([b]), paired=True)
    assert (found["paired"], found["test"]) == (True, "signs")
    assert found["p"] == pytest.approx(sign_flips(a, b))
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(expected[:3])
    assert (found["n"], found["than_n"], found["n_missing"]) == (6, 6, 0)


def test_trap_five_pairs_are_tested_by_swapping_labels_for_their_signs_could_never_say_anything(load):
    low, high = [1.0, 2.0, 3.0, 4.0, 5.0], [60.0, 70.0, 65.0, 80.0, 75.0]
    found = row(load(runs("a", {ONE: low}), runs("b", {ONE: high})).pairwise(), "one", "a", "b")
    assert (found["paired"], found["test"]) == (True, "labels")
    assert found["p"] == pytest.approx(2 / 252)
    assert sign_flips(low, high) == 2 / 32


def test_runs_with_other_seeds_are_tested_by_swapping_labels(load):
    found = row(load(runs("a", A), runs("c", C)).pairwise(), "one", "a", "c")
    expected = difference(ragged([A[ONE]]), ragged([C[ONE]]), paired=False)
    assert (found["paired"], found["test"]) == (False, "labels")
    assert found["p"] == pytest.approx(swapped_labels(A[ONE], C[ONE]))
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(expected[:3])
    assert (found["n"], found["than_n"]) == (4, 3)


def test_a_failed_run_breaks_the_pairing_and_counts_as_the_random_policy(load):
    broken = runs("a", A)
    broken[3] = replace(broken[3], status="crashed", scores=())
    found = row(load(broken, runs("b", B)).pairwise(), "one", "a", "b")
    assert not found["paired"]
    assert found["difference"] == pytest.approx(np.mean([10, 20, 35, ONE.random]) - np.mean(B[ONE]))
    assert (found["n"], found["n_missing"]) == (4, 1)


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
    for _, here in table.groupby("environment"):
        np.testing.assert_allclose(here["p_holm"], holm(here["p"]))
        np.testing.assert_allclose(here["p_bh"], benjamini_hochberg(here["p"]))
        assert (here["p_holm"] >= here["p_bh"]).all()


def test_pairs_with_too_few_runs_are_not_tested_and_adjust_nothing(load):
    table = load(runs("a", A), runs("b", B), runs("d", {ONE: [5.0, 6.0]})).pairwise()
    tested = row(table, "one", "a", "b")
    assert tested["p_holm"] == tested["p"]
    few = row(table, "one", "a", "d")
    assert np.isnan([few["p"], few["p_holm"], few["p_bh"], few["low"]]).all()
    assert few["difference"] == pytest.approx(np.mean(A[ONE]) - 5.5)


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
    assert (ba.probability, ba.low, ba.high) == pytest.approx(
        (1 - expected.value, 1 - expected.high, 1 - expected.low)
    )
    assert (ac.n_tasks, ac.paired, ac.probability) == (1, False, 1.0)


def test_a_seed_that_two_runs_share_pairs_with_nothing(load):
    twice = [
        *runs("a", {ONE: [1.0, 2.0, 3.0]}),
        *(replace(r, suite="other") for r in runs("a", {ONE: [4.0] * 3})),
    ]
    also = [
        *runs("b", {ONE: [1.0, 2.0, 3.0]}),
        *(replace(r, suite="other") for r in runs("b", {ONE: [4.0] * 3})),
    ]
    assert not row(load(twice, also).pairwise(), "one", "a", "b")["paired"]


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
    assert found["test"] == "labels"
    assert found["p"] == pytest.approx(swapped_labels(*times))
    assert (found["reached"], found["than_reached"], found["budget"]) == (3, 3, 100)
    assert (found["n"], found["than_n"], found["n_missing"]) == (4, 5, 0)
    of_means = difference(ragged([times[0]]), ragged([times[1]]), paired=False)
    assert (found["low"], found["high"]) == pytest.approx((of_means.low, of_means.high))


def test_a_failed_run_never_reaches_the_threshold(load):
    bad = replace(curves("a", 10, seeds=[3])[0], status="failed", error="no", scores=())
    results = load(curves("a", 20, 30, 40), [bad], curves("b", 20, 30, 40, 50))
    (found,) = results.pairwise_steps().to_dict("records")
    assert found["difference"] == pytest.approx((20 + 30 + 40 + 100) / 4 - 35)
    assert (found["reached"], found["than_reached"]) == (3, 4)
    assert not found["paired"]


def test_pairs_of_which_no_run_reached_the_threshold_are_no_evidence_and_adjust_nothing(load):
    results = load(curves("a", *[None] * 6), curves("b", *[None] * 6), curves("c", 10, 20, 30, 40, 50, 60))
    found = results.pairwise_steps()
    assert list(zip(found["algorithm"], found["than_algorithm"], strict=True)) == [("a", "c"), ("b", "c")]
    np.testing.assert_allclose(found["p"], 2 / 2**6)
    np.testing.assert_allclose(found["p_holm"], 2 * found["p"])


def test_without_a_threshold_no_steps_are_compared(load):
    only_two = {TWO: A[TWO]}
    assert load(runs("a", only_two), runs("b", only_two)).pairwise_steps().empty
