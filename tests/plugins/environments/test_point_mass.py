"""The point mass: one step by hand, and its reference score by a regulator that was derived apart from it."""

import gymnasium
import numpy as np
import pytest

import harness_environments
import harness_environments.point_mass

SPEC = next(spec for spec in harness_environments.SPECS if spec.name == "point-mass")
STEPS = 100


@pytest.fixture
def env():
    return gymnasium.make(SPEC.id)


def regulator():
    """Gains [STEPS] of (position, velocity) along one axis, by backward induction, and the cost of starting at 1 m."""
    move, push = np.array([[1, 0.1], [0, 1]]), np.array([[0.01], [0.1]])
    to_go, gains = np.zeros((2, 2)), []
    for _ in range(STEPS):
        later = to_go + np.diag([1.0, 0.0])
        gains.append(np.linalg.solve(1 + push.T @ later @ push, push.T @ later @ move))
        to_go = move.T @ later @ (move - push @ gains[-1])
    return gains[::-1], to_go[0, 0]


def test_one_step_by_hand(env):
    env.reset(seed=0)
    env.unwrapped.state = np.array([1.0, -2.0, 0.5, 0.0])
    obs, reward, terminated, _, _ = env.step(np.array([-7.0, 0.5], np.float32))  # the first is cut to −1
    np.testing.assert_allclose(obs, [1.04, -1.995, 0.4, 0.05], rtol=1e-6)
    assert reward == pytest.approx(-(1.04**2 + 1.995**2 + 1 + 0.25))
    assert not terminated


def test_the_regulator_is_never_clipped_and_earns_the_reference(env):
    gains, cost = regulator()
    assert SPEC.reference_score.value == pytest.approx(-2 * cost / 3, abs=1e-4)  # E[x²] = 1/3 along each axis
    env.reset(seed=0)
    env.unwrapped.state = np.array([1.0, -1.0, 0.0, 0.0])  # corners want the strongest pushes
    obs, total = env.unwrapped.state, 0.0
    for gain in gains:
        action = -(gain @ obs.reshape(2, 2))[0]  # rows: position, velocity; columns: axes
        assert abs(action).max() < 1
        obs, reward, _, truncated, _ = env.step(action)
        total += reward
    assert truncated
    assert total == pytest.approx(-2 * cost, rel=1e-5)


def test_nothing_is_worse_than_being_pushed_outwards_from_a_corner(env):
    env.reset(seed=0)
    env.unwrapped.state = np.array([1.0, 1.0, 0.0, 0.0])
    total = sum(env.step(np.ones(2, np.float32))[1] for _ in range(STEPS))
    assert total == pytest.approx(SPEC.lowest_return, abs=1)
    assert total > SPEC.lowest_return
