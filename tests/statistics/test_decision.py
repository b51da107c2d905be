"""Permutation tests, adjusted p-values, and the decision rule of the gate."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.decision import (
    Evidence,
    Verdict,
    breaking,
    detectable_drop,
    drops,
    evidence,
    lowered,
    min_p,
    more_failures,
    permutations,
    relative_drop,
    runs_needed,
    spent,
    verdict,
)
from harness.statistics.multiplicity import benjamini_hochberg, holm, max_t
from harness.statistics.permutation import (
    EXACT,
    labels,
    mean_drop,
    mean_paired_drop,
    midranks,
    rank_drop,
    rank_paired_drop,
    share_at_least,
    signs,
    top_drop,
)
from harness.statistics.runs import matrix, ragged
from harness.statistics.timing import time_ratio

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)
numbers = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=6)
FEW = 1_000  # permutations


def sides(runs, tasks, seed, rho=0.0, drop=0.0):
    """Old and new scores around 1 with a coefficient of variation of .15, correlated within a seed."""
    random = np.random.default_rng(seed)
    old, own = random.normal(size=(2, runs, tasks))
    new = rho * old + np.sqrt(1 - rho**2) * own
    return matrix(1 + 0.15 * old), matrix((1 - np.asarray(drop)) * (1 + 0.15 * new))


def judged(old, new, paired, alpha=0.05):
    return verdict(evidence(old, new, paired=paired, drop=0.1, task_drop=0.25, random=FEW), alpha, alpha)


def dropped(old, new, paired, random=FEW, **asked):
    return drops(old, new, paired, permutations(old, new, paired, random), **asked)


@given(p_values)
def test_adjusted_p_values_keep_their_order_and_only_grow(p):
    for adjust in (holm, benjamini_hochberg):
        adjusted = adjust(p)
        assert (adjusted >= np.array(p) - 1e-12).all()
        assert (adjusted <= 1).all()
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    assert (benjamini_hochberg(p) <= holm(p) + 1e-12).all()


def test_benjamini_hochberg_agrees_with_numbers_worked_by_hand():
    """p · 5 / rank is .005, .03, .05, .05, .2."""
    found = benjamini_hochberg([0.2, 0.001, 0.012, 0.03, 0.04])
    assert found == pytest.approx([0.2, 0.005, 0.03, 0.05, 0.05])


def test_max_t_of_one_test_is_its_permutation_p_value():
    statistics = np.random.default_rng(0).normal(size=(200, 1))
    assert max_t(statistics) == pytest.approx(share_at_least(statistics))


def test_max_t_charges_nothing_for_the_same_test_twice_where_holm_does():
    one = np.random.default_rng(0).normal(size=200)
    one[0] = np.sort(one)[-5]
    twice = np.stack([one, one], axis=1)
    assert max_t(twice) == pytest.approx(share_at_least(twice))
    assert (holm(share_at_least(twice)) > share_at_least(twice)).all()


def test_max_t_steps_down():
    """Without the strongest test, the second is compared with the permutations of the second alone."""
    statistics = np.array([[9.0, 2.0], [3.0, 1.0], [0.0, 1.5], [3.0, 0.0]])
    assert max_t(statistics).tolist() == [0.25, 0.25]
    statistics[0] = 9.0, 1.0
    assert max_t(statistics).tolist() == [0.25, 0.75]


def test_trap_holm_over_five_tasks_of_three_runs_can_never_reject():
    apart = [mean_drop([9.0, 8.0, 7.0], [1.0, 2.0, 3.0], labels(((3, 3),))[0])] * 5
    assert holm([share_at_least(each) for each in apart]).min() == pytest.approx(0.25)
    old, new = (matrix(np.tile(side, (5, 1)).T) for side in ([9.0, 8.0, 7.0], [1.0, 2.0, 3.0]))
    assert min_p(dropped(old, new, paired=False, random=10_000)) < 0.001


@pytest.mark.parametrize(("old", "new"), [(3, 3), (2, 4), (5, 1)])
def test_all_splits_are_tried_once_and_the_identity_first(old, new):
    found = labels(((old, new),))[0]
    assert len(found) == len(np.unique(found, axis=0)) == comb(old + new, old)
    assert (found.sum(axis=1) == old).all()
    assert found[0].tolist() == [True] * old + [False] * new


def test_tasks_are_permuted_jointly_and_exhaustively_while_that_is_feasible():
    first, second = labels(((3, 3), (3, 3)))
    assert len(np.unique(np.hstack([first, second]), axis=0)) == 400
    kept = signs((3, 2))
    assert len(np.unique(np.hstack(kept), axis=0)) == 32
    assert kept[0][0].all()
    assert kept[1][0].all()


def test_too_many_permutations_are_sampled_identity_included():
    assert comb(20, 10) > EXACT
    (found,) = labels(((10, 10),), random=500)
    assert found.shape == (500, 20)
    assert found[0].tolist() == [True] * 10 + [False] * 10
    assert (found.sum(axis=1) == 10).all()
    assert (found == labels(((10, 10),), random=500)[0]).all()
    (kept,) = signs((20,), random=500)
    assert kept.shape == (500, 20)
    assert kept[0].all()
    assert 0.4 < kept[1:].mean() < 0.6


@given(numbers, numbers, st.floats(0.5, 5), st.floats(-5, 5))
def test_p_values_of_a_drop_know_no_unit(old, new, scale, shift):
    permuted = labels(((len(old), len(new)),))[0]
    for drop in (mean_drop, rank_drop, top_drop):
        moved = drop(scale * np.array(old) + shift, scale * np.array(new) + shift, permuted)
        assert share_at_least(moved) == share_at_least(drop(old, new, permuted))


@given(numbers)
def test_standardised_drops_have_mean_zero_and_variance_one_over_all_permutations(values):
    old, new = values, [v + 1 for v in reversed(values)]
    permuted, kept = labels(((len(old), len(new)),))[0], signs((len(old),))[0]
    differences = np.subtract(old, new)
    found = [drop(old, new, permuted) for drop in (mean_drop, rank_drop)]
    found += [drop(differences, kept) for drop in (mean_paired_drop, rank_paired_drop)]
    for statistics in found:
        assert statistics.mean() == pytest.approx(0, abs=1e-9)
        assert statistics.var() == pytest.approx(1, rel=1e-6) or not statistics.any()


def test_the_mean_drop_orders_permutations_as_the_difference_of_means_does():
    old, new = [4.0, 9.0, 1.0], [3.0, 2.0, 8.0]
    pooled = np.array([*old, *new])
    plain = [pooled[list(first)].mean() - np.delete(pooled, list(first)).mean() for first in combinations(range(6), 3)]
    found = mean_drop(old, new, labels(((3, 3),))[0])
    assert np.corrcoef(plain, found)[0, 1] == pytest.approx(1)


def test_unequal_numbers_of_runs_are_studentised():
    old, new = [1.0, 2.0, 3.0, 4.0, 9.0], [0.0, 1.0, 1.5]
    t = (np.mean(old) - np.mean(new)) / np.sqrt(np.var(old, ddof=1) / 5 + np.var(new, ddof=1) / 3)
    assert mean_drop(old, new, labels(((5, 3),))[0])[0] == pytest.approx(t)


def test_trap_a_task_whose_runs_are_all_equal_says_nothing_instead_of_nan():
    equal = np.full(4, 1 / 3)
    permuted, kept = labels(((4, 4),))[0], signs((4,))[0]
    for drop in (mean_drop, rank_drop, top_drop):
        assert not drop(equal, equal, permuted).any()
    for drop in (mean_paired_drop, rank_paired_drop):
        assert not drop(equal - equal, kept).any()
    old, new = sides(5, 3, seed=1)
    degenerate = [ragged([equal[[0] * 5], *side.by_task()]) for side in (old, new)]
    found = evidence(*degenerate, paired=False, drop=0.1, task_drop=0.25, random=FEW)
    assert np.isfinite(np.concatenate([[found.regressed, found.passed], found.task_regressed])).all()
    assert found.task_regressed[0] == 1


def test_ranks_are_shared_among_equals():
    assert midranks([3.0, 1.0, 3.0, 2.0]).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_equal_pairs_have_no_signed_rank():
    kept = signs((3,))[0]
    assert (rank_paired_drop([0.0, 2.0, 1.0], kept) == rank_paired_drop([0.0, 9.0, 4.0], kept)).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_the_min_p_test_is_valid(seed, paired):
    """Its p-value of any permutation is among all of them as often small as it says."""
    found = dropped(*sides(3, 2, seed), paired, tops=True)
    every = np.array([min_p(np.roll(found, -shift, axis=0)) for shift in range(0, len(found), 7)])
    for alpha in (0.05, 0.2, 0.5):
        assert np.mean(every <= alpha) <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / len(every))


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6, unique=True))
def test_all_looks_together_spend_alpha_at_most(fractions):
    fractions = [*sorted(fractions), 1.0] if max(fractions) < 1 else sorted(fractions)
    each = np.diff(spent(fractions), prepend=0.0)
    assert (each >= 0).all()
    assert each.sum() == pytest.approx(1)


@pytest.mark.parametrize("paired", [True, False])
def test_a_drop_everywhere_regresses_and_no_change_passes(paired):
    assert judged(*sides(8, 5, 0, rho=0.9, drop=0.3), paired) is Verdict.REGRESSED
    assert judged(*sides(12, 5, 1, rho=0.9), paired) is Verdict.PASSED


def test_too_few_runs_decide_nothing():
    assert judged(*sides(3, 1, 0), paired=False) is Verdict.UNDECIDED


def test_a_small_drop_seen_clearly_regresses_within_tolerance():
    old, _ = sides(10, 5, 0)
    assert judged(old, lowered(old, 0.02), paired=True) is Verdict.WITHIN_TOLERANCE


def test_trap_a_gate_that_only_pools_passes_a_commit_that_breaks_one_task_of_five():
    """Everything is better by 10 %, but one task has lost 40 %: not worse on the whole, and no pass."""
    old, new = sides(8, 5, 3, rho=0.9, drop=[-0.1, -0.1, 0.4, -0.1, -0.1])
    found = evidence(old, new, paired=True, drop=0.1, task_drop=0.25, random=FEW)
    assert found.passed <= 0.05  # what a pooled gate would pass by
    assert found.task_regressed.argmin() == 2
    assert found.task_passed.argmax() == 2
    assert verdict(found, 0.05, 0.05) is Verdict.REGRESSED
    blind = Evidence(1.0, 0.0, found.task_regressed, found.task_passed)
    assert verdict(blind, 0.05, 0.05) is Verdict.UNDECIDED


def test_a_pass_needs_every_task():
    fine = np.array([0.01, 0.05])
    assert verdict(Evidence(0.9, 0.01, np.ones(2), fine), 0.04, 0.05) is Verdict.PASSED
    assert verdict(Evidence(0.9, 0.01, np.ones(2), np.array([0.01, 0.06])), 0.04, 0.05) is Verdict.UNDECIDED


def test_no_side_passes_or_is_tolerated_to_which_bad_things_seem_to_happen_more_often():
    for regressed, doubtful in ((0.9, Verdict.UNDECIDED), (0.01, Verdict.REGRESSED)):
        seen = Evidence(regressed, 0.01, np.ones(1), np.array([0.01]), {"failures": 0.05})
        assert verdict(seen, 0.02, 0.02, doubt=0.05) is doubtful
        assert verdict(seen, 0.02, 0.02, doubt=0.04) is not doubtful


@pytest.mark.parametrize("paired", [True, False])
def test_equal_sides_regress_hardly_ever(paired):
    """5 % of 200 is 10; three standard errors are 9."""
    found = [dropped(*sides(4, 4, seed, rho=0.5), paired, random=400, tops=True) for seed in range(200)]
    assert sum(min_p(each) <= 0.05 for each in found) <= 19


def test_the_better_half_is_compared_by_ranks_from_the_median_on_less_what_the_worse_half_gained():
    """Ranks 1 to 8 about their mean 4.5: 5 to 8 count as 0.5 to 3.5, 1 to 4 as -3.5 to -0.5."""
    old, new = [0.0, 9.0, 8.0, 7.0], [1.0, 2.0, 6.0, 5.0]
    every = labels(((4, 4),))[0]
    better = np.array([0, 3.5, 2.5, 1.5, 0, 0, 0.5, 0])  # of each run, the old ones first; 5.0 has rank 4
    worse = np.array([-3.5, 0, 0, 0, -2.5, -1.5, 0, -0.5])
    top, bottom = (
        np.array([half[chosen].mean() - half[~chosen].mean() for chosen in every]) for half in (better, worse)
    )
    expected = top / np.std(top) + np.minimum(bottom / np.std(bottom), 0)
    assert top_drop(old, new, every) == pytest.approx(expected)


def test_trap_runs_that_fail_on_both_sides_do_not_hide_that_the_others_are_worse():
    """Two of eight runs fail on either side, the others lose a quarter of their score."""
    fail, fine = [0.1, 0.2], np.linspace(0.95, 1.05, 6)
    old, new = [*fail, *fine], [*fail, *(0.75 * fine)]
    every = labels(((8, 8),))[0]
    p = {drop: share_at_least(drop(old, new, every)) for drop in (mean_drop, rank_drop, top_drop)}
    assert p[top_drop] < 0.01 < min(p[mean_drop], p[rank_drop])


def test_trap_a_better_half_that_is_worse_is_no_drop_where_as_many_failures_are_mended():
    """Half the old runs fail, none of the new ones does, and the best are a little worse: that is no regression."""
    old, new = [0.0] * 4 + [1.0, 1.1, 1.2, 1.3], list(np.linspace(0.8, 0.95, 8))
    assert top_drop(old, new, labels(((8, 8),))[0])[0] <= 0


def test_tolerances_lower_the_mean_of_each_task_by_their_share_on_either_side_of_zero():
    assert lowered(ragged([[40.0, -10.0], [-10.0, -20.0]]), 0.1).values.tolist() == [36.0, -9.0, -11.0, -22.0]


def test_trap_runs_below_random_do_not_widen_the_tolerance():
    """Of runs at about 1000 and -600 the mean is 200: losing 60 is 30 % of it, though only 7 % of a run's size."""
    rng = np.random.default_rng(0)
    old = np.tile([1000.0, -600.0], 6)[:, None] + rng.normal(0, 30, (12, 5))
    worse = matrix(old - 60 + rng.normal(0, 10, (12, 5)))
    assert judged(matrix(old), worse, paired=True) is Verdict.REGRESSED


@pytest.mark.parametrize("paired", [True, False])
def test_tasks_of_a_block_are_permuted_together_and_others_on_their_own(paired):
    old, new = (matrix(side, [0, 0, 1]) for side in np.random.default_rng(0).normal(size=(2, 3, 3)))
    found = permutations(old, new, paired)
    assert len(found) == 2
    assert len(found[0]) == (2 ** (2 * 3) if paired else comb(6, 3) ** 2)
    assert drops(old, new, paired, found).shape == (len(found[0]), 3, 2)
    twice = [matrix(np.tile(side.values[:3, None], 2), [0, 0]) for side in (old, new)]
    first, second = np.moveaxis(drops(*twice, paired, permutations(*twice, paired))[..., 0], 1, 0)
    assert (first == second).all()


def lucky(seed, runs, tasks, share):
    """Scores of equal sides, where so much of their variance is the luck of a seed on all tasks."""
    random = np.random.default_rng(seed)
    common, own = random.normal(size=(2, runs, 1)), random.normal(size=(2, runs, tasks))
    return 1 + 0.15 * (np.sqrt(share) * common + np.sqrt(1 - share) * own)


@pytest.mark.parametrize("paired", [True, False])
def test_trap_luck_that_tasks_share_is_no_regression_of_all_of_them(paired):
    """Of 300 tests 15 are 5 %, and three standard errors 11; task by task they are several times as many."""
    of_blocks = {}
    for blocks in ([0] * 5, range(5)):
        sides_ = [[matrix(side, blocks) for side in lucky(seed, 6, 5, 0.9)] for seed in range(300)]
        of_blocks[len(set(blocks))] = sum(min_p(dropped(*both, paired, random=400)) <= 0.05 for both in sides_)
    assert of_blocks[1] <= 26
    assert of_blocks[5] > 40


def test_only_the_drop_of_all_tasks_together_says_that_the_whole_is_not_worse():
    """Two tasks lose 22 % and two nothing: 11 % overall. One unharmed task would rule out 10 % for itself."""
    old, new = sides(12, 4, 5, rho=0.9, drop=[0.22, 0.22, 0.0, 0.0])
    found = evidence(old, new, paired=True, drop=0.1, task_drop=0.25, random=FEW)
    assert found.passed > 0.5
    assert evidence(old, new, paired=True, drop=0.18, task_drop=0.25, random=FEW).passed < 0.05


def test_the_relative_drop_is_the_mean_over_tasks_in_units_of_all_their_runs():
    old, new = ragged([[4.0, 6.0], [30.0, 50.0]]), ragged([[4.0, 5.0], [50.0, 70.0]])
    found = relative_drop(old, new, False, permutations(old, new, False))
    assert found[0] == pytest.approx(((5 - 4.5) / 4.75 + (40 - 60) / 50) / 2)
    assert found.mean() == pytest.approx(0)
    pairs = relative_drop(old, new, True, permutations(old, new, True))
    assert pairs[0] == pytest.approx(found[0])
    nothing = ragged([[0.0, 0.0]])
    assert not relative_drop(nothing, nothing, True, permutations(nothing, nothing, True)).any()


def test_where_a_share_would_be_of_nothing_a_drop_is_measured_by_the_spread():
    old, new = ragged([[-1.0, 1.0]]), ragged([[-2.0, 0.0]])
    assert relative_drop(old, new, True, permutations(old, new, True))[0] == pytest.approx(1 / np.std([-1, 1, -2, 0]))


@pytest.mark.parametrize("paired", [True, False])
def test_bad_things_regress_a_side_whose_scores_are_the_same(paired):
    scores, _ = sides(4, 2, 0)
    never, often = matrix(np.zeros((4, 2))), matrix(np.tile([1.0, 0.0], (4, 1)))
    asked = {"paired": paired, "drop": 0.1, "task_drop": 0.25, "random": FEW}
    found = evidence(scores, scores, **asked, events={"failures": (never, often)})
    assert found.events["failures"] == pytest.approx(1 / 16 if paired else 1 / 70)
    assert found.regressed < 0.07  # the scores, which are asked about, too, are the same
    assert evidence(scores, scores, **asked, events={"failures": (often, never)}).regressed > 0.5
    assert evidence(scores, scores, **asked, events={"failures": (often, often)}).regressed > 0.5


@pytest.mark.parametrize("paired", [True, False])
def test_asking_for_more_costs_no_error(paired):
    """5 % of 300 tests are 15, and three standard errors 11."""
    alarms = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        failed = random.random((2, 6, 4)) < 0.1
        scores = np.where(failed, 0, 1 + 0.15 * random.normal(size=(2, 6, 4)))
        events = {"failures": tuple(map(matrix, failed)), "thresholds": tuple(map(matrix, scores < 1.0))}
        old, new = map(matrix, scores)
        found = evidence(old, new, paired=paired, drop=0.1, task_drop=0.25, random=400, events=events)
        alarms += found.regressed <= 0.05
    assert alarms <= 26


def test_a_task_breaks_where_luck_of_any_kind_would_seldom_do_it():
    """Three of three and none of three: at most 4^-3, if half of all runs fail."""
    assert breaking(1, 0.02) == 3
    assert breaking(1, 0.005) == 4
    assert breaking(5, 0.005) == 5
    chances = [c**5 * (1 - c) ** 5 for c in np.linspace(0, 1, 101)]
    assert 5 * max(chances) <= 0.005 < 5 * 4.0**-4


def test_failures_are_judged_exactly():
    """Five of five fail where none of five did: one arrangement of the 252."""
    assert more_failures(0, 5, 5, 5) == pytest.approx(1 / 252)
    assert more_failures(2, 5, 0, 5) == 1
    assert more_failures(0, 9, 0, 3) == 1


def test_the_runs_needed_are_the_fewest_with_the_power():
    # scipy 1.17.1, nct.sf(t.ppf(0.95, n - 1), n - 1, effect * sqrt(n)): power
    # .754 at 7 runs and .815 at 8 for an effect of 1; .798 at 26 and .812 at 27 for one of 0.5
    assert runs_needed(1.0, 1.0) == 8
    assert runs_needed(1.0, 0.5) == 27
    assert runs_needed(0.0, 0.1) == 2
    assert runs_needed(1.0, 0.001) is None
    # of two samples: nct.sf(t.ppf(0.95, 2 * (n - 1)), 2 * (n - 1), effect * sqrt(n))
    assert runs_needed(1.0, 1.0, paired=False) == 7
    assert runs_needed(1.0, 0.5, paired=False) == 26


def test_the_detectable_drop_needs_the_runs_it_is_detectable_with():
    for runs in (3, 8, 30):
        drop = detectable_drop(0.15, runs)
        assert runs_needed(0.15, drop * 1.001) == runs
        assert runs_needed(0.15, drop * 0.95) > runs
        assert runs_needed(0.15, detectable_drop(0.15, runs, paired=False) * 1.001, paired=False) == runs


def test_a_disturbed_pair_does_not_move_the_ratio_of_times():
    old = np.array([1.0, 1.1, 0.9, 1.0, 1.2])
    new = 1.05 * old
    assert time_ratio(old, new) == pytest.approx(1.05)
    new[0], old[1] = 90.0, 0.01
    assert time_ratio(old, new) == pytest.approx(1.05)
