"""The worlds that claims are made on are what their sources and docstrings say: tables, values, laws, images.

Oracles are dynamic programmes over the tables; that the environments follow their tables is seen by playing.
"""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from harness.measuring.environments import make
from harness_environments import harness_environments
from harness_environments.chains import bimodal_chain, blind_cliffwalk, maximisation_bias
from harness_environments.corridor import cells, corridor

SPECS = {spec.name: spec for spec in harness_environments()}
FINITE = [
    name for name in SPECS if name.startswith(("blind-cliffwalk", "corridor", "maximisation-bias", "bimodal-chain"))
]
UP, DOWN, LEFT, RIGHT = range(4)


# Oracles


def optimal_q(table, discount):
    """Q* [S, A] by value iteration, to machine precision."""
    q = np.zeros((len(table), len(table[0])))
    for _ in range(10_000):
        last, best = q, q.max(axis=1)
        q = np.array(
            [
                [
                    sum(p * (reward + discount * best[following] * (not over)) for p, following, reward, over in of)
                    for of in actions.values()
                ]
                for actions in table.values()
            ]
        )
        if np.abs(q - last).max() < 1e-15:
            return q
    raise AssertionError("value iteration does not end")


def policy_q(table, policy, discount):
    """Q of a policy [S, A], by solving the linear equations: exact but for rounding."""
    states, actions = policy.shape
    transition, reward = np.zeros((states, actions, states)), np.zeros((states, actions))
    for state, action in itertools.product(range(states), range(actions)):
        for p, following, amount, over in table[state][action]:
            reward[state, action] += p * amount
            transition[state, action, following] += p * (not over)
    value = np.linalg.solve(
        np.eye(states) - discount * np.einsum("sa,sat->st", policy, transition), (policy * reward).sum(axis=1)
    )
    return reward + discount * transition @ value


def state_of(obs):
    return int(obs) if np.ndim(obs) == 0 else int(np.flatnonzero(obs).item())


def expected_return(table, limit, choose):
    """Undiscounted, from state 0; ``choose`` is np.max (optimal) or np.mean (random)."""
    value = np.zeros(len(table))
    for _ in range(limit):
        value = np.array(
            [
                choose([sum(p * (reward + value[s] * (not over)) for p, s, reward, over in of) for of in row.values()])
                for row in table.values()
            ]
        )
    return value[0]


# Every finite world


@pytest.mark.parametrize("name", FINITE)
def test_tables_are_laws_over_known_states(name):
    table = make(SPECS[name]).unwrapped.P
    assert list(table) == list(range(len(table)))
    for actions in table.values():
        assert list(actions) == list(range(len(table[0])))
        for outcomes in actions.values():
            assert math.fsum(outcome[0] for outcome in outcomes) == 1.0
            assert all(outcome[1] in table for outcome in outcomes)


@pytest.mark.parametrize("name", FINITE)
def test_play_follows_the_table(name):
    env = make(SPECS[name])
    noisy = name.startswith("maximisation-bias")
    env.action_space.seed(0)
    state = state_of(env.reset(seed=0)[0])
    assert state == 0
    for _ in range(1_000):
        action = int(env.action_space.sample())
        obs, reward, terminated, truncated, _ = env.step(action)
        allowed = env.unwrapped.P[state][action]
        state_before, state = state, state_of(obs)
        ends = [(s, None if noisy and state_before == 1 else r, over) for _, s, r, over in allowed]
        assert (state, None if noisy and state_before == 1 else reward, terminated) in ends
        if terminated or truncated:
            state = state_of(env.reset()[0])


@pytest.mark.parametrize("name", FINITE)
def test_references_are_the_exact_optimum(name):
    env = make(SPECS[name])
    optimum = expected_return(env.unwrapped.P, env.spec.max_episode_steps, np.max)
    assert SPECS[name].reference_score.value == pytest.approx(optimum, abs=1e-12)


@pytest.mark.parametrize("name", FINITE)
def test_random_scores_agree_with_the_exact_ones(name):
    env, score = make(SPECS[name]), SPECS[name].random_score
    exact = expected_return(env.unwrapped.P, env.spec.max_episode_steps, np.mean)
    assert abs(score.value - exact) < 5 * score.standard_error


@pytest.mark.parametrize("name", [name for name in FINITE if name.endswith("-onehot")])
def test_one_hot_variants_are_the_same_worlds(name):
    one_hot, plain = make(SPECS[name]), make(SPECS[name.removesuffix("-onehot")])
    assert one_hot.unwrapped.P == plain.unwrapped.P
    assert one_hot.observation_space.shape == (plain.observation_space.n,)
    one_hot.action_space.seed(1)
    obs, index = one_hot.reset(seed=1)[0], plain.reset(seed=1)[0]
    for _ in range(50):
        np.testing.assert_array_equal(obs, np.eye(plain.observation_space.n, dtype=np.float32)[index])
        action = one_hot.action_space.sample()
        obs, *rest, _ = one_hot.step(action)
        index, *plain_rest, _ = plain.step(action)
        assert rest == plain_rest
        if rest[1]:
            obs, index = one_hot.reset()[0], plain.reset()[0]


# Blind Cliffwalk


@pytest.mark.parametrize("states", [2, 5, 8])
def test_one_sequence_of_actions_in_2_to_the_n_is_paid_and_all_make_the_papers_number_of_transitions(states):
    env, transitions, paid = blind_cliffwalk(states), 0, []
    for sequence in itertools.product((0, 1), repeat=states):
        env.reset()
        for action in sequence:
            _, reward, terminated, _, _ = env.step(action)
            transitions += 1
            if terminated:
                break
        paid += [sequence] * (reward == 1.0)
    assert paid == [tuple(state % 2 for state in range(states))]
    assert transitions == 2 ** (states + 1) - 2


@pytest.mark.parametrize("states", [8, 13])
def test_cliffwalk_values_are_powers_of_the_discount(states):
    discount = 1 - 1 / states
    q = optimal_q(blind_cliffwalk(states).P, discount)
    right = np.arange(states) % 2
    np.testing.assert_allclose(q[np.arange(states), right], discount ** np.arange(states - 1, -1, -1), rtol=1e-12)
    assert not q[np.arange(states), 1 - right].any()


# Maximisation bias


def test_the_maximum_in_b_is_worth_less_than_leaving():
    q = optimal_q(maximisation_bias(10).P, 1.0)
    np.testing.assert_allclose(q[0], [-0.1, 0.0] * 5)
    np.testing.assert_allclose(q[1], np.full(10, -0.1))


def test_rewards_in_b_are_normal_with_mean_minus_a_tenth_and_those_in_a_are_nothing():
    env = maximisation_bias(10)
    env.reset(seed=0)
    rewards = []
    for _ in range(4_000):
        env.reset()
        assert env.step(0)[1:3] == (0.0, False)
        rewards.append(env.step(3)[1])
    standard = np.sort((np.array(rewards) + 0.1) / 1.0)
    normal = np.array([(1 + math.erf(x / math.sqrt(2))) / 2 for x in standard])
    distance = np.abs(normal - (np.arange(len(standard)) + 0.5) / len(standard)).max()
    assert distance < 1.95 / math.sqrt(len(standard))  # Kolmogorov and Smirnov, one in 1,000
    env.reset()
    assert env.step(1)[1:3] == (0.0, True)


# Bimodal chain


def return_law(table, state, action, discount):
    """The law of the return of ``action`` and then always action 1: {return: probability}."""
    law = Counter()
    for p, following, reward, over in table[state][action]:
        after = {0.0: 1.0} if over else return_law(table, following, 1, discount)
        for value, q in after.items():
            law[round(reward + discount * value, 12)] += p * q
    return law


@pytest.mark.parametrize("state", range(5))
def test_the_chain_has_the_stated_law_of_returns(state):
    table, discount = bimodal_chain().P, 0.9
    scale = discount ** (4 - state)
    assert return_law(table, state, 1, discount) == {round(-scale, 12): 0.5, round(2 * scale, 12): 0.5}
    assert return_law(table, state, 0, discount) == {0.0: 1.0}
    assert optimal_q(table, discount)[state] == pytest.approx([0.0, scale / 2])


def test_both_ends_of_the_chain_are_equally_likely():
    env = bimodal_chain()
    env.reset(seed=0)
    ends = Counter()
    for _ in range(2_000):
        env.reset()
        ends[[env.step(1) for _ in range(5)][-1][1:3]] += 1
    assert set(ends) == {(-1.0, True), (2.0, True)}
    assert abs(ends[2.0, True] - 1_000) < 5 * np.sqrt(2_000 / 4)


# Corridor


@pytest.mark.parametrize("actions", [5, 10, 20])
def test_the_corridor_has_two_vertical_parts_of_10_cells_and_a_horizontal_one_of_50(actions):
    columns = Counter(column for column, _ in cells())
    assert (columns[0], columns[51]) == (10, 10)
    assert sorted(columns) == list(range(52)) and {columns[column] for column in range(1, 51)} == {1}
    env = make(SPECS[f"corridor-{actions}"])
    assert env.observation_space.shape == (70,)
    assert env.action_space.n == actions


def test_the_shortest_way_through_the_corridor_has_60_steps():
    env = make(SPECS["corridor-5"])
    assert cells()[state_of(env.reset(seed=0)[0])] == (0, 0)
    path = [UP] * 5 + [RIGHT] * 51 + [UP] * 4
    steps = [env.step(action) for action in path]
    assert [step[1:3] for step in steps] == [(0.0, False)] * 59 + [(1.0, True)]
    assert cells()[state_of(steps[-1][0])] == (51, 9)
    discount = 0.99
    assert optimal_q(corridor(5).P, discount)[0].max() == pytest.approx(discount**59)


def test_the_lesser_reward_is_straight_ahead():
    env = make(SPECS["corridor-5"])
    env.reset(seed=0)
    assert [env.step(UP)[1:3] for _ in range(9)] == [(0.0, False)] * 8 + [(0.1, True)]


def test_walls_stop_and_moves_are_undone_by_their_opposites():
    table, places = corridor(5).P, cells()
    for state, actions in table.items():
        if actions[UP][0][3] and places[state][1] == 9:
            continue  # an end
        for action, opposite in ((UP, DOWN), (DOWN, UP), (LEFT, RIGHT), (RIGHT, LEFT)):
            following, over = actions[action][0][1], actions[action][0][3]
            distance = sum(abs(a - b) for a, b in zip(places[state], places[following], strict=True))
            assert distance in (0, 1)
            assert over or following == state or table[following][opposite][0][1] == state


@pytest.mark.parametrize("actions", [10, 20])
def test_every_added_action_of_the_corridor_does_nothing(actions):
    table, five = corridor(actions).P, corridor(5).P
    for state, of in table.items():
        assert {action: of[action] for action in range(5)} == five[state]
        assert all(of[action] == five[state][4] for action in range(5, actions))


def test_values_of_the_papers_policy_do_not_tell_added_actions_apart():
    table, discount = corridor(20).P, 0.99
    best = optimal_q(table, discount)
    policy = np.full(best.shape, 0.001 / 20)
    policy[np.arange(70), best.argmax(axis=1)] += 0.999
    q = policy_q(table, policy, discount)
    assert (q[:, 4:] == q[:, 4:5]).all()
    assert (q <= best + 1e-12).all()
    assert q[0].max() == pytest.approx(discount**59, rel=0.01)


# Pixels

PIXELS = [name for name in SPECS if name.startswith("pixel-")]


def as_action(name, sign):
    """The action that says −1, 0 or 1."""
    if name.endswith("-continuous"):
        return np.float32([sign / 2 if name.startswith("pixel-motion") else sign])
    return (sign + 1) // 2 if name == "pixel-motion" else sign + 1


def cells_of(image):
    """Bright cells of a frame [10, 10] as a list of (row, column), read off its pixels."""
    assert set(np.unique(image)) <= {0, 255}
    board = image[::2, ::2]
    np.testing.assert_array_equal(board.repeat(2, axis=0).repeat(2, axis=1), image)
    return [tuple(cell) for cell in np.argwhere(board).tolist()]


def motion(obs):
    ((_, before),), ((_, after),) = (cells_of(image) for image in obs)
    return {1: 1, 4: -1}[(after - before) % 5]


def towards_ball(obs):
    (row, column), *rest = cells_of(obs[1])
    paddle = rest[-1][1] if rest else column
    return int(np.sign(column - paddle)) if row < 4 else 0


READERS = {"pixel-motion": motion, "pixel-catch": towards_ball}


def returns(name, act, episodes=200):
    env = make(SPECS[name])
    env.reset(seed=0)
    totals = []
    for _ in range(episodes):
        (obs, _), rewards, terminated = env.reset(), [], False
        while not terminated:
            obs, reward, terminated, truncated, _ = env.step(act(obs))
            assert not truncated
            rewards.append(reward)
        assert len(rewards) == 4
        totals.append(math.fsum(rewards))
    return totals


@pytest.mark.parametrize("name", PIXELS)
def test_who_reads_the_images_always_gets_1(name):
    reader = READERS[name.removesuffix("-continuous")]
    assert set(returns(name, lambda obs: as_action(name, reader(obs)))) == {1.0}


@pytest.mark.parametrize("name", PIXELS)
def test_images_are_two_frames_of_bytes_and_the_second_is_the_first_of_the_next(name):
    env = make(SPECS[name])
    env.action_space.seed(0)
    obs, _ = env.reset(seed=0)
    kept = obs.copy()
    for _ in range(4):
        assert (obs.shape, obs.dtype) == ((2, 10, 10), np.uint8)
        following = env.step(env.action_space.sample())[0]
        np.testing.assert_array_equal(obs[1], following[0])
        obs = following
    env.reset()
    np.testing.assert_array_equal(kept[1], env.reset(seed=0)[0][1])


def test_one_frame_of_the_motion_says_nothing_about_the_direction():
    env = make(SPECS["pixel-motion"])
    env.reset(seed=0)
    seen = Counter()
    for _ in range(2_000):
        obs, _ = env.reset()
        for _ in range(4):
            ((place,),) = (cells_of(obs[1]),)
            seen[place, motion(obs)] += 1
            obs = env.step(0)[0]
    assert len(seen) == 50
    expected = 8_000 / 50
    chi_square = sum((count - expected) ** 2 / expected for count in seen.values())
    assert chi_square < 49 + 5 * math.sqrt(2 * 49)  # five deviations, though places in an episode are related


def test_who_sees_one_frame_of_the_motion_gets_nothing_with_two_actions():
    totals = returns("pixel-motion", lambda obs: int(cells_of(obs[1])[0][1] < 2), episodes=1_000)
    assert abs(np.mean(totals)) < 5 * np.std(totals) / math.sqrt(len(totals))


def test_the_direction_of_the_motion_is_best_said_by_halves():
    env = make(SPECS["pixel-motion-continuous"])
    for number in (-0.5, 0.0, 0.25, 0.5, 3.0):
        obs, _ = env.reset(seed=0)
        expected = (1 - (2 * min(number, 1.0) - motion(obs)) ** 2) / 4
        assert env.step(np.float32([number]))[1] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["pixel-catch", "pixel-catch-continuous"])
def test_the_ball_falls_straight_and_the_paddle_stops_at_the_edge(name):
    env = make(SPECS[name])
    obs, _ = env.reset(seed=0)
    ball = cells_of(obs[1])[0][1]
    np.testing.assert_array_equal(obs[0], obs[1])
    assert cells_of(obs[1]) == [(0, ball), (4, 2)]
    for row, paddle in ((1, 1), (2, 0), (3, 0)):
        obs, reward, terminated, _, _ = env.step(as_action(name, -1))
        assert cells_of(obs[1]) == [(row, ball), (4, paddle)]
        assert (reward, terminated) == (0.0, False)
    _, reward, terminated, _, _ = env.step(as_action(name, 0))
    assert (reward, terminated) == (1.0 if ball == 0 else -1.0, True)


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("pixel-motion", 0.0),
        ("pixel-motion-continuous", -4 / 3),  # 1 − E(2a − 1)², a uniform on [−1, 1]
        ("probe-4-action-continuous", -4 / 3),
        ("probe-5-both-continuous", -4 / 3),
    ],
)
def test_random_scores_of_probes_agree_with_the_exact_ones(name, exact):
    score = SPECS[name].random_score
    assert abs(score.value - exact) < 5 * score.standard_error


# Pendulum as in the tutorial


@pytest.mark.parametrize("name", ["pendulum", "pendulum-11", "pendulum-25"])
def test_a_tenth_of_the_reward_is_all_that_differs(name):
    tenth, whole = make(SPECS[f"{name}-tenth"]), make(SPECS[name])
    whole.action_space.seed(1)
    np.testing.assert_array_equal(tenth.reset(seed=1)[0], whole.reset(seed=1)[0])
    for _ in range(200):
        action = whole.action_space.sample()
        obs, reward, *ends, _ = tenth.step(action)
        obs_whole, reward_whole, *ends_whole, _ = whole.step(action)
        np.testing.assert_array_equal(obs, obs_whole)
        assert reward == pytest.approx(reward_whole / 10)
        assert ends == ends_whole
