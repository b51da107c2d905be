"""REINFORCE in self-play: its loss by hand, signs ply by ply, masks, and that it learns."""

import pytest
import torch

import harness_games
from harness.measuring.training import run_training
from harness_algorithms import reinforce_selfplay as selfplay
from harness_algorithms.blocks.networks import stacked_mlp
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_games.harness_environments()}


def trained(budget, seeds=(100,), episodes=4, environment="tic-tac-toe-random", **config):
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, 2, episodes, lockstep=True, views=("game",))
    run_training(trial, selfplay.train, selfplay.Config(**config))
    return trial


def plies(outcome, action=(1, 0, 2)):
    obs = torch.tensor([[[0.3, -1.0], [1.0, 0.5], [0.0, 2.0]]])
    legal = torch.tensor([[[True, True, False], [True, True, True], [True, True, True]]])
    return selfplay.Plies(obs, legal, torch.tensor([action]), torch.tensor([outcome]))


def test_the_loss_is_of_legal_moves_of_games_that_have_ended_and_the_baseline_is_a_constant_in_it():
    network = stacked_mlp((2, 4), [torch.Generator().manual_seed(0)])
    batch = plies((1.0, -1.0, torch.nan))
    found, out = selfplay.terms(network, batch), network(batch.obs)[0]
    log_probs = out[0, :2].log_softmax(0), out[1, :3].log_softmax(0)
    errors = 1 - out[0, 3].tanh(), -1 - out[1, 3].tanh()
    by_hand = -(log_probs[0][1] * errors[0].detach() + log_probs[1][0] * errors[1].detach()) / 2

    torch.testing.assert_close(found.policy[0], by_hand)
    torch.testing.assert_close(found.value[0], (errors[0] ** 2 + errors[1] ** 2) / 2)
    torch.testing.assert_close(found.entropy[0], -sum((x.exp() * x).sum() for x in log_probs) / 2)
    slopes = [torch.autograd.grad(loss, network.flat, retain_graph=True)[0] for loss in (found.policy[0], by_hand)]
    torch.testing.assert_close(*slopes)
    assert (network.layers_of(slopes[0])[1][0][0, 3] == 0).all()  # the value's own bias


def test_a_game_that_is_not_over_teaches_nothing():
    network = stacked_mlp((2, 4), [torch.Generator().manual_seed(0)])
    found = selfplay.terms(network, plies((torch.nan,) * 3))
    sum(found).sum().backward()

    assert (network.flat.grad == 0).all()


def test_who_won_is_told_to_make_his_moves_likelier_and_who_lost_less_likely():
    """Signs turn at every ply: z is for who moved."""
    network = stacked_mlp((2, 4), [torch.Generator().manual_seed(0)])
    for outcome, sign in ((1.0, 1), (-1.0, -1)):
        batch = selfplay.Plies(*(field[:, :1] for field in plies((outcome, 0.0, 0.0))))
        (slope,) = torch.autograd.grad(selfplay.terms(network, batch).policy[0], network.flat)
        later = network.copy()
        later.flat -= 0.01 * slope
        before, after = (n(batch.obs)[0, 0, :2].softmax(0)[1].detach() for n in (network, later))
        assert (after - before) * sign > 0


def test_all_steps_are_plies_and_none_are_simulated():
    trial = trained(130, copies=4, rollout_length=9)
    assert trial.steps == 130
    assert trial.runs[0].simulated == 0


def test_a_seed_alone_is_what_it_is_among_others():
    small = {"copies": 4, "rollout_length": 12, "hidden": (16,)}
    together, alone = trained(400, (100, 101), **small), trained(400, (101,), **small)
    one, other = together.runs[1], alone.runs[0]
    assert [e.value for e in one.episodes] == [e.value for e in other.episodes]
    assert [e.value for e in one.evaluations] == [e.value for e in other.evaluations]
    assert one.diagnostics == other.diagnostics
    assert len(other.diagnostics) > 10


def test_after_some_thousand_games_it_beats_random_players_more_often():
    trial = trained(30_000, (100, 101, 102), 60, learning_rate=3e-3, hidden=(64,))
    scores = [[each.value for each in run.evaluations] for run in trial.runs]
    before, after = (sum(sum(values[part]) for values in scores) / 180 for part in (slice(60), slice(-60, None)))
    assert after > before + 0.3


def test_what_was_learned_is_the_network_that_acts():
    """Of the moves that are legal, the likeliest: the same every time."""
    trial = local_trial(ENVIRONMENTS["tic-tac-toe-random"], (100,), 60, 1, 1, lockstep=True, views=("game",))
    run_training(trial, selfplay.train, selfplay.Config(copies=4, rollout_length=5, hidden=(8,)))
    rules = harness_games.rules.tic_tac_toe
    state = rules.apply(rules.initial((1, 9)), torch.arange(9).expand(1, 9))
    first = trial.policy(rules.observe(state))

    assert torch.equal(first, trial.policy(rules.observe(state)))
    assert rules.legal(state).gather(2, first.unsqueeze(2)).all()


@pytest.mark.parametrize("environment", ["hex-5-random", "connect-four-random"])
def test_it_plays_other_games(environment):
    assert trained(600, environment=environment, copies=4, rollout_length=50).steps == 600
