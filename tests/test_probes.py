"""The probes have the values that their docstrings state."""

import numpy as np
import pytest

from harness.measuring.environments import make
from harness_environments import harness_environments

SPECS = {spec.name: spec for spec in harness_environments() if spec.name.startswith("probe-")}
DISCOUNT = 0.9


def action_value(name, first, action):
    """Discounted return of taking ``action`` and then action 1, in an episode that starts with ``first``."""
    env = make(SPECS[name])
    seed = 0
    while env.reset(seed=seed)[0] != np.float32([first]):
        seed += 1
    value, discount, terminated, truncated = 0.0, 1.0, False, False
    while not (terminated or truncated):
        _, reward, terminated, truncated, _ = env.step(action)
        value, discount, action = value + discount * reward, DISCOUNT * discount, 1
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


def test_the_discounting_probe_shows_1_before_it_pays():
    env = make(SPECS["probe-3-discounting"])
    assert env.reset(seed=0)[0] == 0
    obs, reward, terminated, _, _ = env.step(0)
    assert (obs, reward, terminated) == (1, 0, False)
    obs, reward, terminated, _, _ = env.step(0)
    assert (obs, reward, terminated) == (1, 1, True)


def test_the_truncation_probe_pays_1_and_is_only_ever_truncated():
    env = make(SPECS["probe-truncation"])
    env.reset(seed=0)
    steps = [env.step(1)[1:4] for _ in range(10)]
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
    assert (obs.shape, obs.dtype, env.action_space.n) == ((1,), np.float32, 2)


@pytest.mark.parametrize("name", ["probe-2-observation", "probe-5-both"])
def test_both_observations_are_equally_likely(name):
    env = make(SPECS[name])
    env.reset(seed=0)
    ones = sum(env.reset()[0].item() == 1.0 for _ in range(2_000))
    assert abs(ones - 1_000) < 5 * np.sqrt(2_000 / 4)
