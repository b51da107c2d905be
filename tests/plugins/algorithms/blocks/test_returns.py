"""Returns and advantages: numbers by hand, and the definitions as double loops over Python floats."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_algorithms.blocks.returns import discounted_returns, gae, standardised

GAMMA = 0.5


def column(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)[:, None, None]  # [T, 1, 1]


def marks(*flags):
    return torch.tensor(flags).bool()[:, None, None]


@st.composite
def rollouts(draw):
    """Reward, discount, ended, value and next_value [T, S, N]; episodes end by termination, time limit or not."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 2), st.integers(1, 2)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    ends = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    terminated = ends & (torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.5, 1.0])))
    reward, value, next_value = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    discount = draw(st.sampled_from([0.0, 0.9, 1.0])) * (~terminated).double()
    return reward, discount, ends, value, next_value


def columns(*tensors):
    """Every [T] column of tensors [T, S, N], as lists of Python numbers, with its position."""
    _, num_seeds, copies = tensors[0].shape
    for s in range(num_seeds):
        for n in range(copies):
            yield (s, n), [tensor[:, s, n].tolist() for tensor in tensors]


def partial_return(first, limit, reward, discount, ended, next_value):
    """The sum of rewards from row ``first``, over at most ``limit`` rows, and the value behind them."""
    total, weight = 0.0, 1.0
    for t in range(first, len(reward)):
        total += weight * reward[t]
        weight *= discount[t]
        if ended[t] or t - first + 1 == limit or t == len(reward) - 1:
            return total + weight * next_value[t]
    raise AssertionError


# ---- discounted returns


def test_discounted_returns_by_hand():
    # two steps and a termination; one step and a time limit, whose successor is worth 8; two steps, then the cut
    returns = discounted_returns(
        column(1, 2, 4, 6, 10), column(GAMMA, 0, GAMMA, GAMMA, GAMMA), marks(0, 1, 1, 0, 0), column(99, 99, 8, 99, 20)
    )

    assert returns.flatten().tolist() == [2, 2, 8, 16, 20]


@given(rollouts())
@settings(max_examples=60, deadline=None)
def test_discounted_returns_are_their_definition(rollout):
    reward, discount, ended, _, next_value = rollout
    returns = discounted_returns(reward, discount, ended, next_value)

    for (s, n), series in columns(reward, discount, ended, next_value):
        expected = [partial_return(t, None, *series) for t in range(len(reward))]
        assert returns[:, s, n].tolist() == pytest.approx(expected)


def test_returns_where_every_row_ends_are_one_step_targets():
    reward, discount, value = column(1, 2), column(GAMMA, 0), column(4, 6)

    assert discounted_returns(reward, discount, marks(1, 1), value).flatten().tolist() == [3, 2]


def test_the_marks_of_ends_are_not_changed():
    ended = marks(0, 0)
    discounted_returns(column(1, 2), column(1, 1), ended, column(0, 0))

    assert not ended.any()


# ---- generalised advantages


def test_gae_by_hand():
    # δ: 1 + 2 − 3, 2 − 4 (terminated), 3 + 1 − 1 (time limit), 5 + 2 − 1
    advantage = gae(
        column(1, 2, 3, 5),
        column(GAMMA, 0, GAMMA, GAMMA),
        marks(0, 1, 1, 0),
        value=column(3, 4, 1, 1),
        next_value=column(4, 99, 2, 4),
        lambda_=0.5,
    )

    assert advantage.flatten().tolist() == [0 - 0.25 * 2, -2, 3, 6]


@given(rollouts(), st.sampled_from([0.0, 0.3, 0.95, 1.0]))
@settings(max_examples=60, deadline=None)
def test_gae_is_the_weighted_sum_of_td_errors(rollout, lambda_):
    reward, discount, ended, value, next_value = rollout
    advantage = gae(*rollout, lambda_)

    for (s, n), (r, d, end, v, next_v) in columns(reward, discount, ended, value, next_value):
        for first in range(len(r)):
            total, weight = 0.0, 1.0
            for t in range(first, len(r)):
                total += weight * (r[t] + d[t] * next_v[t] - v[t])
                if end[t]:
                    break
                weight *= d[t] * lambda_
            assert float(advantage[first, s, n]) == pytest.approx(total)


@given(rollouts())
@settings(max_examples=60, deadline=None)
def test_gae_with_lambda_one_is_the_return_less_the_value(rollout):
    reward, discount, ended, value, next_value = rollout
    next_value[:-1] = torch.where(ended[:-1], next_value[:-1], value[1:])  # one network values both
    advantage = gae(reward, discount, ended, value, next_value, 1.0)

    torch.testing.assert_close(advantage + value, discounted_returns(reward, discount, ended, next_value))


@given(rollouts())
@settings(max_examples=60, deadline=None)
def test_gae_with_lambda_zero_is_the_td_error(rollout):
    reward, discount, _, value, next_value = rollout
    advantage = gae(*rollout, 0.0)

    torch.testing.assert_close(advantage, reward + discount * next_value - value)


def test_a_time_limit_bootstraps_and_a_termination_does_not():
    reward, ended, value, next_value = column(1), marks(1), column(0), column(10)

    assert float(gae(reward, column(GAMMA), ended, value, next_value, 0.9)) == 6
    assert float(gae(reward, column(0), ended, value, next_value, 0.9)) == 1
    assert float(discounted_returns(reward, column(GAMMA), ended, next_value)) == 6
    assert float(discounted_returns(reward, column(0), ended, next_value)) == 1


def test_nothing_flows_from_the_next_episode_into_the_one_before():
    reward = column(1, 1, 1, 1)
    rest = column(1, 1, 1, 1), marks(0, 1, 0, 0), column(0, 0, 0, 0)
    before = discounted_returns(reward, *rest), gae(reward, *rest, rest[2], 0.9)
    reward[2:] = 1e6
    after = discounted_returns(reward, *rest), gae(reward, *rest, rest[2], 0.9)

    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[:2], new[:2])
        assert not torch.equal(old[2:], new[2:])


def test_integer_rewards_are_not_truncated():
    reward, discount, value = column(1, 1).long(), column(1, 1).long(), column(2, 3).long()

    assert gae(reward, discount, marks(0, 0), value, value, 0.5).flatten().tolist() == [1.5, 1.0]
    assert discounted_returns(reward, discount, marks(0, 0), value).is_floating_point()


# ---- standardisation


def test_standardised_by_hand():
    x = torch.tensor([[1.0, 3.0], [2.0, 2.0]])

    torch.testing.assert_close(standardised(x, 1), torch.tensor([[-1.0, 1.0], [0.0, 0.0]]))
    torch.testing.assert_close(standardised(x, (0, 1)), torch.tensor([[-1.0, 1.0], [0.0, 0.0]]) * 2**0.5)


@pytest.mark.parametrize("number", [0.0, 0.1, -1e6, 3e-9])
def test_equal_numbers_are_standardised_to_zeros(number):
    x = torch.full((1001, 2), number)

    assert torch.equal(standardised(x, 0), torch.zeros(1001, 2))


def test_a_single_number_is_standardised_to_zero():
    assert float(standardised(torch.tensor([7.0]), 0)) == 0


def test_integers_are_standardised_as_floats():
    assert standardised(torch.tensor([0, 1]), 0).tolist() == pytest.approx([-1, 1])


def test_standardised_numbers_have_mean_zero_and_deviation_one_per_seed():
    x = 1000 + 3 * torch.randn(20, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = standardised(x, (0, 2))  # [T, S, N]: over time and copies, never over seeds

    torch.testing.assert_close(z.mean((0, 2)), torch.zeros(3).double())
    torch.testing.assert_close(z.std((0, 2), correction=0), torch.ones(3).double())
