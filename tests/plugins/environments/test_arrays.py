"""Every array module takes the steps of Gymnasium's environment, from any state, and a planner is told the same."""

import functools
import importlib
import math

import gymnasium
import numpy as np
import pytest
import torch

import harness_environments
import harness_environments.point_mass
from harness_environments.arrays import acrobot, cartpole, mountain_car, mountain_car_continuous, pendulum, point_mass

TRANSITIONS = 100_000
ATOL = 1e-6
VALLEY = ((-1.2, 0.6), (-0.07, 0.07))
ENVIRONMENTS = {  # id, module, ranges of the numbers of a state; actions reach beyond their bounds where there are any
    "CartPole-v1": (cartpole, ((-2.5, 2.5), (-4, 4), (-0.22, 0.22), (-4, 4))),
    "MountainCar-v0": (mountain_car, VALLEY),
    "MountainCarContinuous-v0": (mountain_car_continuous, VALLEY),
    "Acrobot-v1": (
        acrobot,
        ((-math.pi, math.pi), (-math.pi, math.pi), (-4 * math.pi, 4 * math.pi), (-9 * math.pi, 9 * math.pi)),
    ),
    "Pendulum-v1": (pendulum, ((-20, 20), (-8, 8))),
    "harness_environments/PointMass-v0": (point_mass, ((-50, 50), (-50, 50), (-10, 10), (-10, 10))),
}
ENDLESS = ("Pendulum-v1", "harness_environments/PointMass-v0")
KNOWN = {spec.id: spec.known for spec in harness_environments.SPECS if spec.known}


def random_states(ranges, rng):
    """States all over the ranges; every tenth number lies on an edge of its range."""
    low, high = np.asarray(ranges, float).T
    inside = rng.uniform(low, high, (TRANSITIONS, len(ranges)))
    edge = np.where(rng.random(inside.shape) < 0.5, low, high)
    return np.where(rng.random(inside.shape) < 0.1, edge, inside)


def random_actions(space, rng):
    if isinstance(space, gymnasium.spaces.Discrete):
        return rng.integers(space.n, size=TRANSITIONS)
    return rng.uniform(1.5 * space.low, 1.5 * space.high, (TRANSITIONS, *space.shape)).astype(np.float32)


@functools.cache
def walked(id_):
    """States [B, D], actions, then successors, observations, rewards and ends of Gymnasium's own environment."""
    array, ranges = ENVIRONMENTS[id_]
    rng = np.random.default_rng(7)
    env = gymnasium.make(id_).unwrapped
    env.reset(seed=0)
    before = array.state_of(env).new_tensor(random_states(ranges, rng))
    actions = random_actions(env.action_space, rng)
    after, obs, rewards, ends = [], [], [], []
    for state, action in zip(before.numpy(), actions, strict=True):
        env.state, env.steps_beyond_terminated = state.copy(), None
        seen, reward, terminated, _, _ = env.step(action)
        after.append(np.asarray(env.state, float))
        obs.append(seen)
        rewards.append(reward)
        ends.append(terminated)
    return before, torch.from_numpy(actions), *map(np.asarray, (after, obs, rewards, ends))


@pytest.mark.parametrize("id_", ENVIRONMENTS)
def test_transitions_from_everywhere_are_gymnasiums(id_):
    array, _ = ENVIRONMENTS[id_]
    before, actions, after, obs, rewards, ends = walked(id_)
    successor, reward, terminated = array.step(before, actions)
    np.testing.assert_allclose(successor, after, rtol=0, atol=ATOL)
    np.testing.assert_allclose(array.observe(successor), obs, rtol=0, atol=ATOL)
    np.testing.assert_allclose(reward, rewards, rtol=0, atol=ATOL)
    assert np.array_equal(terminated, ends)
    assert terminated.any() != (id_ in ENDLESS)


@pytest.mark.parametrize("id_", KNOWN)
def test_what_is_known_holds_from_everywhere(id_):
    """To what observations in float32 tell: the few ends that lie nearer to a threshold than that may differ."""
    known, (array, _) = importlib.import_module(KNOWN[id_]), ENVIRONMENTS[id_]
    before, actions, _, obs, rewards, ends = walked(id_)
    seen, next_obs = array.observe(before), torch.from_numpy(obs)
    terminated = known.termination_fn(seen, actions, next_obs)
    agreed = terminated.numpy() == ends
    assert agreed.mean() > 0.9999
    reward = known.reward_fn(seen, actions, next_obs)
    np.testing.assert_allclose(reward[agreed], rewards[agreed], rtol=1e-5, atol=1e-4)
    told = known.dynamics_fn(seen, actions)
    assert torch.isclose(told, next_obs, rtol=1e-5, atol=1e-4).double().mean() > 0.999  # a fast Acrobot is chaotic
    np.testing.assert_allclose(told, obs, rtol=1e-5, atol=0.05)


@pytest.mark.parametrize("id_", KNOWN)
def test_what_is_known_keeps_the_type_of_observations_and_can_be_differentiated(id_):
    known, (array, _) = importlib.import_module(KNOWN[id_]), ENVIRONMENTS[id_]
    before, actions, *_ = walked(id_)
    obs, action = array.observe(before[:100]).requires_grad_(), actions[:100]
    next_obs = known.dynamics_fn(obs, action)
    assert next_obs.dtype == known.reward_fn(obs, action, next_obs).dtype == torch.float32
    (gradient,) = torch.autograd.grad(next_obs.sum(), obs)
    assert gradient.isfinite().all() and gradient.any()
