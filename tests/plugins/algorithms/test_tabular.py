"""The tabular algorithms as trained: exact values, identities between them, and what seeds decide."""

import importlib
import subprocess
import sys
from math import inf

import gymnasium
import numpy as np
import pytest

import harness_algorithms
import harness_environments
from harness.contract.specs import EnvironmentSpec
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness_algorithms.blocks.schedules import Linear
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
ALGORITHMS = {spec.name: spec for spec in harness_algorithms.harness_algorithms()}
TABULAR = [name for name, spec in ALGORITHMS.items() if spec.observation_spaces == ("Discrete",)]
WORLDS = ["maze", "cliff-walking", "frozen-lake"]
UNIFORM = Linear(1.0, 1.0)


class OneState(gymnasium.Env):
    """Reward 1 for ever in the only state; every step may terminate."""

    observation_space = gymnasium.spaces.Discrete(1)
    action_space = gymnasium.spaces.Discrete(1)

    def __init__(self, terminates):
        self.terminates = terminates

    def reset(self, *, seed=None, options=None):
        return 0, {}

    def step(self, action):
        return 0, 1, self.terminates, False, {}


gymnasium.register("tests/OneState-v0", OneState, max_episode_steps=3)


def trained(name, environment, config=None, seed=0, budget=2_000, points=1):
    """The trial after training algorithm ``name`` with overrides ``config``."""
    module = importlib.import_module(ALGORITHMS[name].target)
    spec = ENVIRONMENTS[environment] if isinstance(environment, str) else environment
    trial = local_trial(spec, seeds=(seed,), budget=budget, points=points, episodes=2)
    run_training(trial, module.train, resolve_config(module.Config, config or {}))
    return trial


def table(trial):
    return np.array(trial.policy.q)


def stream(trial):
    """Everything about the training episodes but the time they took."""
    return [episode._replace(train_seconds=0.0) for episode in trial.runs[0].episodes]


def assert_identical(one, other):
    assert stream(one) == stream(other)
    assert np.array_equal(table(one), table(other))


def constant(epsilon):
    return {"epsilon.start": epsilon, "epsilon.end": epsilon}


# Exact values


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", [name for name in TABULAR if name != "dyna_q"])
def test_after_n_treasures_the_last_step_is_worth_one_minus_its_error_to_the_n(name, seed):
    trial = trained(name, "treasure", ALGORITHMS[name].presets["tutorial"], seed)
    found = sum(episode.terminated for episode in trial.runs[0].episodes)
    learning_rate = ALGORITHMS[name].presets["tutorial"]["learning_rate"]

    assert found >= 13
    assert table(trial)[4, 1] == pytest.approx(1 - (1 - learning_rate) ** found, abs=1e-12)


def test_q_learning_learns_the_optimal_values_of_the_treasure_world():
    q = table(trained("q_learning", "treasure", ALGORITHMS["q_learning"].presets["tutorial"], budget=4_000))

    assert q[:5, 1] == pytest.approx([0.9 ** (4 - cell) for cell in range(5)], abs=1e-3)
    assert (q[:5, 1] > q[:5, 0]).all()


def maze_optimum(discount):
    """Q* of the 4x4 maze by value iteration over (column, row), from the tutorial's text alone."""
    moves = [(0, -1), (0, 1), (1, 0), (-1, 0)]  # up, down, right, left
    prize = {(2, 2): 1.0, (2, 1): -1.0, (1, 2): -1.0}
    q = np.zeros((16, 4))
    for _ in range(50):
        for column, row, action in np.ndindex(4, 4, 4):
            to = min(max(column + moves[action][0], 0), 3), min(max(row + moves[action][1], 0), 3)
            follows = 0.0 if to in prize else discount * q[4 * to[1] + to[0]].max()
            q[4 * row + column, action] = prize.get(to, 0.0) + follows
    return q


@pytest.mark.parametrize("name", ["q_learning", "dyna_q"])
def test_off_policy_control_learns_the_optimal_values_of_the_maze_while_acting_at_random(name):
    config = {"discount": 0.9, "learning_rate": 1.0, **constant(1.0)}
    q = table(trained(name, "maze", config, budget=20_000))
    optimum = maze_optimum(0.9)
    acted_in = [cell for cell in range(16) if cell not in (6, 9, 10)]  # an episode ends in the others

    assert q[acted_in] == pytest.approx(optimum[acted_in], abs=1e-12)
    assert q[0].max() == pytest.approx(0.59049, abs=1e-12)


def test_q_learning_walks_the_maze_s_shortest_path():
    trial = trained("q_learning", "maze", {"discount": 0.9}, budget=20_000)
    final = trial.runs[0].evaluations[-1]

    assert (final.value, final.length) == (1.0, 6)
    assert table(trial)[0].max() == pytest.approx(0.59049, abs=1e-3)


@pytest.mark.parametrize("name", TABULAR)
@pytest.mark.parametrize(("terminates", "value"), [(True, 1.0), (False, 1 / (1 - 0.5))])
def test_a_time_limit_is_bootstrapped_through_and_termination_is_not(name, terminates, value):
    world = EnvironmentSpec("one-state", "tests/OneState-v0", kwargs={"terminates": terminates})
    trial = trained(name, world, {"discount": 0.5, "learning_rate": 0.5}, budget=600)

    assert table(trial) == pytest.approx(value, abs=1e-9)


# Identities


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(
    ("one", "of_one", "other", "of_other"),
    [
        ("sarsa_lambda", {"lambda_": 0.0}, "sarsa", {}),
        ("nstep_sarsa", {"n": 1}, "sarsa", {}),
        ("nstep_sarsa", {"n": 10**9}, "mc_control", {}),
        ("expected_sarsa", constant(0.0), "q_learning", constant(0.0)),
        ("dyna_q", {"planning_steps": 0}, "q_learning", {}),
    ],
)
def test_limiting_cases_are_one_algorithm_bit_for_bit(one, of_one, other, of_other, world):
    assert_identical(trained(one, world, of_one), trained(other, world, of_other))


@pytest.mark.parametrize(
    ("name", "changed"),
    [("sarsa_lambda", {"lambda_": 0.5}), ("nstep_sarsa", {"n": 2}), ("dyna_q", {"planning_steps": 1})],
)
def test_away_from_their_limits_they_differ(name, changed):
    limit = {"sarsa_lambda": "sarsa", "nstep_sarsa": "sarsa", "dyna_q": "q_learning"}[name]

    assert not np.array_equal(table(trained(name, "maze", changed)), table(trained(limit, "maze")))


# Behaviour


def test_beside_the_cliff_sarsa_is_safer_while_learning_and_q_learning_better_after():
    config = {"learning_rate": 0.5, "discount": 1.0}

    def online_return(trial):
        return np.mean([episode.value for episode in trial.runs[0].episodes])

    on_policy, off_policy = (
        [trained(name, "cliff-walking", config, seed, budget=15_000) for seed in range(3)]
        for name in ("sarsa", "q_learning")
    )
    assert np.mean(list(map(online_return, on_policy))) > np.mean(list(map(online_return, off_policy))) + 10
    assert {trial.runs[0].evaluations[-1].value for trial in off_policy} == {-13.0}


def test_traces_cut_the_first_twenty_trips_through_the_dyna_maze_to_less_than_six_tenths_of_the_steps():
    def steps_of_first_trips(lambda_):
        config = {"discount": 0.95, "lambda_": lambda_}
        runs = [trained("sarsa_lambda", "dyna-maze", config, seed, budget=8_000).runs[0] for seed in range(3)]
        assert all(len(run.episodes) >= 20 for run in runs)
        return sum(episode.length for run in runs for episode in run.episodes[:20])

    assert steps_of_first_trips(0.9) < 0.6 * steps_of_first_trips(0.0)


def test_planning_finds_the_dyna_maze_s_goal_oftener():
    found = {
        steps: len(trained("dyna_q", "dyna-maze", {"planning_steps": steps}, budget=3_000).runs[0].episodes)
        for steps in (0, 10)
    }

    assert found[10] > 2 * found[0]


# Seeds and evaluation


@pytest.mark.parametrize("name", TABULAR)
def test_one_seed_gives_one_table_and_another_seed_another(name):
    first, again, other = (trained(name, "frozen-lake", seed=seed) for seed in (0, 0, 1))

    assert_identical(first, again)
    assert stream(first) != stream(other)
    assert not np.array_equal(table(first), table(other))


@pytest.mark.parametrize("name", [*TABULAR, "random"])
def test_evaluation_leaves_training_bit_identical(name):
    rarely, often = (trained(name, "frozen-lake", points=points) for points in (1, 20))

    assert len(often.runs[0].evaluations) == 2 * 21
    assert stream(rarely) == stream(often)


@pytest.mark.parametrize(
    ("world", "lowest", "highest"), [("pendulum", -inf, 0.0), ("treasure", 0.0, 1.0), ("cartpole", 8.0, 500.0)]
)
def test_the_random_algorithm_acts_in_any_space(world, lowest, highest):
    run = trained("random", world, budget=500).runs[0]

    assert run.episodes
    assert all(lowest <= episode.value <= highest for episode in run.evaluations)


# The plugin module


@pytest.mark.parametrize("name", TABULAR)
def test_presets_resolve_and_explore_one_time_in_ten(name):
    config_class = importlib.import_module(ALGORITHMS[name].target).Config

    assert "tutorial" in ALGORITHMS[name].presets
    for preset in ALGORITHMS[name].presets.values():
        config = resolve_config(config_class, preset)
        assert (config.epsilon(0.0), config.epsilon(1.0), config.discount) == (0.1, 0.1, 0.9)


def test_describing_the_algorithms_imports_nothing_heavy():
    program = (
        "import sys, harness_algorithms as plugin; list(plugin.harness_algorithms());"
        "sys.exit(','.join({'torch', 'gymnasium', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert finished.stderr.strip() == ""
