"""The tabular maths: pure functions against closed forms, and properties on arbitrary values."""

from collections import Counter

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_algorithms import dyna_q, expected_sarsa, nstep_sarsa, q_learning, sarsa, sarsa_lambda
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Transition, epsilon_greedy, move_, returns, td_target, zero_table
from harness_algorithms.random import batch_size

VALUES = st.floats(-1e6, 1e6)
SCHEDULED = st.floats(0, 1e6)
SHARES = st.floats(0, 1)
CONTINUES = st.sampled_from([0.0, 1.0])
ROWS = st.lists(VALUES, min_size=1, max_size=6)


@st.composite
def transitions(draw, discount=CONTINUES):
    """A step between two states of two actions each."""
    return Transition(0, draw(st.integers(0, 1)), draw(VALUES), draw(discount), 1)


@settings(deadline=None)
@given(start=SCHEDULED, end=SCHEDULED, until=SHARES)
def test_a_linear_schedule_is_exact_at_both_ends(start, end, until):
    schedule = Linear(start, end, until)

    assert schedule(0.0) == (start if until > 0 else end)
    assert schedule(until) == end
    assert schedule(1.0) == end


def test_a_linear_schedule_is_half_way_at_half_time():
    assert Linear(1.0, 0.0, until=0.5)(0.25) == 0.5


@settings(deadline=None)
@given(value=SCHEDULED, progress=SHARES)
def test_a_linear_schedule_with_equal_ends_is_constant(value, progress):
    assert Linear(value, value)(progress) == value


@pytest.mark.parametrize("until", [-0.1, 1.1, float("nan")])
def test_a_schedule_that_ends_outside_training_is_refused(until):
    with pytest.raises(ValueError, match="share of the budget"):
        Linear(1.0, 0.0, until)


@settings(deadline=None)
@given(row=ROWS, seed=st.integers(0, 2**32 - 1))
def test_without_exploration_the_action_is_a_best_one(row, seed):
    action = epsilon_greedy(row, 0.0, np.random.default_rng(seed))

    assert row[action] == max(row)


@settings(deadline=None)
@given(row=ROWS, epsilon=SHARES, seed=st.integers(0, 2**32 - 1))
def test_actions_exist(row, epsilon, seed):
    assert epsilon_greedy(row, epsilon, np.random.default_rng(seed)) in range(len(row))


def test_ties_are_broken_evenly_and_only_among_the_best():
    rng = np.random.default_rng(0)
    counts = Counter(epsilon_greedy([1.0, 0.0, 1.0, 1.0], 0.0, rng) for _ in range(6_000))

    assert set(counts) == {0, 2, 3}
    assert all(abs(count - 2_000) < 5 * np.sqrt(6_000 * 2 / 9) for count in counts.values())


def test_epsilon_is_the_probability_of_a_uniform_action():
    rng = np.random.default_rng(0)
    best = sum(epsilon_greedy([0.0, 1.0, 0.0, 0.0], 0.4, rng) == 1 for _ in range(10_000))

    assert abs(best - 7_000) < 5 * np.sqrt(10_000 * 0.7 * 0.3)  # 0.6 + 0.4 / 4


@settings(deadline=None)
@given(step=transitions(st.just(0.0)), next_value=VALUES, discount=SHARES)
def test_nothing_follows_termination(step, next_value, discount):
    assert td_target(step, next_value, discount) == step.reward


@settings(deadline=None)
@given(step=transitions(), tail=VALUES, discount=SHARES)
def test_a_return_over_one_step_is_the_td_target(step, tail, discount):
    assert returns([step], tail, discount) == [td_target(step, tail, discount)]


@settings(deadline=None)
@given(rewards=st.lists(VALUES, max_size=8), tail=VALUES, discount=SHARES)
def test_returns_are_discounted_sums(rewards, tail, discount):
    steps = [Transition(0, 0, reward, 1.0, 0) for reward in rewards]
    series = [*rewards, tail]
    expected = [sum(discount**k * value for k, value in enumerate(series[t:])) for t in range(len(rewards))]

    assert returns(steps, tail, discount) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_returns_of_integer_rewards_are_not_truncated():
    steps = [Transition(0, 0, 1, 1.0, 0), Transition(0, 0, 1, 0.0, 0)]

    assert returns(steps, 0.0, 0.5) == [1.5, 1.0]


@settings(deadline=None)
@given(step=transitions(), value=VALUES, target=VALUES, learning_rate=SHARES)
def test_a_move_goes_the_learning_rate_s_share_of_the_way_and_touches_one_pair(step, value, target, learning_rate):
    q = [[value, value], [value, value]]
    move_(q, step, target, learning_rate)

    assert q[0][step.action] == pytest.approx((1 - learning_rate) * value + learning_rate * target, abs=1e-6)
    assert [q[0][1 - step.action], *q[1]] == [value] * 3


@settings(deadline=None)
@given(q=st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=5), data=st.data())
def test_the_greedy_policy_takes_the_lowest_best_action_of_every_row(q, data):
    obs = data.draw(st.lists(st.integers(0, len(q) - 1), max_size=6))
    actions = Greedy(q)(np.array(obs, np.int64))

    assert actions.dtype == np.int64
    assert actions.tolist() == [int(np.argmax(q[state])) for state in obs]


def test_the_greedy_policy_reads_the_live_table():
    q = [[0.0, 1.0]]
    policy = Greedy(q)
    before = policy(np.array([0]))
    q[0][0] = 2.0

    assert (before.item(), policy(np.array([0])).item()) == (1, 0)


def test_rows_of_a_zero_table_are_not_shared():
    q = zero_table(gymnasium.make("FrozenLake-v1"))
    q[0][0] = 1.0

    assert (len(q), len(q[0]), q[1][0]) == (16, 4, 0.0)


class CountsFromOne(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(3, start=1)
    action_space = gymnasium.spaces.Discrete(2)


@pytest.mark.parametrize("env", [CountsFromOne(), gymnasium.make("CartPole-v1")])
def test_a_table_is_refused_for_spaces_it_cannot_hold(env):
    with pytest.raises(ValueError, match="Discrete spaces that count from 0"):
        zero_table(env)


@settings(deadline=None)
@given(row=ROWS, epsilon=SHARES)
def test_the_expected_value_is_the_mean_under_the_epsilon_greedy_policy(row, epsilon):
    policy = np.full(len(row), epsilon / len(row))
    policy[np.argmax(row)] += 1 - epsilon

    assert expected_sarsa.expected_value(row, epsilon) == pytest.approx(policy @ row, abs=1e-6)


@settings(deadline=None)
@given(row=st.lists(VALUES, min_size=2, max_size=2), step=transitions(), discount=SHARES)
def test_targets_differ_only_in_the_value_of_the_successor(row, step, discount):
    q = [[0.0, 0.0], row]
    best = row.index(max(row))
    expected = td_target(step, max(row), discount)

    assert q_learning.target(q, step, discount) == expected
    assert sarsa.target(q, step, best, discount) == expected
    assert expected_sarsa.target(q, step, 0.0, discount) == expected


def test_traces_spread_one_error_backwards_and_keep_one_action_per_state():
    q = [[0.0, 0.0] for _ in range(4)]
    traces = {}
    config = sarsa_lambda.Config(discount=0.5, learning_rate=0.5, lambda_=0.5)
    path = [(0, 0, 1), (1, 0, 1), (1, 1, 2)]  # action 1 in state 1 replaces the trace of action 0
    for obs, action, next_obs in path:
        sarsa_lambda.learn_(q, traces, Transition(obs, action, 0.0, 1.0, next_obs), 0, config)
    sarsa_lambda.learn_(q, traces, Transition(2, 0, 8.0, 0.0, 3), 0, config)

    assert q == [[4.0 / 64, 0.0], [0.0, 4.0 / 4], [4.0, 0.0], [0.0, 0.0]]


def test_a_model_keeps_the_latest_step_of_each_pair_and_recalls_them_all():
    model = dyna_q.Model()
    old, new, other = (Transition(0, 1, reward, 1.0, 0) for reward in (1.0, 2.0, 3.0))
    other = other._replace(action=0)
    for step in (old, other, new):
        model.remember(step)

    assert model.steps == [new, other]
    assert set(model.recall(50, np.random.default_rng(0))) == {new, other}
    assert model.recall(0, np.random.default_rng(0)) == []


def test_n_below_one_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        nstep_sarsa.Config(n=0)


def test_a_batch_of_nested_observations_is_counted_by_its_first_part():
    assert batch_size(np.zeros((3, 2))) == 3
    assert batch_size(({"x": np.zeros((4, 2)), "y": np.zeros(4)}, np.zeros(4))) == 4
