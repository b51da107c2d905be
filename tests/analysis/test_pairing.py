"""Which runs count and pair, what a failed one scores, and the difference and the test, by second implementations."""

from dataclasses import replace
from itertools import combinations, product
from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from harness.analysis.pairing import Run, Task, difference, floor, p_values, paired, sample
from harness.statistics import intervals
from harness.statistics.runs import ragged
from harness.suite.measures import MEASURES, named
from support.paths import ROOT
from support.verdicts import DQN, TEN


def side(values):
    """Runs from {seed: value or status}."""
    return {
        seed: Run("done", value) if isinstance(value, float) else Run(value, float("nan"))
        for seed, value in values.items()
    }


def task(base, head, **changes):
    """A task from {seed: value or status} of both sides."""
    return replace(Task("cartpole", DQN, "cpu", 20_000, side(base), side(head)), **changes)


def from_lists(base, head, first=0):
    """A task of two lists; the seeds of the head begin at ``first``."""
    return task(dict(enumerate(base)), dict(enumerate(head, first)))


# Which runs count


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout", "diverged"])
def test_a_run_that_failed_by_itself_is_an_answer(status):
    found = task({0: 1.0, 1: status}, {0: status, 1: 1.0})
    assert found.head[0].counts
    assert found.newly_failing == [0]


@pytest.mark.parametrize("status", ["interrupted", "skipped"])
def test_a_run_that_something_else_ended_is_no_answer(status):
    found = task({0: 1.0}, {0: status})
    assert not found.head[0].counts
    assert not found.newly_failing


@pytest.mark.parametrize("value", [inf, float("nan")])
def test_a_run_that_is_done_and_has_no_finite_value_is_no_answer(value):
    assert not Run("done", value).counts


# What a failed run scores


def test_a_failed_run_scores_as_the_random_policy_or_as_the_worst_of_both_sides():
    """Where the base is worse than random, crashing would be an improvement."""
    found = task({0: 5.0, 1: 7.0}, {0: 4.0, 1: "timeout"}, random=1.0)
    assert found.scores(found.head, [0, 1]).tolist() == [4.0, 1.0]
    below = task({0: -90.0, 1: -70.0}, {0: -80.0, 1: "crashed"}, random=-50.0)
    assert below.failed_score == -90.0


def test_without_a_random_score_a_failed_run_has_no_score_and_the_reason_says_what_helps():
    found = task({0: 5.0, 1: 7.0}, {0: 4.0, 1: "timeout"})
    assert isnan(found.failed_score)
    assert found.unscored.endswith("declare random_score")
    assert isnan(difference(found).estimate.value)
    assert isnan(difference(found).test.p)
    assert not task({0: 5.0}, {0: 4.0}).unscored


def test_what_a_failed_run_counts_as_follows_the_record_of_the_measure():
    failing = {"base": {0: 5.0, 1: 7.0}, "head": {0: 4.0, 1: "timeout"}, "random": 1.0}
    scored = {name: task(**failing, measure=measure).failed_score for name, measure in MEASURES.items()}
    assert {name for name, score in scored.items() if score == 1.0} == {
        "final_score",
        "online_return",
        "area_under_curve",
        "worst_quarter",
    }
    assert scored["steps_to_threshold"] == 20_000
    assert task(**failing, measure=named("diagnostic_loss")).unscored == "a failed run has no diagnostic_loss"


def test_the_floor_is_that_of_those_compared():
    assert floor(0.0, [5.0, float("nan"), inf]) == 0.0
    assert floor(0.0, [5.0, -3.0]) == -3.0
    assert isnan(floor(float("nan"), [1.0]))


# Which runs pair


@pytest.mark.parametrize(
    ("base", "head", "pairs"),
    [
        (range(10), range(10), True),
        (range(10), range(7, 17), True),  # three seeds are shared
        (range(10), range(8, 18), False),
        (range(2), range(2), True),  # all there are
        (range(10), [4], True),
        (range(2), range(1, 3), False),
    ],
)
def test_seeds_pair_where_three_are_shared_or_a_side_has_no_others(base, head, pairs):
    assert paired(base, head) is paired(head, base) is pairs


def test_of_pairs_only_shared_seeds_count_and_of_others_all():
    few = task({s: float(s) for s in (9, 2, 4, 7)}, {s: 1.0 for s in (2, 7, 9, 11)})
    assert sample(few).seeds == ([2, 7, 9], [2, 7, 9])
    assert sample(few).scores[0].tolist() == [2.0, 7.0, 9.0]
    none = task({s: 1.0 for s in (1, 2, 3)}, {s: 1.0 for s in (3, 4, 5)})
    assert sample(none).seeds == ([1, 2, 3], [3, 4, 5])


def test_failed_runs_pair_like_others_and_interrupted_ones_make_no_pair():
    found = task({s: 1.0 for s in range(5)}, {0: 1.0, 1: "crashed", 2: "interrupted", 3: 1.0, 4: 2.0}, random=0.0)
    assert sample(found).seeds == ([0, 1, 3, 4], [0, 1, 3, 4])
    assert sample(found).scores[1].tolist() == [1.0, 0.0, 1.0, 2.0]


# The difference and its test


def enumerated(base, head, pairs):
    """The two-sided p-value by its definition: of the largest of the drops, each standardised over all permutations."""
    if pairs and len(base) >= 6:
        every = np.array(list(product([1, -1], repeat=len(base))))
        d = np.subtract(base, head)
        ranks = np.where(d == 0, 0, np.sign(d) * rankdata(np.where(d == 0, np.inf, np.abs(d))))
        drops = [standard(every @ d), standard(every @ ranks)]
    else:
        pooled, n = np.array([*base, *head]), len(base)
        every = np.array([np.isin(np.arange(len(pooled)), c) for c in combinations(range(len(pooled)), n)])
        ranks = rankdata(pooled) - (len(pooled) + 1) / 2
        drops = [welch(pooled, every), standard(gap(ranks, every))]
    largest = np.max(drops, axis=0)
    return np.mean(largest >= largest[0] - 1e-6)


def standard(statistic):
    return statistic / (statistic.std() or 1)


def gap(scores, every):
    return np.array([scores[first].mean() - scores[~first].mean() for first in every])


def welch(pooled, every):
    n, m = every[0].sum(), (~every[0]).sum()
    if n == m:
        return standard(gap(pooled, every))
    errors = [np.sqrt(pooled[k].var(ddof=1) / n + pooled[~k].var(ddof=1) / m) for k in every]
    return gap(pooled, every) / errors


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from([(6, 6, True), (8, 8, True), (5, 5, True), (5, 5, False), (4, 6, False)])
)
def test_p_values_are_those_of_all_permutations(seed, case):
    n, m, pairs = case
    rng = np.random.default_rng(seed)
    base, head = rng.normal(size=n).round(1), rng.normal(0.5, size=m).round(1)
    found = p_values(ragged([base]), ragged([head]), pairs)
    assert found.permuted == ("signs" if pairs and n >= 6 else "labels")
    assert found.less == pytest.approx(enumerated(base, head, pairs))
    assert found.more == pytest.approx(enumerated(head, base, pairs))
    assert found.p == pytest.approx(min(1, 2 * min(found.less, found.more)))


def test_trap_five_pairs_are_tested_by_labels_for_their_signs_could_never_say_anything():
    low, high = [1.0, 2.0, 3.0, 4.0, 5.0], [60.0, 70.0, 65.0, 80.0, 75.0]
    found = difference(from_lists(low, high))
    assert found.sample.paired
    assert (found.test.permuted, found.test.p) == ("labels", pytest.approx(2 / 252))


def test_below_three_runs_there_is_a_difference_and_nothing_else():
    found = difference(from_lists([1.0, 2.0], [5.0, 7.0, 9.0], first=5))
    assert found.estimate.value == 5.5
    assert np.isnan([found.estimate.low, found.estimate.high, found.test.p]).all()


def test_the_interval_is_that_of_the_statistics_within_what_can_be():
    found = difference(from_lists(*TEN))
    expected = intervals.difference(ragged([TEN[1]]), ragged([TEN[0]]), paired=True)
    assert found.estimate == expected
    steps = replace(from_lists([9e3, 20e3, 1e3], [20e3, 1e3, 20e3]), measure=named("steps_to_threshold"))
    assert (difference(steps).estimate.low, difference(steps).estimate.high) == (-20_000, 20_000)


@pytest.mark.parametrize("first", [0, 20])
def test_whoever_is_named_first_the_answer_is_the_same_to_the_last_digit(first):
    forth, back = difference(from_lists(*TEN, first)), difference(from_lists(*TEN[::-1], first))
    assert back.estimate == forth.estimate.turned
    assert (back.test.less, back.test.more) == (forth.test.more, forth.test.less)


def test_the_order_in_which_runs_are_stored_changes_no_digit():
    forth = from_lists(*TEN, 20)
    back = replace(forth, base=dict(reversed(forth.base.items())), head=dict(reversed(forth.head.items())))
    assert difference(back).estimate == difference(forth).estimate
    assert difference(back).test == difference(forth).test


def test_ten_pairs_have_one_p_value():
    """The report said .0352 of these, and `compare` .0371."""
    assert difference(from_lists(*TEN)).test.p == 38 / 1024


def test_verdicts_ask_the_analysis_and_never_the_other_way_round():
    for folder in ("statistics", "analysis"):
        for path in (ROOT / "harness" / folder).glob("*.py"):
            assert "harness.verdicts" not in path.read_text(encoding="utf-8")
