"""The environments plugin is true to its sources, by oracles that see only what an agent can see."""

import importlib.util
import math
import subprocess
import sys
import warnings
from collections import deque

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import harness_environments
from harness.conformance.arrays import require_same_mdp
from harness.contract.specs import as_json, environment_from_json
from harness.measuring.environments import make
from harness.measuring.evaluation import evaluate
from harness_environments.cartpole import as_pixels
from support.paths import ROOT

SPECS = {spec.name: spec for spec in harness_environments.harness_environments()}
OURS = [name for name, spec in SPECS.items() if spec.imports]
DETERMINISTIC = ["treasure", "maze", "maze-features", "dyna-maze"]
TOY_TEXT = ["frozen-lake", "cliff-walking", "taxi"]
PLUGIN = ROOT / "plugins" / "environments"


# Oracles


def key(obs):
    return tuple(np.ravel(obs).tolist())


def replayed(env, path):
    """The last transition of a path of actions from a reset."""
    obs, reward, terminated = env.reset(seed=0)[0], 0.0, False
    for action in path:
        obs, reward, terminated, _, _ = env.step(action)
    return key(obs), reward, terminated


def explored(env):
    """A deterministic world, found by walking: its transitions, its start and the shortest path to each state.

    Transitions are {(state, action): (next state, reward, terminated)}.
    """
    start, _, _ = replayed(env, ())
    paths, transitions, queue = {start: ()}, {}, deque([start])
    while queue:
        state = queue.popleft()
        for action in range(env.action_space.n):
            path = (*paths[state], action)
            following, _, terminated = transitions[state, action] = replayed(env, path)
            if following not in paths:
                paths[following] = path
                if not terminated:
                    queue.append(following)
    return transitions, start, paths


def optimal_q(transitions, discount, sweeps=200):
    q = dict.fromkeys(transitions, 0.0)
    actions = {action for _, action in transitions}
    for _ in range(sweeps):
        q = {
            pair: reward + (0.0 if terminated else discount * max(q[following, a] for a in actions))
            for pair, (following, reward, terminated) in transitions.items()
        }
    return q


def steps_to_goal(env):
    transitions, _, paths = explored(env)
    return min(len(paths[state]) + 1 for (state, _), (_, reward, over) in transitions.items() if over and reward > 0)


def model(name):
    """P [S, A, S] with rows that end summing to less than 1, R [S, A], start distribution [S]."""
    env = make(SPECS[name]).unwrapped
    if name in DETERMINISTIC:
        transitions, start, paths = explored(env)
        index = {state: i for i, state in enumerate(paths)}
        table = [
            (index[s], a, 1.0, index[following], reward, terminated)
            for (s, a), (following, reward, terminated) in transitions.items()
        ]
        first = np.eye(len(index))[index[start]]
    else:
        table = [(s, a, *row) for s, of in env.P.items() for a, rows in of.items() for row in rows]
        first = env.initial_state_distrib
    p = np.zeros((len(first), int(env.action_space.n), len(first)))
    r = np.zeros(p.shape[:2])
    for state, action, probability, following, reward, terminated in table:
        r[state, action] += probability * reward
        p[state, action, following] += probability * (not terminated)
    return p, r, first


def expected_return(name, choose):
    """Exact undiscounted return within the time limit; ``choose`` is np.max (optimal) or np.mean (random)."""
    p, r, first = model(name)
    value = np.zeros(len(first))
    for _ in range(make(SPECS[name]).spec.max_episode_steps):
        value = choose(r + p @ value, axis=1)
    return float(first @ value)


# Descriptions


def test_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, harness_environments as e; list(e.harness_environments()); "
        "print([m for m in ('gymnasium', 'numpy', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_are_unique():
    assert len(SPECS) == len(harness_environments.SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_descriptions_survive_json(name):
    assert environment_from_json(as_json(SPECS[name])) == SPECS[name]


@pytest.mark.parametrize("name", SPECS)
def test_every_environment_is_made_under_its_exact_id_with_a_finite_time_limit(name):
    env = make(SPECS[name])
    assert env.spec.id == SPECS[name].id
    assert 1 <= env.spec.max_episode_steps <= 10_000


@pytest.mark.parametrize("name", SPECS)
def test_random_scores_are_means_over_a_thousand_episodes_or_more(name):
    score = SPECS[name].random_score
    assert score.episodes >= 1_000
    assert math.isfinite(score.value) and score.standard_error >= 0


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.reference_score])
def test_the_reference_beats_random_and_the_threshold_lies_between(name):
    spec = SPECS[name]
    assert spec.reference_score.source
    assert spec.random_score.value < spec.threshold <= spec.reference_score.value


def random_policy(spec):
    space = make(spec).action_space
    space.seed(0)
    return lambda obs: np.stack([space.sample() for _ in obs])


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.highest_return is not None])
def test_what_can_be_returned_holds_random_and_reference_scores_and_random_episodes(name):
    spec = SPECS[name]
    least = -math.inf if spec.lowest_return is None else spec.lowest_return

    (episodes,) = evaluate(lambda: make(spec), random_policy(spec), (0,), 0, 5, torch.device("cpu"), lockstep=False)

    assert least <= spec.random_score.value <= spec.reference_score.value <= spec.highest_return
    assert all(least <= episode.value <= spec.highest_return for episode in episodes)


@pytest.mark.parametrize("name", [name for name in SPECS if "continuous" not in name and name.startswith("pendulum")])
def test_no_pendulum_can_swing_worse_than_its_lowest_return(name):
    scale = 0.1 if name.endswith("tenth") else 1.0
    shift = 8 if name == "pendulum-shifted" else 0  # of rewards, which are then divided by it
    worst = -200 * (math.pi**2 + 0.1 * 8**2 + 0.001 * 2**2 - shift) * scale / (shift or 1)

    assert worst * 1.001 < SPECS[name].lowest_return <= worst


@pytest.mark.parametrize("name", ["mountaincar", "acrobot", "mountaincar-continuous", "frozen-lake", "cartpole"])
def test_thresholds_are_those_that_gymnasium_registers(name):
    assert SPECS[name].threshold == gymnasium.spec(SPECS[name].id).reward_threshold


# Scores against exact ones


@pytest.mark.parametrize("name", TOY_TEXT + DETERMINISTIC)
def test_finite_worlds_have_their_exact_optimum_as_reference(name):
    assert SPECS[name].reference_score.value == pytest.approx(expected_return(name, np.max), abs=1e-9)


@pytest.mark.parametrize("name", TOY_TEXT + DETERMINISTIC)
def test_measured_random_scores_agree_with_the_exact_ones(name):
    score = SPECS[name].random_score
    assert abs(score.value - expected_return(name, np.mean)) < 5 * score.standard_error


@pytest.mark.parametrize("name", ["cartpole", "maze"])
def test_random_scores_can_be_measured_again(name):
    location = importlib.util.spec_from_file_location("measure", PLUGIN / "measure_random_scores.py")
    measure = importlib.util.module_from_spec(location)
    location.loader.exec_module(measure)
    fresh, kept = measure.score(measure.random_returns(SPECS[name], 200)), SPECS[name].random_score
    assert fresh.episodes == 200
    assert abs(fresh.value - kept.value) < 5 * math.hypot(fresh.standard_error, kept.standard_error)


# Worlds


@pytest.mark.parametrize("name", OURS)
def test_gymnasium_finds_nothing_to_warn_about(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if name in (
            "pendulum-shifted",
            "cartpole-fall",
            "cartpole-fall-only",
            "cartpole-shaped",
            "cartpole-position",
            "cartpole-position-pixels",
        ):  # whose spaces are Gymnasium's own
            warnings.filterwarnings("ignore", ".*(For Box action spaces|A Box observation space minimum|maximum)")
        check_env(make(SPECS[name]).unwrapped, skip_render_check=True)


def played(name, seed, steps=60):
    env = make(SPECS[name])
    env.action_space.seed(seed)
    rows = [key(env.reset(seed=seed)[0])]
    for _ in range(steps):
        obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        rows.append((key(obs), reward, terminated, truncated))
        if terminated or truncated:
            rows.append(key(env.reset()[0]))
    return rows


@pytest.mark.parametrize("name", SPECS)
def test_the_same_seed_gives_the_same_episodes(name):
    assert played(name, 3) == played(name, 3)


@pytest.mark.parametrize(
    "name",
    [
        *TOY_TEXT,
        "pendulum-11",
        "mountaincar-plus10",
        "maximisation-bias",
        "bimodal-chain",
        "probe-5-both",
        "pixel-motion",
        "pixel-catch",
    ],
)
def test_another_seed_gives_other_episodes(name):
    assert played(name, 3) != played(name, 4)


@pytest.mark.parametrize(("name", "steps"), [("treasure", 5), ("maze", 6), ("maze-features", 4), ("dyna-maze", 14)])
def test_shortest_paths(name, steps):
    assert steps_to_goal(make(SPECS[name]).unwrapped) == steps


@pytest.mark.parametrize(
    ("name", "discount", "value"),
    [("treasure", 0.9, 0.9**4), ("maze", 0.9, 0.59049), ("maze-features", 0.9, 0.729), ("dyna-maze", 0.95, 0.95**13)],
)
def test_optimal_values_of_the_start(name, discount, value):
    transitions, start, _ = explored(make(SPECS[name]).unwrapped)
    q = optimal_q(transitions, discount)
    assert max(q[pair] for pair in q if pair[0] == start) == pytest.approx(value, abs=1e-12)


def test_every_treasure_cell_is_worth_a_power_of_the_discount():
    transitions, _, _ = explored(make(SPECS["treasure"]).unwrapped)
    q = optimal_q(transitions, 0.9)
    assert [q[(float(s),), 1] for s in range(5)] == pytest.approx([0.9 ** (4 - s) for s in range(5)])


def test_maze_actions_follow_the_tutorials_step_and_not_its_labels():
    env = make(SPECS["maze"])

    def cell(*path):
        return divmod(int(replayed(env.unwrapped, path)[0][0]), 4)

    assert cell(0) == (0, 0)
    assert cell(1) == (1, 0)
    assert cell(2) == (0, 1)
    assert cell(2, 3) == (0, 0)
    assert cell(2, 1, 0) == (0, 1)


@pytest.mark.parametrize("path", [(2, 2, 1), (1, 1, 2)])
def test_both_hells_of_the_maze_end_the_episode(path):
    _, reward, terminated = replayed(make(SPECS["maze"]).unwrapped, path)
    assert (reward, terminated) == (-1.0, True)


def test_the_feature_maze_observes_the_offset_from_the_goal():
    env = make(SPECS["maze-features"]).unwrapped
    obs, _ = env.reset(seed=0)
    np.testing.assert_array_equal(obs, np.float32([-0.5, -0.5]))
    goal, reward, terminated = replayed(env, (1, 1, 2, 2))
    assert (goal, reward, terminated) == ((0.0, 0.0), 1.0, True)


def test_mountain_car_plus_10_differs_only_in_the_reward_at_the_flag():
    plain, ours = gymnasium.make("MountainCar-v0"), make(SPECS["mountaincar-plus10"])
    obs, _ = plain.reset(seed=0)
    np.testing.assert_array_equal(obs, ours.reset(seed=0)[0])
    terminated, steps = False, 0
    while not terminated:
        action = 2 if obs[1] >= 0 else 0  # push the way the car moves
        obs, reward, terminated, truncated, _ = plain.step(action)
        obs_ours, reward_ours, terminated_ours, truncated_ours, _ = ours.step(action)
        np.testing.assert_array_equal(obs, obs_ours)
        assert (terminated, truncated) == (terminated_ours, truncated_ours)
        assert reward_ours == (10.0 if terminated else reward)
        steps += 1
    assert 50 < steps < 200


@pytest.mark.parametrize("torques", [11, 25])
def test_discrete_torques_are_spread_evenly_and_do_what_pendulum_does(torques):
    ours, plain = make(SPECS[f"pendulum-{torques}"]), gymnasium.make("Pendulum-v1")
    assert ours.action_space.n == torques
    np.testing.assert_array_equal(ours.reset(seed=1)[0], plain.reset(seed=1)[0])
    for step in range(200):
        action = np.int64(step % torques)
        torque = -2.0 + 4.0 * action / (torques - 1)
        expected = plain.step(np.array([torque], np.float32))
        obs, reward, terminated, truncated, _ = ours.step(action)
        np.testing.assert_array_equal(obs, expected[0])
        assert (reward, terminated, truncated) == expected[1:4]
    assert truncated


def test_cliff_walking_is_truncated_at_its_limit():
    env = make(SPECS["cliff-walking"])
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(200)]
    assert ends == [(False, False)] * 199 + [(False, True)]


def test_an_image_of_cartpole_shows_cart_and_pole_and_no_more():
    """Position and angle are told by the brightness of what is covered; velocities leave no trace."""
    env = as_pixels()
    columns = np.arange(16)
    for position, angle, spin in ((0.0, 0.0, 0.3), (-2.4, -0.2, 0.0), (1.3, 0.17, -2.0), (2.39, 0.2, 1.0)):
        env.unwrapped.state = np.array([position, 1.7, angle, spin])
        image = env.observation(None)[0] / 255
        assert not image[[0, 15]].any()
        cart, tip, foot = ((row * columns).sum() / row.sum() for row in (image[13], image[1], image[12]))
        assert cart == pytest.approx(7.5 + position * 5 / 2.4, abs=0.01)
        assert (tip - foot) / 11 == pytest.approx(math.tan(angle), abs=0.001)
        np.testing.assert_allclose(image[1:13].sum(1), 1, atol=0.01)
        np.testing.assert_allclose(image[13:15].sum(1), 3, atol=0.01)


def test_images_of_cartpole_are_the_same_in_both_forms():
    require_same_mdp(SPECS["cartpole-position-pixels"])
