"""Every array module takes the steps of Gymnasium's environment, from any state."""

import math

import gymnasium
import numpy as np
import pytest
import torch

from harness_environments.arrays import acrobot, cartpole, mountain_car, mountain_car_continuous, pendulum

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
}


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


@pytest.mark.parametrize("id_", ENVIRONMENTS)
def test_transitions_from_everywhere_are_gymnasiums(id_):
    array, ranges = ENVIRONMENTS[id_]
    rng = np.random.default_rng(7)
    env = gymnasium.make(id_).unwrapped
    env.reset(seed=0)
    before = array.state_of(env).new_tensor(random_states(ranges, rng))  # [B, D]
    actions = random_actions(env.action_space, rng)
    after, obs, rewards, ends = [], [], [], []
    for state, action in zip(before.numpy(), actions, strict=True):
        env.state, env.steps_beyond_terminated = state.copy(), None
        seen, reward, terminated, _, _ = env.step(action)
        after.append(np.asarray(env.state, float))
        obs.append(seen)
        rewards.append(reward)
        ends.append(terminated)
    successor, reward, terminated = array.step(before, torch.from_numpy(actions))
    np.testing.assert_allclose(successor, np.asarray(after), rtol=0, atol=ATOL)
    np.testing.assert_allclose(array.observe(successor), np.asarray(obs), rtol=0, atol=ATOL)
    np.testing.assert_allclose(reward, np.asarray(rewards, float), rtol=0, atol=ATOL)
    assert np.array_equal(terminated, ends)
    assert terminated.any() != (id_ == "Pendulum-v1")
