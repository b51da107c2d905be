"""Policies, rollouts and minibatches: what is stored, in which order, and what a seed's depends on."""

from typing import NamedTuple

import gymnasium
import numpy as np
import pytest
import torch

import harness_environments
from harness_algorithms.blocks.policies import stochastic_policy
from harness_algorithms.blocks.rollouts import by_seed, by_time, collect, minibatches
from harness_algorithms.blocks.streams import Normals, Uniforms
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
REALS = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
DISCRETE = gymnasium.spaces.Discrete(4)
BOX = gymnasium.spaces.Box(np.array([-1, -2], np.float32), np.array([1, 0.5], np.float32))


def generators(seeds=(0, 1, 2)):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def rollout(environment, seeds=(0, 1, 2), copies=2, length=30, budget=1_000):
    """A rollout of an untrained policy, and what came after it."""
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, lockstep=True)
    env = trial.make_lockstep_env(copies)
    policy = stochastic_policy(
        env.single_observation_space, env.single_action_space, (8,), trial.generators("initialisation")
    )
    trial.policy = lambda obs: policy.bounded(policy(obs).mode)
    noise = policy.noise(trial.generators("policy"), copies)
    result, obs = collect(env, policy, noise, env.reset(), length)
    trial.close()
    return result, obs, policy


class Pair(NamedTuple):
    number: torch.Tensor
    row: torch.Tensor


@pytest.mark.parametrize(("action_space", "shape"), [(DISCRETE, (3, 5)), (BOX, (3, 5, 2))])
def test_a_policy_acts_for_every_seed_and_copy(action_space, shape):
    policy = stochastic_policy(REALS, action_space, (8,), generators())
    noise = policy.noise(generators(), copies=5)
    distribution = policy(torch.randn(3, 5, 3))
    action = distribution.sample(noise())

    assert action.shape == distribution.mode.shape == shape
    assert distribution.log_prob(action).shape == (3, 5)
    assert all(parameter.shape[0] == 3 for parameter in policy.parameters)
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in policy.parameters)


def test_the_environment_gets_the_action_within_its_own_bounds():
    policy = stochastic_policy(REALS, BOX, (8,), generators())

    assert policy.bounded(torch.tensor([5.0, 5.0])).tolist() == [1, 0.5]
    assert policy.bounded(torch.tensor([-5.0, -5.0])).tolist() == [-1, -2]
    assert policy.bounded(torch.tensor([0.25, -0.25])).tolist() == [0.25, -0.25]


def test_the_deviation_of_a_gaussian_policy_is_each_seeds_own_and_learns():
    policy = stochastic_policy(REALS, BOX, (8,), generators(), log_std=-0.5)
    policy(torch.zeros(3, 1, 3)).entropy()[1].sum().backward()

    assert (policy.log_std == -0.5).all()
    assert policy.log_std.grad.squeeze(1).tolist() == [[0, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    "space", [gymnasium.spaces.Box(-1, 1, (2, 2), np.float32), gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)]
)
def test_a_box_that_no_policy_here_can_act_in_is_refused(space):
    with pytest.raises(ValueError, match="a bounded Box of one axis is wanted"):
        stochastic_policy(REALS, space, (8,), generators())


def test_row_t_holds_what_happened_at_step_t():
    steps, obs, _ = rollout("cartpole", length=60)
    ended = steps.ended[:-1]

    assert ended.any() and not ended.all()
    assert steps.obs.shape == (60, 3, 2, 4)
    assert steps.action.shape == steps.reward.shape == (60, 3, 2)
    follows = (steps.next_obs[:-1] == steps.obs[1:]).all(-1)
    assert torch.equal(follows, ~ended)  # the successor at an end is not the next episode's start
    assert torch.equal((steps.next_obs[-1] == obs).all(-1), ~steps.ended[-1])
    assert (steps.discount == 1 - steps.ended.float()).all()  # these poles fell; no time limit was met


def test_a_time_limit_ends_an_episode_and_keeps_its_discount():
    steps, _, _ = rollout("probe-truncation", length=40)

    assert steps.ended.any()
    assert (steps.discount == 1).all()


def test_actions_are_stored_as_sampled_beyond_the_bounds():
    steps, _, policy = rollout("pendulum", length=50)

    assert (steps.action.abs() > 2).any()
    log_prob = policy(by_seed(steps.obs)).log_prob(by_seed(steps.action))
    assert torch.isfinite(log_prob).all()


def test_a_seeds_rollout_does_not_depend_on_the_seeds_beside_it():
    together, _, _ = rollout("cartpole", seeds=(0, 1, 2))
    alone, _, _ = rollout("cartpole", seeds=(1,))

    for many, one in zip(together, alone, strict=True):
        torch.testing.assert_close(many[:, 1:2], one, atol=1e-6, rtol=0)


def test_rows_by_seed_come_back_by_time():
    x = torch.arange(5 * 3 * 2 * 4).view(5, 3, 2, 4)  # [T, S, N, ...]
    rows = by_seed(x)

    assert rows.shape == (3, 10, 4)
    assert torch.equal(rows[1, 2 * 3 + 1], x[3, 1, 1])  # step 3 of copy 1
    assert torch.equal(by_time(rows, copies=2), x)


def test_minibatches_hold_every_row_once_and_rows_whole():
    number = torch.arange(3 * 12).view(3, 12)
    batch = Pair(number, torch.stack([number, -number], 2))
    parts = list(minibatches(batch, 4, Uniforms(generators(), 12)))

    assert len(parts) == 4
    together = torch.cat([part.number for part in parts], 1)
    assert torch.equal(together.sort(1).values, number)  # each seed its own rows, all of them
    for part in parts:
        assert part.number.shape == (3, 3)
        assert torch.equal(part.row, torch.stack([part.number, -part.number], 2))


def test_minibatches_are_new_every_time_and_each_seeds_own():
    batch = Pair(torch.arange(12).expand(3, 12), torch.zeros(3, 12))
    shuffle = Uniforms(generators(), 12)
    first, second = (torch.cat([p.number for p in minibatches(batch, 3, shuffle)], 1) for _ in range(2))
    alone = Pair(torch.arange(12).expand(1, 12), torch.zeros(1, 12))
    only = torch.cat([p.number for p in minibatches(alone, 3, Uniforms(generators([1]), 12))], 1)

    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first[1:2], only)


def test_rows_that_cannot_be_split_equally_are_refused():
    with pytest.raises(ValueError, match="12 rows cannot be split into 5"):
        next(minibatches(Pair(torch.zeros(3, 12), torch.zeros(3, 12)), 5, Uniforms(generators(), 12)))


def test_normals_are_standard_and_each_seeds_own():
    stream = Normals(generators(), 500)
    numbers = torch.stack([stream() for _ in range(20)])  # [20, S, 500]
    alone = Normals(generators([1]), 500)

    assert numbers.dtype == torch.float32
    assert abs(numbers.mean()) < 5 / 30_000**0.5
    assert abs(numbers.std() - 1) < 5 / 60_000**0.5
    assert torch.equal(torch.stack([alone() for _ in range(20)])[:, 0], numbers[:, 1])
