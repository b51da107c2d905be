"""Imagined rollouts: a linear world in closed form, terminations, limits, and who sees which model."""

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from harness_algorithms.blocks.imagination import imagine, unfit

SEEDS, MODELS, BATCH, HORIZON = 2, 3, 4, 12
FACTORS = torch.tensor([0.5, 0.9, 1.1]).view(1, MODELS, 1, 1)  # of the models: s′ = f s + a
FREE = SimpleNamespace(
    reward_fn=lambda obs, action, next_obs: -next_obs[..., 0],
    termination_fn=lambda obs, action, next_obs: torch.zeros_like(obs[..., 0], dtype=torch.bool),
)


def starts(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 1 + torch.rand(SEEDS, MODELS, BATCH, 1, generator=generator, dtype=torch.float64)


def linear(obs, action):
    return FACTORS * obs + action


def feedback(gain, noise=None):
    """a = −gain s, and the environment is given half of that."""

    def act(obs):
        action = -gain * obs
        return action, action / 2

    return act


def test_trajectories_of_a_linear_world_are_powers():
    """With a = −0.4 s, halved on its way, s is s₀ (f − 0.2)ᵗ, and the rewards are a geometric series."""
    first = starts()
    dream = imagine(feedback(0.4), linear, FREE, first, HORIZON, 1e9)
    time = torch.arange(HORIZON, dtype=torch.float64).view(1, 1, 1, -1)
    factor = (FACTORS - 0.2).double()
    states = first * factor**time
    geometric = factor * (1 - factor**HORIZON) / (1 - factor)

    torch.testing.assert_close(dream.obs[..., 0], states)
    torch.testing.assert_close(dream.next_obs[..., 0], states * factor)
    torch.testing.assert_close(dream.action[..., 0], -0.4 * states)
    torch.testing.assert_close(dream.returns, -(first * geometric)[..., 0])
    assert dream.alive.all()
    assert (dream.discount == 1).all()
    assert {field.shape[:4] for field in dream} == {(SEEDS, MODELS, BATCH, HORIZON)}


def test_the_steps_told_are_those_that_the_models_of_one_seed_took():
    calls = []

    def counted(obs, action):
        calls.append(obs[0, ..., 0].numel())
        return linear(obs, action)

    known = SimpleNamespace(
        reward_fn=FREE.reward_fn, termination_fn=lambda obs, action, next_obs: next_obs[..., 0] < 0.5
    )
    dream = imagine(feedback(0.0), counted, known, starts(), HORIZON, 10.0)

    assert not dream.alive.all()
    assert dream.steps == sum(calls) == MODELS * BATCH * HORIZON


def test_nothing_is_summed_after_a_predicted_termination():
    """The first model halves s, so s falls below ½ after two or three steps; that step's reward still counts."""
    known = SimpleNamespace(
        reward_fn=lambda obs, action, next_obs: torch.ones_like(obs[..., 0]),
        termination_fn=lambda obs, action, next_obs: next_obs[..., 0] < 0.5,
    )
    dream = imagine(feedback(0.0), linear, known, starts(), HORIZON, 1e9)
    crossed = dream.next_obs[..., 0] < 0.5
    ended_before = crossed.cumsum(3) - crossed.long() > 0

    assert torch.equal(dream.alive, ~ended_before)
    assert torch.equal(dream.discount == 0, crossed)
    assert torch.equal(dream.reward, dream.alive.to(dream.reward.dtype))
    lengths = dream.returns[:, 0]
    torch.testing.assert_close(lengths, torch.floor(1 + (starts()[:, 0, :, 0] / 0.5).log2()))
    assert (dream.returns[:, 2] == HORIZON).all()


def test_a_reward_that_is_no_number_after_the_end_is_not_counted():
    known = SimpleNamespace(
        reward_fn=lambda obs, action, next_obs: (obs[..., 0] - 0.5).sqrt(),
        termination_fn=lambda obs, action, next_obs: next_obs[..., 0] < 0.5,
    )
    dream = imagine(feedback(0.0), linear, known, starts(), HORIZON, 1e9)

    assert dream.returns.isfinite().all()


@pytest.mark.parametrize("limit", [3.0, 1000.0])
def test_imagined_observations_are_clipped(limit):
    def explodes(obs, action):
        return -10 * obs

    dream = imagine(feedback(0.0), explodes, FREE, starts(), HORIZON, limit)

    assert dream.next_obs.abs().max() == limit
    assert torch.equal(dream.obs[:, :, :, 1:], dream.next_obs[:, :, :, :-1])
    assert dream.reward.abs().max() == limit  # told of the clipped one


def test_rewards_and_terminations_are_the_same_functions_for_every_model():
    """Three equal models give three equal trajectories from equal starts."""
    first = starts()[:, :1].expand(-1, MODELS, -1, -1)
    asked = []

    def reward(obs, action, next_obs):
        asked.append(obs.shape)
        return -(next_obs.square() + action.square())[..., 0]

    known = SimpleNamespace(reward_fn=reward, termination_fn=FREE.termination_fn)
    dream = imagine(feedback(0.4), lambda obs, action: 0.9 * obs + action, known, first, HORIZON, 1e9)

    assert asked == [(SEEDS, MODELS, BATCH, 1)] * HORIZON
    for field in dream:
        assert torch.equal(field[:, 0], field[:, 1])
        assert torch.equal(field[:, 0], field[:, 2])


def test_nothing_imagined_is_followed_by_autograd():
    weight = torch.ones(1, requires_grad=True)
    dream = imagine(
        lambda obs: (weight * obs, obs), lambda obs, action: weight * linear(obs, action), FREE, starts(), 3, 9
    )

    assert not any(field.requires_grad for field in dream)


def test_frames_and_unbounded_actions_are_refused_by_name():
    row, table, frames = (gymnasium.spaces.Box(-1, 1, shape, np.float32) for shape in ((3,), (2, 3), (3, 8, 8)))
    unbounded = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    pixels = gymnasium.spaces.Box(0, 255, (3,), np.uint8)

    assert unfit(row, row) == ""
    assert "no row of reals" in unfit(frames, row)
    assert "no row of reals" in unfit(pixels, row)
    assert "one axis" in unfit(row, table)
    assert "bounded" in unfit(row, unbounded)
