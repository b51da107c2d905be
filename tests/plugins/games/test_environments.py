"""The games as environments: what an agent of one colour sees, and their scores."""

import importlib.util
import math
import subprocess
import sys
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import harness_games
from harness.conformance.views import require_whole_game
from harness.contract.specs import as_json, environment_from_json
from harness.contract.trial import BudgetExhausted
from harness.measuring.environments import make
from harness_games import players
from harness_games.boards.tic_tac_toe import TicTacToe
from support.paths import ROOT
from support.trial import local_trial

SPECS = {spec.name: spec for spec in harness_games.harness_environments()}
QUICK = [name for name in SPECS if "mcts" not in name]


def loaded(folder, name):
    location = importlib.util.spec_from_file_location(name, ROOT / "plugins" / folder / f"{name}.py")
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


def legal(env, obs):
    return np.flatnonzero(obs[-int(env.action_space.n) :])


def test_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, harness_games as e; list(e.harness_environments()); "
        "print([m for m in ('gymnasium', 'numpy', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", SPECS)
def test_descriptions_survive_json_and_scores_are_in_order(name):
    spec = SPECS[name]
    assert environment_from_json(as_json(spec)) == spec
    assert spec.random_score.episodes >= 1_000
    assert -1 <= spec.random_score.value < spec.threshold <= spec.reference_score.value <= spec.highest_return


@pytest.mark.parametrize("name", SPECS)
def test_gymnasium_finds_nothing_to_warn_about(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(SPECS[name]).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("name", QUICK)
def test_the_rules_for_self_play_are_whole(name):
    require_whole_game(SPECS[name])


@pytest.mark.parametrize("name", SPECS)
def test_a_seed_gives_its_games_and_another_seed_others(name):
    def played(seed):
        env = make(SPECS[name])
        rows = [env.reset(seed=seed)[0]]
        for _ in range(4):
            obs, _, over, _, _ = env.step(legal(env, rows[-1])[0])
            rows.append(obs if not over else env.reset()[0])
        return np.concatenate(rows).tolist()

    assert played(3) == played(3)
    assert len({tuple(played(seed)) for seed in range(8)}) > 1


@pytest.mark.parametrize("name", QUICK)
def test_colours_take_turns(name):
    env = make(SPECS[name])
    cells = len(env.unwrapped.board.cells)
    start = 2 if "othello" in name else 0

    def second(seed=None):
        """Whether the opponent has moved already; in Othello it then has four discs and the agent one."""
        obs, _ = env.reset(seed=seed)
        return int(obs[cells : 2 * cells].sum()) > start

    first = [second(seed) for seed in range(40)]
    assert 8 < sum(first) < 32
    assert [second() for _ in range(6)] == [not first[-1], first[-1]] * 3


@pytest.mark.parametrize("name", QUICK)
def test_an_illegal_move_loses_at_once_and_is_told(name):
    env = make(SPECS[name])
    obs, _ = env.reset(seed=0)
    while not len(illegal := np.setdiff1d(np.arange(env.action_space.n), legal(env, obs))):
        obs, _, over, *_ = env.step(0)  # of connect four, until the column is full
        obs = env.reset()[0] if over else obs
    obs, reward, terminated, truncated, info = env.step(illegal[0])
    assert (reward, terminated, truncated, info) == (-1.0, True, False, {"illegal": True})
    assert not len(legal(env, obs))


@pytest.mark.parametrize("name", QUICK)
def test_legal_moves_are_observed_and_outcomes_paid_at_the_end(name):
    env = make(SPECS[name])
    env.reset(seed=1)
    chance, told = np.random.default_rng(0), []
    for _ in range(60):
        obs, over = env.reset()[0], False
        while not over:
            obs, reward, over, truncated, info = env.step(chance.choice(legal(env, obs)))
            assert info == {"illegal": False}
            assert not truncated
            assert over or reward == 0
        assert not len(legal(env, obs))
        told.append(reward)
    assert set(told) <= {-1.0, 0.0, 1.0}
    assert -1.0 in told
    assert ("minimax" in name) == (1.0 not in told)


def test_the_end_is_seen_by_the_agent_whoever_moved_last():
    """A line is the agent's own where it has won, and the opponent's where it has lost."""
    env, lines = make(SPECS["tic-tac-toe-random"]), np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6]])
    env.reset(seed=2)
    chance, found = np.random.default_rng(0), set()
    for _ in range(100):
        obs, over = env.reset()[0], False
        while not over:
            obs, reward, over, *_ = env.step(chance.choice(legal(env, obs)))
        own, other = (obs[part][lines].all(1).any() for part in (slice(0, 9), slice(9, 18)))
        assert not (own and reward != 1) and not (other and reward != -1)
        found |= {reward} if own or other else set()
    assert found == {1.0, -1.0}


# Scores


def test_the_reference_against_random_moves_is_the_best_replys():
    board = TicTacToe()

    @cache
    def best(position, mine):
        told = board.outcome(position)
        if told is not None:
            return told if mine else -told
        values = [best(board.after(position, move), not mine) for move in board.legal(position)]
        return max(values) if mine else sum(values) / len(values)

    exact = (best(board.start, True) + best(board.start, False)) / 2
    assert SPECS["tic-tac-toe-random"].reference_score.value == pytest.approx(exact, abs=1e-12)


def test_perfect_play_against_search_can_be_measured_again():
    told = loaded("games", "measure_reference").outcomes("mcts-50", 300)
    kept = SPECS["tic-tac-toe-mcts-50"].reference_score
    assert abs(np.mean(told) - kept.value) < 5 * np.std(told) / math.sqrt(len(told))


@pytest.mark.parametrize("name", [*QUICK, "tic-tac-toe-mcts-50"])
def test_random_scores_can_be_measured_again(name):
    measure = loaded("environments", "measure_random_scores")
    fresh, kept = measure.score(measure.random_returns(SPECS[name], 200)), SPECS[name].random_score
    assert abs(fresh.value - kept.value) <= 5 * math.hypot(fresh.standard_error, kept.standard_error)


def test_perfect_play_draws_every_game_against_minimax():
    env = make(SPECS["tic-tac-toe-minimax"])
    env.reset(seed=0)
    for _ in range(20):
        over, _ = False, env.reset()
        while not over:
            _, reward, over, _, _ = env.step(players.best_moves(env.unwrapped.position)[0])
        assert reward == SPECS["tic-tac-toe-minimax"].reference_score.value == 0


# Self-play


@pytest.mark.parametrize("name", QUICK)
def test_a_trial_plays_the_game_against_itself_and_meters_every_ply(name):
    trial = local_trial(SPECS[name], seeds=(0, 1), budget=64, lockstep=True, views=("game",))
    trial.policy = lambda obs: torch.zeros(obs.shape[:2], dtype=torch.int64)
    try:
        game, generator = trial.make_game(8), torch.Generator().manual_seed(0)
        state = game.reset()
        while trial.within_budget:
            allowed = game.rules.legal(state)
            state = game.step((torch.rand(allowed.shape, generator=generator) * allowed).argmax(-1)).state
    except BudgetExhausted:
        pass
    assert trial.steps == 64
    assert all(abs(episode.value) <= 1 for run in trial.runs for episode in run.episodes)


# Drawings


@pytest.mark.parametrize("name", QUICK)
def test_a_drawing_has_the_stones_that_the_agent_sees(name):
    env = make(SPECS[name], "ansi")
    chance = np.random.default_rng(0)
    for seed in range(4):
        obs, _ = env.reset(seed=seed)
        over = False
        while not over:
            head, *rows = env.render().split("\n")
            own, other = ("XO", "OX")[head == "agent: O"]
            marks = np.array([row.split() for row in rows])
            if name.startswith("hex") and own == "O":
                marks = marks.T  # whose own sides are left and right
            count = marks.size
            assert (marks.ravel() == own).tolist() == (obs[:count] == 1).tolist()
            assert (marks.ravel() == other).tolist() == (obs[count : 2 * count] == 1).tolist()
            obs, _, over, _, _ = env.step(chance.choice(legal(env, obs)))
        assert env.render().startswith(head)


def test_the_final_position_is_drawn_whoever_moved_last():
    env = make(SPECS["tic-tac-toe-random"], "ansi")
    ends = set()
    for seed in range(30):
        obs, _ = env.reset(seed=seed)
        over = False
        while not over:
            obs, reward, over, _, _ = env.step(legal(env, obs)[0])
        head, *rows = env.render().split("\n")
        marks = np.array([row.split() for row in rows])
        lines = [*marks, *marks.T, marks.diagonal(), marks[::-1].diagonal()]
        won = {line[0] for line in map(list, lines) if len({*line}) == 1 and line[0] != "."}
        assert won == {"XO"[(head[-1] == "O") == (reward > 0)]} if reward else not won
        ends.add(reward)
    assert ends >= {1.0, -1.0}


def test_a_drawing_tells_of_an_illegal_move_and_the_next_game_does_not():
    env = make(SPECS["tic-tac-toe-random"], "ansi")
    obs, _ = env.reset(seed=0)
    for _ in range(2):
        assert "illegal" not in env.render()
        env.step(legal(env, obs)[0])
    assert "illegal" in env.render()
    env.reset()
    assert "illegal" not in env.render()


def test_rows_of_hex_lean_to_the_right():
    env = make(SPECS["hex-5-random"], "ansi")
    env.reset(seed=1)
    assert [len(row) - len(row.lstrip()) for row in env.render().split("\n")[1:]] == [0, 1, 2, 3, 4]
