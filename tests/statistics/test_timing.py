"""When a commit is slower: exact against enumeration, and silent where the machine is too noisy to tell."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics.timing import MOST_PAIRS, Speed, Timing, bounds, overall, slowdowns, timings

RNG = np.random.default_rng(0)
QUIET = np.exp(RNG.normal(0, 0.005, (6, 2)))


def test_twenty_percent_more_time_is_slower_and_the_other_task_passes():
    slowed, same = timings(np.ones((6, 2)), QUIET * [1.2, 1.0], QUIET[::-1])
    assert slowed.verdict is Speed.SLOWER
    assert slowed.ratio == pytest.approx(1.2, rel=0.01)
    assert slowed.low < slowed.ratio < slowed.high
    assert slowed.p == pytest.approx(1 / 64, abs=1 / 64)  # the smallest p, or one more choice of signs reaches it
    assert same.verdict is Speed.PASSED
    assert overall([slowed, same]) is Speed.SLOWER


def test_two_percent_more_time_is_not_worth_a_verdict_however_certain():
    (task,) = timings(np.ones((6, 1)), np.full((6, 1), 1.02), np.ones((6, 1)))
    assert task.p == 1 / 64
    assert task.verdict is Speed.PASSED


def test_less_time_passes():
    assert all(t.verdict is Speed.PASSED for t in timings(np.ones((6, 2)), QUIET * 0.5, QUIET))


@pytest.mark.parametrize("factor", [1.0, 1.5], ids=["same", "slower"])
@pytest.mark.parametrize("noise", [1.06, 1 / 1.06], ids=["slow_control", "fast_control"])
def test_a_noisy_control_leads_to_inconclusive_whatever_else_was_measured(factor: float, noise: float):
    assert timings(np.ones((6, 2)), QUIET, QUIET)[0].verdict is not Speed.INCONCLUSIVE
    noisy = timings(np.ones((6, 2)), QUIET * factor, QUIET * noise)
    assert {task.verdict for task in noisy} == {Speed.INCONCLUSIVE}
    assert overall(noisy) is Speed.INCONCLUSIVE


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=12, max_size=12))
def test_a_control_never_turns_a_verdict_into_the_other(logs: list[float]):
    old, new = np.ones((6, 2)), QUIET * [1.2, 1.0]
    for plain, noisy in zip(timings(old, new, old), timings(old, new, np.exp(np.reshape(logs, (6, 2)))), strict=True):
        assert noisy.verdict in (plain.verdict, Speed.INCONCLUSIVE)


def test_pairs_that_disagree_are_inconclusive():
    (task,) = timings(np.ones((6, 1)), np.array([[0.7], [1.4], [0.8], [1.5], [0.9], [1.2]]), np.ones((6, 1)))
    assert task.verdict is Speed.INCONCLUSIVE


def test_four_pairs_are_too_few_for_any_verdict():
    assert bounds([1.0, 1.0, 1.0, 1.0], 0.05) == (-np.inf, np.inf)
    (task,) = timings(np.ones((4, 1)), np.full((4, 1), 2.0), np.ones((4, 1)))
    assert task.verdict is Speed.INCONCLUSIVE


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=5, max_size=7, unique=True))
def test_bounds_are_where_flipping_signs_begins_to_reject(values: list[int]):
    """A second implementation: invert the test by trying centres on both sides of each bound."""

    def p_below(centre: float) -> float:
        """That the centre is at least this, against less."""
        shifted = np.array(values, float) - centre
        sums = [np.dot(signs, np.abs(shifted)) for signs in product([1, -1], repeat=len(values))]
        return float(np.mean(np.array(sums) <= shifted.sum() + 1e-9))

    low, high = bounds(values, 0.05)
    assert p_below(high + 1e-3) <= 0.05
    assert p_below(high - 1e-3) > 0.05
    mirrored = bounds([-value for value in values], 0.05)
    assert (low, high) == pytest.approx((-mirrored[1], -mirrored[0]))


def test_more_pairs_than_can_be_enumerated_are_refused():
    with pytest.raises(ValueError, match="at most"):
        bounds(np.zeros(MOST_PAIRS + 1), 0.05)


def test_signs_are_flipped_for_all_tasks_of_a_pair_together():
    change = np.array([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]])
    statistics = slowdowns(change)
    assert statistics.shape == (8, 2)
    assert statistics[:, 0] == pytest.approx(-statistics[:, 1])


def test_equal_sides_are_seldom_called_slower():
    """Of 400 gates with 3 tasks and 2 % of noise, at most 5 % and a sampling error may alarm."""
    alarms = 0
    for _ in range(400):
        old, new, again = np.exp(RNG.normal(0, 0.02, (3, 6, 3)))
        alarms += overall(timings(old, new, again, noticed=1e-9)) is Speed.SLOWER
    assert alarms <= 0.05 * 400 + 2 * np.sqrt(400 * 0.05 * 0.95)


def test_all_tasks_must_pass():
    passed = Timing(1, 1, 1, 1, 1, Speed.PASSED)
    assert overall([passed, passed]) is Speed.PASSED
    assert overall([passed, passed._replace(verdict=Speed.INCONCLUSIVE)]) is Speed.INCONCLUSIVE
    assert overall([]) is Speed.INCONCLUSIVE
