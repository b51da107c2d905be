"""The study of fixed memories: what is stored, what is true, how updates are counted; and small cases of its claims."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from harness_environments.chains import blind_cliffwalk, maximisation_bias
from harness_environments.corridor import cells, corridor
from learn import fixed_memory as study

CORRIDOR = study.world(corridor(5).P)


def solved(world, discount, policy):
    """Q of a policy [S, A] by linear equations."""
    num_states = len(policy)
    chain = np.zeros((num_states, num_states))
    for state, action in np.ndindex(policy.shape):
        chain[state, world.following[state, action]] += policy[state, action] * world.goes_on[state, action]
    value = np.linalg.solve(np.eye(num_states) - discount * chain, (policy * world.reward).sum(1))
    return world.reward + discount * world.goes_on * value[world.following]


def test_values_of_a_policy_solve_its_linear_equations():
    policy = study.corridor_policy(CORRIDOR)
    q = study.exact_values(CORRIDOR, 0.99, policy)
    np.testing.assert_allclose(q, solved(CORRIDOR, 0.99, policy), rtol=1e-12, atol=1e-13)


def test_values_of_the_cliffwalk_are_powers_of_the_discount():
    q = study.exact_values(study.world(blind_cliffwalk(6).P), 5 / 6)
    right = np.arange(6) % 2
    np.testing.assert_allclose(q[np.arange(6), right], (5 / 6) ** np.arange(5, -1, -1), rtol=1e-14)
    assert not q[np.arange(6), 1 - right].any()


def test_a_world_of_chance_is_refused():
    table = dict(maximisation_bias().P)
    table[0] = {**table[0], 0: [(0.5, 1, 0.0, False), (0.5, 0, 0.0, True)]}
    with pytest.raises(ValueError, match="too many values"):
        study.world(table)


# Blind Cliffwalk


def test_the_memory_is_what_all_sequences_of_actions_make_in_an_order_of_each_repetitions_own():
    env, played = blind_cliffwalk(5), Counter()
    for sequence in itertools.product((0, 1), repeat=5):
        state = env.reset()[0]
        for action in sequence:
            played[2 * state + action] += 1
            state, _, terminated, _, _ = env.step(action)
            if terminated:
                break
    memory = study.cliffwalk_memory(5, study.generators(0, seeds=range(3)))
    assert memory.shape == (3, 2**6 - 2)
    assert all(Counter(row) == played for row in memory.tolist())
    assert len({tuple(row) for row in memory.tolist()}) == 3


def greedy_updates(states):
    """Updates that greedy replay needs in repetition 0, one number at a time."""
    (fill,), _, (start,) = (study.generators(states, i, seeds=[0]) for i in range(3))
    memory = study.cliffwalk_memory(states, [fill])[0].tolist()
    q = (0.1 * torch.randn(2 * states, generator=start, dtype=torch.float64)).tolist()
    discount, right = 1 - 1 / states, [2 * s + s % 2 for s in range(states)]
    truth = [discount ** (states - 1 - i // 2) if i in right else 0.0 for i in range(2 * states)]
    priority, updates = [float("inf")] * len(memory), 0
    while np.mean([(a - b) ** 2 for a, b in zip(q, truth, strict=True)]) >= 1e-3:
        slot = priority.index(max(priority))
        pair, target = memory[slot], 0.0
        if pair in right:
            state = pair // 2
            target = 1.0 if state == states - 1 else discount * max(q[2 * state + 2 : 2 * state + 4])
        error = target - q[pair]
        priority[slot] = abs(error)
        q[pair] += 0.25 * error
        updates += 1
    return updates


@pytest.mark.parametrize("states", [2, 5])
def test_updates_are_those_that_a_plain_loop_counts(states):
    assert study.updates_needed(states, "greedy", seeds=range(3))[0] == greedy_updates(states)


@pytest.mark.parametrize("replay", study.REPLAYS)
def test_a_repetition_does_not_depend_on_those_beside_it(replay):
    alone = study.updates_needed(3, replay, seeds=[0])
    assert study.updates_needed(3, replay, seeds=range(3))[0] == alone[0]


def test_the_oracle_takes_the_update_that_leaves_the_least_error():
    truth, q = torch.tensor([1.0, 0.0, 0.5]), torch.tensor([[0.9, 0.4, 0.5], [0.0, 0.4, 0.5]])
    error = torch.tensor([[-0.8, -0.4, 2.0], [1.0, -0.4, 0.0]])
    left = [
        [(q[s].index_fill(0, torch.tensor(i), q[s, i] + 0.25 * error[s, i]) - truth).square().sum() for i in range(3)]
        for s in range(2)
    ]
    chosen = study.Oracle(torch.empty(0), [], truth, torch.eye(3)).choose(q, error)
    assert chosen.tolist() == [[int(np.argmin(row))] for row in left]


def test_a_linear_update_moves_all_values_of_its_action():
    phi = study.features(3, "linear")
    theta = torch.linspace(-1, 1, 8, dtype=torch.float64)
    moved = phi @ (theta + 0.25 * phi[2]) - phi @ theta  # action 0 in state 1

    torch.testing.assert_close(moved, torch.tensor([0.25, 0, 0.5, 0, 0.25, 0], dtype=torch.float64))
    torch.testing.assert_close(moved, 0.25 * (phi @ phi.T)[2])


def medians(states, replays, seeds=study.SEEDS):
    return {replay: np.median(study.updates_needed(states, replay, seeds=seeds)) for replay in replays}


def test_what_is_replayed_decides_how_many_updates_six_states_need():
    of = medians(6, study.REPLAYS, range(5))
    assert of["oracle"] < of["greedy"] < of["proportional"] < of["proportional-0.01"] < of["uniform"] / 1.5


def test_what_priorities_save_grows_with_the_states_if_their_constant_is_small():
    replays = ("proportional", "proportional-0.01", "uniform")
    few, many = medians(4, replays), medians(7, replays)
    growth = {replay: many["uniform"] / many[replay] / (few["uniform"] / few[replay]) for replay in replays}

    assert growth["proportional"] > 1.9
    assert growth["proportional-0.01"] < 1.6


@pytest.mark.parametrize("replay", ["greedy", "proportional", "uniform"])
def test_linear_values_are_learned_too(replay):
    assert 20 < study.updates_needed(3, replay, "linear", range(2)).max() < 2_000


def test_the_table_and_its_figure_show_every_replay_and_what_the_paper_has(monkeypatch):
    monkeypatch.setattr(study, "LENGTHS", range(2, 4))
    table = study.cliffwalk_table()
    figure = study.cliffwalk_figure(table)

    assert table.groupby("q", sort=False).replay.nunique().to_dict() == {"tabular": 5, "linear": 4}
    assert set(table.replay[table.paper.notna()]) == set(study.PAPER)
    assert all(f">{replay}<" in figure for replay in study.REPLAYS)


# Corridor


def test_the_policy_leaves_the_best_way_once_in_a_thousand_steps():
    policy, best = study.corridor_policy(CORRIDOR), study.exact_values(CORRIDOR, 0.99).argmax(1)
    np.testing.assert_allclose(policy.sum(1), 1)
    np.testing.assert_allclose(policy[np.arange(70), best], 0.999 + 0.001 / 5)
    np.testing.assert_allclose(np.sort(policy, axis=1)[:, :4], 0.001 / 5)


def test_all_pairs_are_those_of_states_that_do_not_end_the_episode():
    (pairs,) = study.all_pairs(CORRIDOR, None, study.generators(0, seeds=[0])).tolist()
    states = Counter(pair // 5 for pair in pairs)
    assert len(set(pairs)) == len(pairs)
    assert set(states.values()) == {5}
    assert {cells()[state] for state in set(range(70)) - set(states)} == {(0, 9), (51, 9)}


def test_played_pairs_are_episodes_of_the_policy(monkeypatch):
    monkeypatch.setattr(study, "PLAYED", 1_000)
    policy = np.full((70, 5), 0.2)
    pairs = study.played_pairs(CORRIDOR, policy, study.generators(0, seeds=range(2))).numpy()
    env = corridor(5)
    for row in pairs:
        state = int(env.reset()[0].argmax())
        for pair in row:
            assert pair // 5 == state
            obs, _, terminated, _, _ = env.step(int(pair % 5))
            state = int((env.reset()[0] if terminated else obs).argmax())
    actions = np.bincount(pairs.ravel() % 5) / pairs.size
    assert np.abs(actions - 0.2).max() < 5 * np.sqrt(0.16 / pairs.size)


@pytest.mark.parametrize("actions", study.ACTIONS)
def test_both_architectures_have_about_as_many_parameters(actions):
    plain, dueling = (study.num_parameters(name, actions) for name in ("plain", "dueling"))
    assert 0.93 * plain < dueling < plain


@pytest.mark.parametrize("architecture", ["plain", "dueling"])
def test_evaluation_comes_closer_to_the_exact_values(architecture):
    errors = study.squared_errors(architecture, 5, "all", 1e-3, key=0, repetitions=2, checkpoints=(1, 400))
    assert (errors[1] < errors[0] / 2).all()
