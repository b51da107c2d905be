"""Transitions over several steps: numbers by hand, and their definition as a loop over Python floats."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_algorithms.blocks.nstep import NStepWindow


class Transition(NamedTuple):
    """One step, fields [S, N, ...]; observations are byte images."""

    obs: torch.Tensor
    action: torch.Tensor
    reward: torch.Tensor
    discount: torch.Tensor
    next_obs: torch.Tensor


def image(number):
    """Byte images [..., 2, 2] that show a number."""
    return torch.as_tensor(number).to(torch.uint8)[..., None, None].expand(*torch.as_tensor(number).shape, 2, 2)


def steps_of(reward, terminated, truncated):
    """Transitions and ends from arrays [T, S, N]; step t leads from image t to image t + 100."""
    for t in range(len(reward)):
        number = torch.full(reward.shape[1:], t)
        discount = (~terminated[t]).to(reward.dtype)
        record = Transition(image(number), number, reward[t], discount, image(number + 100))
        yield record, terminated[t] | truncated[t]


def pushed(window, reward, terminated, truncated):
    return [window.push(record, ended) for record, ended in steps_of(reward, terminated, truncated)]


def column(*numbers):
    return torch.tensor(numbers)[:, None, None]  # [T, 1, 1]


def never(*shape):
    return torch.zeros(shape, dtype=torch.bool)


def summary(transition):
    """Start, reward, discount and successor of a transition [1, 1]."""
    fields = transition.action, transition.reward, transition.discount, transition.next_obs[..., 1, 1]
    return tuple(float(field) for field in fields)


def test_three_steps_by_hand():
    out = pushed(NStepWindow(3, 0.5), column(1.0, 2.0, 4.0, 8.0), never(4, 1, 1), never(4, 1, 1))

    assert out[:2] == [None, None]
    assert [summary(x) for x in out[2:]] == [(0, 1 + 1 + 1, 0.125, 102), (1, 2 + 2 + 2, 0.125, 103)]


def test_a_termination_cuts_the_sum_and_leaves_no_discount():
    terminated = column(0, 1, 0, 0, 0).bool()
    out = pushed(NStepWindow(3, 0.5), column(1.0, 2.0, 4.0, 8.0, 16.0), terminated, never(5, 1, 1))

    assert [summary(x) for x in out[2:]] == [(0, 2, 0, 101), (1, 2, 0, 101), (2, 4 + 4 + 4, 0.125, 104)]


def test_a_time_limit_cuts_the_sum_and_discounts_the_true_successor():
    truncated = column(0, 1, 0, 0, 0).bool()
    out = pushed(NStepWindow(3, 0.5), column(1.0, 2.0, 4.0, 8.0, 16.0), never(5, 1, 1), truncated)

    assert [summary(x) for x in out[2:]] == [(0, 2, 0.25, 101), (1, 2, 0.5, 101), (2, 12, 0.125, 104)]


def test_the_earliest_of_two_ends_counts():
    truncated, terminated = column(1, 0, 0).bool(), column(0, 1, 0).bool()
    out = pushed(NStepWindow(3, 0.5), column(1.0, 2.0, 4.0), terminated, truncated)

    assert summary(out[2]) == (0, 1, 0.5, 100)


def test_one_step_is_the_transition_with_its_discount_applied():
    reward = column(1.0, 2.0)
    out = pushed(NStepWindow(1, 0.5), reward, column(0, 1).bool(), never(2, 1, 1))

    assert [summary(x) for x in out] == [(0, 1, 0.5, 100), (1, 2, 0, 101)]


def test_the_first_step_keeps_its_observation_and_action_and_images_stay_bytes():
    out = pushed(NStepWindow(2, 0.9), torch.ones(3, 2, 3), never(3, 2, 3), never(3, 2, 3))[-1]

    assert torch.equal(out.obs, image(torch.ones(2, 3)))
    assert torch.equal(out.action, torch.ones(2, 3, dtype=torch.int64))
    assert out.next_obs.dtype == torch.uint8 and out.next_obs.shape == (2, 3, 2, 2)


@pytest.mark.parametrize("steps", [1, 3])
def test_what_was_pushed_is_not_changed(steps):
    window, rows = (NStepWindow(steps, 0.5), list(steps_of(torch.ones(5, 2, 1), never(5, 2, 1), never(5, 2, 1))))
    before = [[field.clone() for field in record] for record, _ in rows]
    for record, ended in rows:
        window.push(record, ended)

    for fields, (record, _) in zip(before, rows, strict=True):
        assert all(torch.equal(old, new) for old, new in zip(fields, record, strict=True))


@given(st.integers(1, 5), st.integers(0, 2**16), st.sampled_from([0.0, 0.2, 0.6, 1.0]))
@settings(max_examples=80, deadline=None)
def test_transitions_are_their_definition_for_every_seed_and_copy(steps, seed, ends):
    shape, discount = (9, 2, 3), 0.9
    generator = torch.Generator().manual_seed(seed)
    reward = torch.randn(shape, generator=generator, dtype=torch.float64)
    terminated = torch.rand(shape, generator=generator) < ends / 2
    truncated = torch.rand(shape, generator=generator) < ends / 2
    out = pushed(NStepWindow(steps, discount), reward, terminated, truncated)

    assert out[: steps - 1] == [None] * (steps - 1)
    for first, transition in enumerate(out[steps - 1 :]):
        for s in range(shape[1]):
            for n in range(shape[2]):
                total, weight = 0.0, 1.0
                for t in range(first, first + steps):
                    total += weight * float(reward[t, s, n])
                    weight *= discount
                    if terminated[t, s, n]:
                        weight = 0.0
                    if terminated[t, s, n] or truncated[t, s, n]:
                        break
                assert float(transition.reward[s, n]) == pytest.approx(total)
                assert float(transition.discount[s, n]) == pytest.approx(weight)
                assert int(transition.action[s, n]) == first
                assert bool((transition.next_obs[s, n] == t + 100).all())
