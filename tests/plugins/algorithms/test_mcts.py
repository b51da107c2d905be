"""MCTS: it plays by its search, in self-play and where it is evaluated, and is counted for it."""

import harness_games
from harness.measuring.training import run_training
from harness_algorithms import mcts
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_games.harness_environments()}


def trained(environment, budget=16, seeds=(100,), episodes=20, **config):
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, 1, episodes, lockstep=True, views=("game",))
    run_training(trial, mcts.train, mcts.Config(**config))
    return trial


def test_it_beats_random_players_and_seldom_loses_to_perfect_ones():
    for environment, least in (("tic-tac-toe-random", 0.8), ("tic-tac-toe-minimax", -0.2)):
        run = trained(environment, seeds=(100, 101), simulations=200).runs[0]
        final = [each.value for each in run.evaluations][-20:]
        assert sum(final) / 20 >= least, environment


def test_simulations_are_told_of_self_play_alone():
    trial = trained("tic-tac-toe-random", budget=24, simulations=10, copies=8)
    assert trial.steps == 24
    assert trial.runs[0].simulated == 3 * 8 * 10


def test_a_seed_alone_is_what_it_is_among_others():
    together, alone = (trained("connect-four-random", 40, seeds, 4, simulations=12) for seeds in ((100, 101), (101,)))
    one, other = together.runs[1], alone.runs[0]
    assert [each.value for each in one.evaluations] == [each.value for each in other.evaluations]
    assert [each.value for each in one.episodes] == [each.value for each in other.episodes]
