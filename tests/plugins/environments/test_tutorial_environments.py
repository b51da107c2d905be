"""What the tutorial's scripts change of Gymnasium's environments is all that differs, step for step.

The oracles change the rewards of Gymnasium's own environments from outside, as the scripts do, by observations alone.
"""

import math

import gymnasium
import numpy as np
import pytest

from harness.conformance.arrays import require_same_mdp
from harness.measuring.environments import make
from harness_environments import harness_environments

SPECS = {spec.name: spec for spec in harness_environments()}
FARTHEST, STEEPEST = 2.4, 12 * math.pi / 180


def shifted(obs, reward, terminated):
    return (reward + 8) / 8


def unchanged(obs, reward, terminated):
    return reward


def distance(obs, reward, terminated):
    return abs(obs[0] + 0.5)


def fallen(obs, reward, terminated):
    return -20 if terminated else reward


def only_fallen(obs, reward, terminated):
    return -11 if terminated else 0


def shaped(obs, reward, terminated):
    r1 = (FARTHEST - abs(obs[0])) / FARTHEST - 0.8
    r2 = (STEEPEST - abs(obs[2])) / STEEPEST - 0.5
    return r1 + r2


CHANGES = {  # id in Gymnasium, what is made of its reward, steps that an episode may have
    "pendulum-shifted": ("Pendulum-v1", shifted, 200),
    "mountaincar-long": ("MountainCar-v0", unchanged, 10_000),
    "mountaincar-distance": ("MountainCar-v0", distance, 10_000),
    "cartpole-fall": ("CartPole-v1", fallen, 1_000),
    "cartpole-fall-only": ("CartPole-v1", only_fallen, 500),
    "cartpole-shaped": ("CartPole-v1", shaped, 500),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_reward_is_all_that_differs_from_gymnasiums_environment(name):
    id_, change, limit = CHANGES[name]
    plain, ours = gymnasium.make(id_).unwrapped, make(SPECS[name])
    plain.action_space.seed(3)
    assert ours.spec.max_episode_steps == limit
    ends = 0
    for episode in range(20):
        np.testing.assert_array_equal(plain.reset(seed=episode)[0], ours.reset(seed=episode)[0])
        for _ in range(200):
            action = plain.action_space.sample() if episode else np.array(2, plain.action_space.dtype)
            action = action % plain.action_space.n if hasattr(plain.action_space, "n") else action.reshape(1)
            obs, reward, terminated, _, _ = plain.step(action)
            obs_ours, reward_ours, terminated_ours, truncated, _ = ours.step(action)
            np.testing.assert_array_equal(obs, obs_ours)
            assert terminated == terminated_ours
            assert reward_ours == pytest.approx(change(obs, reward, terminated), abs=1e-6)
            if terminated or truncated:
                ends += 1
                break
    assert ends == 20 or "mountaincar" in name


@pytest.mark.parametrize("name", ["mountaincar-long", "mountaincar-distance"])
def test_a_car_that_pushes_the_way_it_moves_ends_at_the_flag(name):
    env = make(SPECS[name])
    obs, _ = env.reset(seed=0)
    rewards, terminated = [], False
    while not terminated:
        obs, reward, terminated, _, _ = env.step(2 if obs[1] >= 0 else 0)
        rewards.append(reward)
    assert obs[0] >= 0.5
    assert len(rewards) < 200
    assert rewards[-1] == pytest.approx(-1 if name == "mountaincar-long" else obs[0] + 0.5)


def moved(position, velocity, push):
    velocity = min(0.07, max(-0.07, velocity + 0.001 * push - 0.0025 * math.cos(3 * position)))
    position = min(0.6, max(-1.2, position + velocity))
    return position, 0.0 if position == -1.2 and velocity < 0 else velocity


def comes_to_rest(position, velocity):
    """Whether a car that brakes from here on stops before the flag."""
    while velocity > 0:
        if position >= 0.5:
            return False
        position, velocity = moved(position, velocity, -1)
    return position < 0.5


def parking(position, velocity):
    """Up the hill by pushing the way it moves, then as near to the flag as it can wait."""
    if velocity <= 0 and position <= 0.3:
        return 2 if velocity == 0 else 0
    return next((push + 1 for push in (1, 0) if comes_to_rest(*moved(position, velocity, push))), 0)


def test_waiting_beside_the_flag_earns_the_reference_of_the_distance_and_the_flag_hardly_anything():
    spec = SPECS["mountaincar-distance"]
    env = make(spec).unwrapped
    env.reset(seed=0)
    total = 0.0
    for _ in range(10_000):
        _, reward, terminated, _, _ = env.step(parking(*env.state))
        assert not terminated
        total += reward
    assert total == pytest.approx(spec.reference_score.value, abs=10)
    assert total < spec.highest_return


@pytest.mark.parametrize("name", CHANGES)
def test_arrays_are_the_environment(name):
    require_same_mdp(SPECS[name])


def test_the_pole_falls_after_8_steps_at_the_earliest():
    env = make(SPECS["cartpole-fall"])
    env.reset(seed=0)
    env.unwrapped.state = np.full(4, 0.05)  # as far, as fast and as steep to one side as an episode can begin
    total, terminated, steps = 0.0, False, 0
    while not terminated:
        _, reward, terminated, _, _ = env.step(0)
        total, steps = total + reward, steps + 1
    assert (steps, total) == (8, SPECS["cartpole-fall"].lowest_return)


def test_cartpole_position_is_cartpole_without_its_velocities():
    whole, part = make(SPECS["cartpole"]), make(SPECS["cartpole-position"])
    assert part.reset(seed=5)[0].tolist() == whole.reset(seed=5)[0][[0, 2]].tolist()
    for step in range(8):
        (seen, *rest, _), (shown, *told, _) = whole.step(step % 2), part.step(step % 2)
        assert shown.tolist() == seen[[0, 2]].tolist()
        assert told == rest
    assert part.spec.max_episode_steps == 500
    assert part.observation_space.shape == (2,)
