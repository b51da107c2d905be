"""The probes have the values that their docstrings state."""

import numpy as np
import pytest
from gymnasium import spaces

from harness.measuring.environments import make
from harness_environments import harness_environments

SPECS = {spec.name: spec for spec in harness_environments() if spec.name.startswith("probe-")}
DISCOUNT = 0.9


CONTINUOUS = [name for name in SPECS if name.endswith("-continuous")]


def action_value(name, first, action):
    """Discounted return of taking ``action`` and then the best, in an episode that starts with ``first``.

    Of a continuous probe the actions are arrays [1].
    """
    env = make(SPECS[name])
    best = np.float32([0.5]) if name in CONTINUOUS else 1
    seed = 0
    while env.reset(seed=seed)[0] != np.float32([first]):
        seed += 1
    value, discount, terminated, truncated = 0.0, 1.0, False, False
    while not (terminated or truncated):
        _, reward, terminated, truncated, _ = env.step(action)
        value, discount, action = value + discount * reward, DISCOUNT * discount, best
    assert terminated and not truncated
    return value


@pytest.mark.parametrize(
    ("name", "first", "values"),
    [
        ("probe-1-constant", 0, (1, 1)),
        ("probe-2-observation", -1, (-1, -1)),
        ("probe-2-observation", 1, (1, 1)),
        ("probe-3-discounting", 0, (DISCOUNT, DISCOUNT)),
        ("probe-4-action", 0, (-1, 1)),
        ("probe-5-both", -1, (1, -1)),
        ("probe-5-both", 1, (-1, 1)),
    ],
)
def test_action_values_are_the_stated_ones(name, first, values):
    assert tuple(action_value(name, first, action) for action in (0, 1)) == pytest.approx(values)


@pytest.mark.parametrize(
    ("name", "first", "value"),
    [
        ("probe-1-constant", 0, lambda number: 1),
        ("probe-2-observation", -1, lambda number: -1),
        ("probe-2-observation", 1, lambda number: 1),
        ("probe-3-discounting", 0, lambda number: DISCOUNT),
        ("probe-4-action", 0, lambda number: 1 - (2 * number - 1) ** 2),
        ("probe-5-both", -1, lambda number: 1 - (2 * number + 1) ** 2),
        ("probe-5-both", 1, lambda number: 1 - (2 * number - 1) ** 2),
    ],
)
def test_values_of_numbers_are_the_stated_functions(name, first, value):
    for number in (-1.0, -0.5, 0.0, 0.5, 1.0):
        found = action_value(f"{name}-continuous", first, np.float32([number]))
        assert found == pytest.approx(value(number))


@pytest.mark.parametrize(("number", "reward"), [(7.0, 0.0), (-7.0, -8.0)])
def test_numbers_are_clipped(number, reward):
    assert action_value("probe-4-action-continuous", 0, np.float32([number])) == reward


def test_every_probe_comes_with_two_actions_and_with_numbers():
    two = [name for name in SPECS if name not in CONTINUOUS]
    assert [f"{name}-continuous" for name in two] == CONTINUOUS


def any_action(env):
    env.action_space.seed(0)
    return env.action_space.sample()


@pytest.mark.parametrize("name", ["probe-3-discounting", "probe-3-discounting-continuous"])
def test_the_discounting_probe_shows_1_before_it_pays(name):
    env = make(SPECS[name])
    assert env.reset(seed=0)[0] == 0
    obs, reward, terminated, _, _ = env.step(any_action(env))
    assert (obs, reward, terminated) == (1, 0, False)
    obs, reward, terminated, _, _ = env.step(any_action(env))
    assert (obs, reward, terminated) == (1, 1, True)


@pytest.mark.parametrize("name", ["probe-truncation", "probe-truncation-continuous"])
def test_the_truncation_probe_pays_1_and_is_only_ever_truncated(name):
    env = make(SPECS[name])
    env.reset(seed=0)
    steps = [env.step(any_action(env))[1:4] for _ in range(10)]
    assert steps == [(1.0, False, False)] * 9 + [(1.0, False, True)]


@pytest.mark.parametrize(("treated_as_terminal", "value"), [(False, 1 / (1 - 0.9)), (True, 1 / (1 - 0.81))])
def test_one_step_learning_on_the_truncation_probe_shows_how_the_limit_is_treated(treated_as_terminal, value):
    env = make(SPECS["probe-truncation"])
    env.reset(seed=0)
    ends = np.array([env.step(0)[2:4] for _ in range(10)])
    discounts = DISCOUNT * ~(ends.any(axis=1) if treated_as_terminal else ends[:, 0])
    learnt = 0.0
    for _ in range(500):
        learnt = np.mean(1.0 + discounts * learnt)
    assert learnt == pytest.approx(value)


@pytest.mark.parametrize("name", SPECS)
def test_networks_can_read_every_probe(name):
    env = make(SPECS[name])
    obs, _ = env.reset(seed=0)
    assert (obs.shape, obs.dtype) == ((1,), np.float32)
    if name in CONTINUOUS:
        assert env.action_space == spaces.Box(-1.0, 1.0, (1,), np.float32)
    else:
        assert env.action_space == spaces.Discrete(2)


@pytest.mark.parametrize("name", ["probe-2-observation", "probe-5-both"])
def test_both_observations_are_equally_likely(name):
    env = make(SPECS[name])
    env.reset(seed=0)
    ones = sum(env.reset()[0].item() == 1.0 for _ in range(2_000))
    assert abs(ones - 1_000) < 5 * np.sqrt(2_000 / 4)
