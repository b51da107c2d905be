"""AlphaZero: its loss by hand, moves by its rule, what noise may touch, and that it learns to lose less."""

import pytest
import torch

import harness_games
from harness.measuring.training import run_training
from harness_algorithms import alphazero
from harness_algorithms.blocks.games import Position
from harness_algorithms.blocks.networks import stacked_mlp
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_games.harness_environments()}
SMALL = {
    "simulations": 6,
    "copies": 4,
    "hidden": (16,),
    "batch_size": 8,
    "kept_plies": 16,
    "learning_starts": 20,
    "evaluation_simulations": 6,
}


def trained(environment="tic-tac-toe-minimax", budget=120, seeds=(100,), episodes=4, **config):
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, 2, episodes, lockstep=True, views=("game",))
    run_training(trial, alphazero.train, alphazero.Config(**{**SMALL, **config}))
    return trial


def scores(run):
    """The mean return of every evaluation."""
    episodes = len(run.evaluations) // 3
    values = [each.value for each in run.evaluations]
    return [sum(values[i * episodes : (i + 1) * episodes]) / episodes for i in range(3)]


def logged(trial, name):
    return [value for _, what, value in trial.runs[0].diagnostics if what == name]


def test_the_loss_is_of_legal_moves_and_of_games_that_have_ended():
    network = stacked_mlp((2, 4), [torch.Generator().manual_seed(0)])
    obs = torch.tensor([[[0.3, -1.0], [1.0, 0.5], [0.0, 2.0]]])
    legal = torch.tensor([[[True, True, False], [True, True, True], [True, True, True]]])
    policy = torch.tensor([[[0.25, 0.75, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]])
    outcome = torch.tensor([[1.0, -1.0, torch.nan]])
    found = alphazero.terms(network, Position(obs, legal, policy, outcome, outcome), 0.0)

    out = network(obs)[0]
    crossed = -(policy[0, 0, :2] * out[0, :2].log_softmax(0)).sum() - (policy[0, 1] * out[1, :3].log_softmax(0)).sum()
    squares = (1 - out[0, 3].tanh()).square() + (-1 - out[1, 3].tanh()).square()
    torch.testing.assert_close(found.policy[0], crossed / 2)
    torch.testing.assert_close(found.value[0], squares / 2)


def test_moves_are_drawn_in_the_first_plies_and_are_the_likeliest_then():
    policy = torch.tensor([0.0, 0.5, 0.2, 0.3]).expand(1, 30_000, 4)
    chance = torch.rand(1, 30_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = alphazero.Found(policy, policy.argmax(2))
    drawn = alphazero.moves(found, torch.ones(1, 30_000, dtype=torch.bool), chance)
    later = alphazero.moves(found, torch.zeros(1, 30_000, dtype=torch.bool), chance)

    shares = drawn.flatten().bincount(minlength=4) / 30_000
    torch.testing.assert_close(shares, policy[0, 0], atol=0.01, rtol=0)
    assert (later == 1).all()


@pytest.mark.parametrize("how", [{"act_by": "search"}, {"act_by": "network"}, {"search": "gumbel"}], ids=repr)
def test_evaluation_draws_nothing(how):
    """The same positions are answered alike: there is neither noise nor a temperature."""
    trial = local_trial(ENVIRONMENTS["tic-tac-toe-minimax"], (100, 101), 60, 1, 1, lockstep=True, views=("game",))
    run_training(trial, alphazero.train, alphazero.Config(**{**SMALL, **how}))
    rules = harness_games.rules.tic_tac_toe
    state = rules.apply(rules.initial((2, 5)), torch.arange(5).expand(2, 5))
    obs = rules.observe(state)
    first = trial.policy(obs)
    assert all(torch.equal(first, trial.policy(obs)) for _ in range(5))
    assert rules.legal(state).gather(2, first.unsqueeze(2)).all()


def test_plies_are_the_budget_and_simulations_are_told():
    trial = trained(budget=122)
    assert trial.steps == 122
    assert trial.runs[0].simulated == 31 * 4 * 6  # 122 plies of four games are 31 searches


def test_before_a_game_has_ended_nothing_is_learned_and_no_weight_decays():
    network = stacked_mlp((2, 4), [torch.Generator().manual_seed(seed) for seed in range(2)])
    outcome = torch.tensor([[torch.nan] * 3, [torch.nan, 1.0, torch.nan]])
    legal, policy = torch.ones(2, 3, 3, dtype=torch.bool), torch.full((2, 3, 3), 1 / 3)
    found = alphazero.terms(network, Position(torch.ones(2, 3, 2), legal, policy, outcome, outcome), 0.1)
    sum(found).sum().backward()

    assert (network.flat.grad[0] == 0).all()
    assert (network.flat.grad[1] != 0).any()
    torch.testing.assert_close(found.decay[1], 0.1 * network.flat[1].square().sum())


@pytest.mark.parametrize("how", [{"reuse": True}, {"reuse": False}, {"search": "gumbel"}], ids=repr)
def test_a_seed_alone_is_what_it_is_among_others(how):
    together, alone = trained(seeds=(100, 101), **how), trained(seeds=(101,), **how)
    assert [e.value for e in together.runs[1].episodes] == [e.value for e in alone.runs[0].episodes]
    assert together.runs[1].diagnostics == alone.runs[0].diagnostics
    assert len(alone.runs[0].diagnostics) > 10


def player_of(**config):
    trial = local_trial(ENVIRONMENTS["tic-tac-toe-minimax"], (100,), 60, 1, 1, lockstep=True, views=("game",))
    rules = harness_games.rules.tic_tac_toe
    network = stacked_mlp((27, 8, 10), [torch.Generator().manual_seed(0)])
    return alphazero.Player(trial, rules, network, alphazero.Config(**{**SMALL, **config})), rules


@pytest.mark.parametrize("reuse", [True, False])
def test_noise_is_added_anew_to_a_root_whose_tree_is_reused(reuse):
    player, rules = player_of(reuse=reuse, simulations=30, noise_share=0.5)
    state, none = rules.initial((1, 4)), torch.zeros(1, 4, dtype=torch.bool)
    best = player.search(state).best
    after = rules.apply(state, best)
    player.go_on(best, after, none)
    kept = 0 if player._forest is None else player._forest.visits.sum(1)
    assert (torch.as_tensor(kept) > 0).all() == reuse

    player.search(after)
    plain = player.evaluate(after.flatten(0, 1)).logits.masked_fill(~rules.legal(after[0]), -torch.inf).softmax(1)
    noise = (player._forest.prior - 0.5 * plain) / 0.5
    torch.testing.assert_close(noise.sum(1), torch.ones(4))
    assert (noise > -1e-6).all()
    assert (noise.std(1) > 0.01).all()
    assert (player._forest.visits.sum(1) == 30 + kept).all()


def test_pi_is_the_share_of_simulations_and_none_of_illegal_moves():
    player, rules = player_of(reuse=False, simulations=40)
    state = rules.apply(rules.initial((1, 9)), torch.arange(9).expand(1, 9))
    found = player.search(state)

    torch.testing.assert_close(found.policy, player._forest.visits.view(1, 9, 9) / 40)
    assert (found.policy[~rules.legal(state)] == 0).all()
    assert torch.equal(found.best, found.policy.argmax(2))


def test_gumbel_makes_the_move_that_halving_ends_with_and_teaches_the_improved_policy():
    player, rules = player_of(search="gumbel", simulations=16, considered=4)
    state = rules.initial((1, 9))
    found = player.search(state)

    assert torch.equal(found.best.flatten(), player._forest.best)
    assert torch.equal(found.policy[0], player._forest.improved)
    assert (player._forest.visits > 0).sum(1).tolist() == [4] * 9
    assert len(found.best.unique()) > 1  # noise draws
    player.go_on(found.best, rules.apply(state, found.best), torch.zeros(1, 9, dtype=torch.bool))
    assert player._forest is None


def test_after_some_hundred_games_it_loses_less_to_perfect_play():
    trial = trained(budget=3_000, episodes=60, seeds=(100, 101, 102), simulations=24, copies=16, updates=4,
                    batch_size=64, kept_plies=64, learning_starts=200, hidden=(64,))  # fmt: skip
    before, after = (sum(scores(run)[i] for run in trial.runs) / 3 for i in (0, 2))
    assert after > before + 0.1
