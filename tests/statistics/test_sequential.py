"""The looks of a gate: which are taken, what they spend, and where they stop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.decision import Verdict, evidence, spent
from harness.statistics.runs import matrix
from harness.statistics.sequential import Rule, decide, enough_to_pass, looks, smallest_p, unseen, usual_rule

FEW = 500  # permutations


def sides(seeds, tasks, seed, drop=0.0, rho=0.9):
    """Scores [N, M] around 1 with a coefficient of variation of .15, correlated within a seed."""
    random = np.random.default_rng(seed)
    old, own = random.normal(size=(2, seeds, tasks))
    new = rho * old + np.sqrt(1 - rho**2) * own
    return 1 + 0.15 * old, (1 - drop) * (1 + 0.15 * new)


def test_many_tasks_are_looked_at_earlier_and_a_single_one_is_tolerated_more():
    assert usual_rule(5) == Rule((3, 5, 8, 12), 0.10)
    assert usual_rule(4).looks[0] == 3
    assert usual_rule(3) == Rule((5, 8, 12, 20), 0.10)
    assert usual_rule(1) == Rule((5, 8, 12, 20), 0.20)


@given(st.sets(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 6), st.booleans(), st.floats(0.01, 0.2))
def test_the_looks_that_are_taken_spend_no_more_than_alpha_by_any_of_them(numbers, tasks, paired, alpha):
    rule = Rule(tuple(sorted(numbers)), 0.1, alpha=alpha)
    taken = list(looks(rule, range(tasks), paired))
    together = np.cumsum([look.alpha for look in taken])
    for look, used in zip(taken, together, strict=True):
        assert used == pytest.approx(spent([look.seeds / rule.looks[-1]])[0] * (alpha - rule.of_breaking))
        assert (look.passing > 0) == (unseen(rule, range(tasks), look.seeds) <= alpha)
        assert smallest_p(look.seeds, tasks, paired) <= look.alpha
    assert sum(look.passing for look in taken) <= alpha + 1e-9


def test_a_look_that_cannot_reject_is_skipped_and_leaves_its_alpha_to_the_next():
    """One task, five pairs: no p-value is below 1/32, but the first look may spend .006 only."""
    rule = usual_rule(1)
    paired, unpaired = (list(looks(rule, [0], each)) for each in (True, False))
    assert [look.seeds for look in paired] == [8, 12, 20]
    assert [look.seeds for look in unpaired] == [5, 8, 12, 20]
    assert paired[0].alpha == pytest.approx(unpaired[0].alpha + unpaired[1].alpha)


def test_a_single_declared_look_has_all_of_alpha_but_what_is_kept_for_tasks_that_break():
    rule = Rule((16,), 0.1)
    (look,) = looks(rule, [0, 1], True)
    assert (look.alpha, look.passing) == (pytest.approx(0.045), pytest.approx(0.05))
    assert look.alpha + rule.of_breaking == pytest.approx(rule.alpha)


def test_no_look_passes_a_side_that_has_too_few_seeds_to_have_shown_a_failure():
    """20 % of one task are tolerated: .8^13 is .055. Of five, a quarter of one, .75^10 is .056; .9^25 of all."""
    assert enough_to_pass(usual_rule(1), [0]) == 14
    assert enough_to_pass(usual_rule(5), range(5)) == 11
    assert enough_to_pass(Rule((9,), 0.1, task_drop=0.5), range(5)) == 6
    assert enough_to_pass(usual_rule(2), [0, 1]) == 15
    # on one environment, seeds that fail do so with all five algorithms
    assert enough_to_pass(usual_rule(5, 1), [0] * 5) == 14
    assert enough_to_pass(Rule((40,), 0.1), [0] * 5) == 29
    spending = [look.passing for look in looks(usual_rule(5), range(5), False)]
    assert spending == [0, 0, 0, pytest.approx(0.05 * (1 - (8 / 12) ** 1.5))]


def test_runs_that_all_score_the_same_pass_once_they_are_enough():
    nothing = np.zeros((20, 2))
    assert decide(nothing[:14], nothing[:14], usual_rule(2), paired=True, random=FEW).verdict is Verdict.UNDECIDED
    assert decide(nothing, nothing, usual_rule(2), paired=True, random=FEW).verdict is Verdict.PASSED


def test_looks_at_tasks_that_share_luck_are_those_at_as_many_blocks():
    assert usual_rule(5, 1) == Rule((5, 8, 12, 20), 0.20)
    old, new = sides(20, 5, 0, drop=0.5)
    found = decide(old, new, usual_rule(5, 1), paired=True, blocks=[0] * 5, random=FEW)
    assert (found.verdict, found.look.seeds) == (Verdict.REGRESSED, 8)  # five pairs have no p-value below 1/32


def test_a_drop_that_is_certainly_beyond_the_overall_tolerance_is_never_within_it():
    """Three of four tasks lose 22 %, 16.5 % overall where 10 % are tolerated, with hardly any spread."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        old, own = random.normal(size=(2, 12, 4))
        new = (1 + 0.03 * (0.5 * old + np.sqrt(0.75) * own)) * (1 - np.array([0.22, 0.22, 0.22, 0.0]))
        found = decide(1 + 0.03 * old, new, Rule((12,), 0.10), paired=True, random=FEW)
        assert found.verdict is Verdict.REGRESSED


def test_events_of_blocks_beyond_those_of_the_scores_count():
    old, _ = sides(12, 1, 0)
    never, last = np.zeros((12, 3)), np.tile([0.0, 0.0, 1.0], (12, 1))
    found = decide(old, old, usual_rule(3), paired=True, events={"failures": (never, last)}, random=FEW)
    assert found.verdict is Verdict.REGRESSED
    assert found.seen.events["failures"] == found.seen.regressed


@pytest.mark.parametrize("paired", [True, False])
def test_the_looks_stop_at_the_first_that_decides(paired):
    old, new = sides(12, 5, 0, drop=0.5)
    first = decide(old, new, usual_rule(5), paired=paired, random=FEW)
    assert first.verdict is Verdict.REGRESSED
    assert first.look.seeds == 3
    later = np.where(np.arange(12)[:, None] < 3, new, 9.0)
    again = decide(old, later, usual_rule(5), paired=paired, random=FEW)
    assert (again.verdict, again.look) == (first.verdict, first.look)


def test_more_seeds_are_looked_at_until_the_evidence_is_enough():
    old, new = sides(12, 5, 1)
    found = decide(old, new, usual_rule(5), paired=True, random=FEW)
    assert found.verdict is Verdict.PASSED
    assert found.look.seeds > 3  # three pairs of one task have no p-value below 1/8, and each task must pass
    fewer = decide(old[:4], new[:4], usual_rule(5), paired=True, random=FEW)
    assert fewer.verdict is Verdict.UNDECIDED
    assert fewer.look.seeds == 3


def test_the_decision_rests_on_the_evidence_of_the_first_seeds_of_both_sides():
    old, new = sides(5, 4, 2)
    found = decide(old, np.vstack([new, new]), usual_rule(4), paired=False, random=FEW)
    n = found.look.seeds
    alone = evidence(matrix(old[:n]), matrix(new[:n]), paired=False, drop=0.1, task_drop=0.25, random=FEW)
    assert found.seen.regressed == alone.regressed
    assert (found.seen.task_passed == alone.task_passed).all()


def test_a_drop_smaller_than_tolerated_is_looked_at_until_it_is_so_on_every_task():
    """Three pairs show that a drop is one, and that it is small overall, but of no task that it is small there."""
    old, _ = sides(12, 5, 0)
    new = old * (0.98 + np.random.default_rng(0).normal(scale=0.001, size=old.shape))
    three = decide(old[:3], new[:3], usual_rule(5), paired=True, random=FEW)
    assert (three.verdict, three.look.seeds, three.final) == (Verdict.REGRESSED, 3, False)
    every = decide(old, new, usual_rule(5), paired=True, random=FEW)
    assert (every.verdict, every.look.seeds, every.final) == (Verdict.WITHIN_TOLERANCE, 12, True)


def test_what_was_once_seen_to_be_worse_never_passes_as_unchanged():
    old, new = sides(12, 5, 0)
    new[:3] = old[:3] * 0.98
    new[3:] = old[3:] * 1.1
    assert decide(old, new, usual_rule(5), paired=True, random=FEW).verdict is Verdict.WITHIN_TOLERANCE


def test_a_drop_on_one_task_that_is_more_than_tolerated_there_stays_a_regression():
    old, _ = sides(12, 5, 0)
    new = old * np.array([0.6, 1.0, 1.0, 1.0, 1.0]) * (1 + np.random.default_rng(0).normal(scale=1e-3, size=old.shape))
    found = decide(old, new, usual_rule(5), paired=True, random=FEW)
    assert found.verdict is Verdict.REGRESSED
    assert found.seen.task_passed[0] > 0.5


def test_too_few_seeds_for_any_look_decide_nothing():
    old, new = sides(2, 5, 0, drop=0.9)
    assert decide(old, new, usual_rule(5), paired=True) == (Verdict.UNDECIDED, None, None, False)


def test_scores_that_are_missing_are_refused_by_whichever_look():
    old, new = sides(12, 5, 0)
    new[11, 4] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        decide(old, new, usual_rule(5), paired=True)


@pytest.mark.parametrize("wrong", [{"looks": ()}, {"looks": (5, 5)}, {"looks": (0, 3)}, {"drop": 1.0}, {"alpha": 0.0}])
def test_a_rule_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match=r"looks|drop|alpha"):
        Rule(**{"looks": (3,), "drop": 0.1} | wrong)


@given(st.integers(0, 200), st.permutations(range(4)), st.floats(0.1, 100))
def test_neither_the_order_of_tasks_nor_their_units_matter_while_all_permutations_are_tried(seed, order, scale):
    old, new = sides(3, 4, seed, drop=0.15)
    rule = Rule((3,), 0.1)
    units = scale ** np.arange(4)
    found = decide(old, new, rule, paired=True)
    moved = decide((units * old)[:, order], (units * new)[:, order], rule, paired=True)
    assert moved.verdict is found.verdict
    assert moved.seen.regressed == pytest.approx(found.seen.regressed)
    assert moved.seen.task_regressed == pytest.approx(found.seen.task_regressed[list(order)])
