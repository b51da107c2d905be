"""The formulas of deep Q-networks: by hand, against autograd, and what must not change them."""

import difflib
import inspect

import pytest
import torch
from torch.testing import assert_close

from harness_algorithms.blocks import q_learning
from harness_algorithms.blocks.losses import huber

GAMMA = 0.9


def row(reward, discount, action, obs=1.0, next_obs=2.0):
    """A batch of one transition."""
    numbers = [torch.tensor([[number]]) for number in (reward, discount)]
    states = [torch.tensor([[[state]]]) for state in (obs, next_obs)]
    return q_learning.Transition(states[0], torch.tensor([[action]]), *numbers, states[1])


def values_of(obs, *slopes):
    """Q(x, a) = slope of a · x, [S, B, A]."""
    return obs * torch.tensor(slopes)


def batch_of(num_seeds, size, num_actions):
    """Random transitions, a third of which terminate."""
    shape = (num_seeds, size)
    obs = torch.empty(*shape, 1)
    action = torch.randint(num_actions, shape)
    return q_learning.Transition(obs, action, 3 * torch.randn(shape), (torch.rand(shape) > 1 / 3).float(), obs)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (row(reward=1.0, discount=1.0, action=0), 1 + 0.9 * 14 - 3),  # best next is 7 · 2, chosen is 3 · 1
        (row(reward=1.0, discount=1.0, action=1), 1 + 0.9 * 14 - 4),  # as at a time limit, which keeps d = 1
        (row(reward=1.0, discount=0.0, action=1), 1 - 4),  # terminated: nothing follows
        (row(reward=0.0, discount=1.0, action=0, next_obs=-2.0), 0.9 * -10 - 3),  # best next is 5 · −2
    ],
)
def test_the_td_error_is_as_computed_by_hand(batch, expected):
    values, frozen_next = values_of(batch.obs, 3.0, 4.0), values_of(batch.next_obs, 5.0, 7.0)
    error = q_learning.td_error(values, frozen_next, batch, GAMMA)

    assert error.shape == (1, 1)
    assert error.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (row(reward=1.0, discount=1.0, action=0), 1 + 0.9 * 10 - 3),  # 6 · 2 > 1 · 2 chooses 0: 5 · 2
        (row(reward=1.0, discount=0.0, action=1), 1 - 4),  # terminated: nothing follows
        (row(reward=0.0, discount=1.0, action=0, next_obs=-2.0), 0.9 * -14 - 3),  # chooses 1: 7 · −2
    ],
)
def test_the_online_network_chooses_at_the_next_observation_and_the_frozen_one_values(batch, expected):
    values = values_of(batch.obs, 3.0, 4.0)  # at s, action 1 is best: a maximum taken there shows
    next_values, frozen_next = values_of(batch.next_obs, 6.0, 1.0), values_of(batch.next_obs, 5.0, 7.0)
    error = q_learning.double_td_error(values, next_values, frozen_next, batch, GAMMA)

    assert error.item() == pytest.approx(expected)


def test_ties_of_the_online_network_go_to_the_first_action_and_never_to_chance():
    batch = row(reward=0.0, discount=1.0, action=0)
    frozen_next = torch.tensor([[[1.0, 2.0, 3.0]]])
    error = q_learning.double_td_error(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3), frozen_next, batch, GAMMA)

    assert error.item() == pytest.approx(0.9)


def test_double_td_errors_are_td_errors_where_both_networks_agree_and_never_above_them():
    batch = batch_of(2, 50, 4)
    values, next_values, frozen_next = torch.randn(3, 2, 50, 4)
    error = q_learning.td_error(values, frozen_next, batch, GAMMA)

    assert_close(q_learning.double_td_error(values, frozen_next, frozen_next, batch, GAMMA), error)
    assert (q_learning.double_td_error(values, next_values, frozen_next, batch, GAMMA) <= error).all()


def test_the_two_td_errors_differ_only_in_the_next_value():
    def code(function):
        lines = inspect.getsource(function).split('"""')
        return [line.strip() for line in lines[2].splitlines()]

    changes = difflib.ndiff(code(q_learning.td_error), code(q_learning.double_td_error))

    assert [change for change in changes if change[0] in "+-"] == [
        "- best_next = frozen_next.amax(2)",
        "+ best_next = of_action(frozen_next, next_values.max(2).indices)",
    ]


def test_the_online_networks_choice_gets_no_gradient():
    values, next_values = torch.randn(1, 5, 3, requires_grad=True), torch.randn(1, 5, 3, requires_grad=True)
    q_learning.double_td_error(values, next_values, torch.randn(1, 5, 3), batch_of(1, 5, 3), GAMMA).sum().backward()

    assert values.grad is not None and next_values.grad is None


@pytest.mark.parametrize(("weighted", "threshold"), [(False, 1.0), (True, 1.0), (False, 1.5), (True, None)])
def test_the_loss_gradient_is_the_derivative_of_the_huber_loss_averaged_over_the_batch(weighted, threshold):
    num_seeds, size, num_actions = 2, 50, 3
    values = torch.randn(num_seeds, size, num_actions, requires_grad=True)
    batch = batch_of(num_seeds, size, num_actions)
    weight = torch.rand(num_seeds, size) if weighted else None
    error = q_learning.td_error(values, torch.randn(num_seeds, size, num_actions), batch, GAMMA)
    (huber(error, threshold) * (1 if weight is None else weight)).mean(1).sum().backward()

    assert threshold is None or ((error.abs() > threshold).any() and (error.abs() < threshold).any())
    gradient = q_learning.huber_loss_gradient(error.detach(), batch.action, num_actions, threshold, weight)
    assert_close(gradient, values.grad)


def test_errors_are_clipped_in_the_gradient_not_to_zero_outside():
    error, action = torch.tensor([[-5.0, 0.5, 5.0]]), torch.zeros(1, 3, dtype=torch.int64)
    gradient = q_learning.huber_loss_gradient(error, action, num_actions=1, threshold=1.0)

    assert_close(gradient.flatten(), torch.tensor([1.0, -0.5, -1.0]) / 3)


def test_epsilon_is_the_probability_of_a_uniform_action():
    uniforms = torch.tensor([[[0.29, 0.0], [0.29, 0.51], [0.29, 0.999], [0.31, 0.0]]])  # [1, 4, 2]

    actions = q_learning.epsilon_greedy(torch.full((1, 4), 1), num_actions=4, epsilon=0.3, uniforms=uniforms)

    assert actions.tolist() == [[0, 2, 3, 1]]


def test_dueling_values_take_the_mean_over_actions_and_not_over_the_batch():
    value = torch.tensor([[[10.0], [20.0]]])  # [1, 2, 1]
    advantages = torch.tensor([[[1.0, 3.0], [-5.0, 5.0]]])  # [1, 2, 2]

    assert q_learning.dueling_values(value, advantages).tolist() == [[[9.0, 11.0], [15.0, 25.0]]]


def test_v_is_the_mean_of_dueling_values_and_no_constant_of_the_advantages_shows():
    value, advantages = torch.randn(2, 5, 1), torch.randn(2, 5, 4)
    values = q_learning.dueling_values(value, advantages)

    assert_close(values.mean(2, keepdim=True), value)
    assert_close(q_learning.dueling_values(value, advantages + torch.randn(2, 5, 1)), values)
