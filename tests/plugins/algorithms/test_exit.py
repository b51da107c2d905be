"""Expert Iteration: one position of a game, what is asked of the expert, what is imitated, and when learning stops."""

import pytest
import torch

import harness_games
from harness.measuring.training import run_training
from harness_algorithms import exit as exit_
from harness_algorithms.blocks.games import acting
from harness_algorithms.blocks.networks import StackedMLP, stacked_mlp
from harness_games.rules import tic_tac_toe
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_games.harness_environments()}
SMALL = {
    "simulations": 8,
    "copies": 4,
    "gap": 10,
    "first": 2,
    "growth": 0.5,
    "value_starts": 16,
    "hidden": (16,),
    "batch_size": 8,
    "epochs": 6,
    "evaluation_simulations": 8,
}


def trial_of(environment="tic-tac-toe-minimax", budget=400, seeds=(100,), episodes=4):
    return local_trial(ENVIRONMENTS[environment], seeds, budget, 2, episodes, lockstep=True, views=("game",))


def trained(environment="tic-tac-toe-minimax", budget=400, seeds=(100,), episodes=4, **config):
    trial = trial_of(environment, budget, seeds, episodes)
    run_training(trial, exit_.train, exit_.Config(**{**SMALL, **config}))
    return trial


def apprentice_of(budget, **config):
    """One that plays in a trial which evaluates something else."""
    trial = trial_of(budget=budget)
    trial.policy = acting(tic_tac_toe, 1, lambda state: tic_tac_toe.legal(state).float())
    return exit_.Apprentice(trial, exit_.Config(**{**SMALL, **config}))


def logged(trial, name):
    return [value for _, what, value in trial.runs[0].diagnostics if what == name]


def labelled(outcome=(1.0, 0.0, torch.nan), used=(True, True, True)):
    obs = torch.tensor([[[0.3, -1.0], [1.0, 0.5], [0.0, 2.0]]])
    legal = torch.tensor([[[True, True, False], [True, True, True], [True, True, True]]])
    policy = torch.tensor([[[0.25, 0.75, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]])
    return exit_.Labelled(obs, legal, policy, torch.tensor([outcome]), torch.tensor([used]))


def test_what_is_imitated_is_the_share_of_simulations_or_the_move_that_had_most():
    visits = torch.tensor([[3.0, 0.0, 5.0, 2.0]])
    assert exit_.target(visits, "tpt").tolist() == [[pytest.approx(x) for x in (0.3, 0.0, 0.5, 0.2)]]
    assert exit_.target(visits, "cat").tolist() == [[0, 0, 1, 0]]


def test_the_loss_is_of_legal_moves_and_a_draw_is_half_a_game_won_while_an_open_one_is_none():
    network = stacked_mlp((2, 4), [torch.Generator().manual_seed(0)])
    batch = labelled()
    found, out = exit_.terms(network, batch), network(batch.obs)[0]

    crossed = [-(batch.target[0, i, :n] * out[i, :n].log_softmax(0)).sum() for i, n in enumerate((2, 3, 3))]
    won, drawn = (2 * out[i, 3] for i in (0, 1))
    valued = -won.sigmoid().log(), -(drawn.sigmoid().log() + (-drawn).sigmoid().log()) / 2
    torch.testing.assert_close(found.policy[0], sum(crossed) / 3)
    torch.testing.assert_close(found.value[0], sum(valued) / 2)


def test_the_least_loss_of_a_value_is_where_its_hyperbolic_tangent_is_the_mean_outcome():
    x = torch.tensor(0.0, requires_grad=True)
    for _ in range(300):
        outcomes = torch.tensor([1.0, 1.0, 0.0, -1.0])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(2 * x.expand(4), (outcomes + 1) / 2)
        (slope,) = torch.autograd.grad(loss, x)
        x = (x - slope).detach().requires_grad_()
    assert float(x.detach().tanh()) == pytest.approx(0.25, abs=1e-3)


def test_positions_that_are_not_used_count_for_nothing():
    network = stacked_mlp((2, 4), [torch.Generator().manual_seed(0)])
    some = exit_.terms(network, labelled((1.0, -1.0, 1.0), (True, False, False)))
    batch = labelled((1.0, -1.0, 1.0))
    one = exit_.terms(network, exit_.Labelled(*(field[:, :1] for field in batch)))
    none = exit_.terms(network, labelled(used=(False, False, False)))

    torch.testing.assert_close(some, one)
    assert [float(part.detach()) for part in none] == [0, 0]


def games_of(monkeypatch, gap, windows=12, copies=8):
    """What `Apprentice` set aside, and every position of its games: [plies, copies] of (number of the game, board)."""
    apprentice = apprentice_of(copies * gap * windows, gap=gap, copies=copies)
    played, game, step = [], torch.zeros(copies, dtype=torch.int64), apprentice.game.step

    def noted(action):
        nonlocal game
        played.append((game.tolist(), apprentice._state[0].tolist()))
        made = step(action)
        game = game + made.ended[0]
        return made

    monkeypatch.setattr(apprentice.game, "step", noted)
    kept = [apprentice.play() for _ in range(windows)]
    return apprentice, played, kept


def test_a_game_gives_one_position_at_most_and_any_of_its_plies_alike(monkeypatch):
    """What is labelled is independent: never whole games."""
    gap, copies = 10, 64
    apprentice, played, kept = games_of(monkeypatch, gap, 20, copies)
    plies, seen = [], set()
    for window, (aside, used) in enumerate(kept):
        assert used.all()
        for copy in range(copies):
            at = gap * window + int(apprentice._due[0, copy])
            games, boards = played[at]
            assert boards[copy] == aside[0, copy].tolist()
            assert (copy, games[copy]) not in seen
            seen.add((copy, games[copy]))
            plies.append(sum(bin(int(side)).count("1") for side in aside[0, copy, :2]))

    everywhere = [sum(bin(int(side)).count("1") for side in board[:2]) for _, boards in played for board in boards]
    for ply in range(6):
        expected = everywhere.count(ply) / len(everywhere)
        assert abs(plies.count(ply) / len(plies) - expected) < 0.04, ply


def test_where_the_gap_is_shorter_than_a_game_its_second_position_is_left_out(monkeypatch):
    _, played, kept = games_of(monkeypatch, 3, 30, 8)
    used = torch.stack([used[0] for _, used in kept])
    games = sum(len({games[copy] for games, _ in played}) for copy in range(8))

    assert not used.all()
    assert int(used.sum()) <= games


def test_a_position_is_told_what_came_of_its_own_game_for_who_was_to_move(monkeypatch):
    apprentice, played, kept = games_of(monkeypatch, 10)
    for window, (aside, used) in enumerate(kept):
        apprentice.add(aside, used, torch.zeros(1, 8, 9))
        for copy in range(8):
            told = float(apprentice._outcomes[window][0, copy])
            at = 10 * window + int(apprentice._due[0, copy])
            number = played[at][0][copy]
            last = [i for i, (games, _) in enumerate(played) if games[copy] == number][-1]
            mover = float(apprentice._kept[window].outcome[0, copy])  # 1 or −1, until the data are put together
            assert mover == 1 - 2 * int(aside[0, copy, 2])
            if last == len(played) - 1:
                continue  # this game may go on
            board = torch.tensor(played[last][1][copy])
            after = [tic_tac_toe.apply(board, move) for move in tic_tac_toe.legal(board).nonzero()[:, 0]]
            assert told in {float(tic_tac_toe.outcome(each)) for each in after}


def test_the_first_expert_is_guided_by_none_and_values_count_once_there_are_data_enough(monkeypatch):
    rules, weights = [], []
    searched, both = exit_.searched, exit_.evaluated_by_both

    def noted(rules_, evaluate, rule, simulations, state):
        rules.append(rule)
        return searched(rules_, evaluate, rule, simulations, state)

    def noted_weight(network, playing, weight):
        return both(network, playing, lambda: weights.append(weight()) or weight())

    monkeypatch.setattr(exit_, "searched", noted)
    monkeypatch.setattr(exit_, "evaluated_by_both", noted_weight)
    trained(act_by="network", prior_weight=7.0)  # so that all searches are the expert's

    assert [rule.second for rule in rules[:3]] == [0, 0, 7]
    switched = 5 * (8 + 1)  # rows of four positions, each of as many evaluations
    assert set(weights[:switched]) == {0.0}
    assert set(weights[switched:]) == {0.75}


def test_data_grow_by_a_share_and_a_row_at_least():
    grown = logged(trained(budget=1_000, growth=0.3), "positions")
    assert grown == [8, 12, 16, 24, 32, 44, 60, 80]


def test_plies_are_the_budget_and_simulations_are_told():
    trial = trained(budget=330)
    assert trial.steps == 330
    assert trial.runs[0].simulated == 8 * 4 * 8  # eight rows of 4 · 10 plies; the ninth was not played to its end


def test_learning_begins_from_new_weights_and_takes_the_best_where_data_are_held_out(monkeypatch):
    apprentice = apprentice_of(10_000, copies=8, epochs=40, patience=2, learning_rate=0.05)
    for _ in range(4):
        state, used = apprentice.play()
        apprentice.add(state, used, tic_tac_toe.legal(state).float().softmax(2))
    found, learners = [], []
    epoch = apprentice._epoch

    def noted(learner, optimizer, data, going_on):
        learners.append(learner.flat.detach().clone()) if not found else None
        epoch(learner, optimizer, data, going_on)
        columns = zip(*apprentice._kept, strict=True)
        held = exit_.Labelled(*(torch.stack(rows, 1)[:, :, :1].flatten(1, 2) for rows in columns))
        found.append((float(exit_.terms(learner, held).policy.detach()), learner.flat.detach().clone()))

    monkeypatch.setattr(apprentice, "_epoch", noted)
    before = apprentice.network.flat.detach().clone()
    said = apprentice.train()
    losses = [loss for loss, _ in found]
    best = losses.index(min(losses))

    assert len(losses) == min(40, best + 1 + 2)
    assert float(said["policy_loss"]) == pytest.approx(min(losses))
    assert torch.equal(apprentice.network.flat, found[best][1])
    assert not torch.equal(learners[0], before)


@pytest.mark.parametrize("act_by", ["search", "network"])
def test_a_seed_alone_is_what_it_is_among_others(act_by):
    together, alone = trained(seeds=(100, 101), act_by=act_by), trained(seeds=(101,), act_by=act_by)
    one, other = together.runs[1], alone.runs[0]
    assert [e.value for e in one.episodes] == [e.value for e in other.episodes]
    assert [e.value for e in one.evaluations] == [e.value for e in other.evaluations]
    assert one.diagnostics == other.diagnostics
    assert len(other.diagnostics) > 5


@pytest.mark.parametrize(("act_by", "evaluations"), [("network", 1), ("search", 9)])
def test_a_move_in_evaluation_costs_one_evaluation_of_the_network_or_one_for_every_simulation_and_the_root(
    act_by, evaluations, monkeypatch
):
    """So that players can be compared at equal evaluations."""
    trial = trained(act_by=act_by)
    asked, record = [], StackedMLP.record
    monkeypatch.setattr(StackedMLP, "record", lambda network, x: asked.append(x.shape[1]) or record(network, x))
    trial.policy(tic_tac_toe.observe(tic_tac_toe.initial((1, 3))))

    assert asked == [3] * evaluations
