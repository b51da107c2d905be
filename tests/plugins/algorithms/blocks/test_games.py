"""What games leave behind: outcomes for who moved, once a game has ended; noise and moves by their distributions."""

import math

import pytest
import torch

from harness_algorithms.blocks import tree_search
from harness_algorithms.blocks.games import (
    Games,
    Position,
    acting,
    chance_of,
    cross_entropy,
    dirichlet,
    drawn_moves,
    evaluated_by,
    evaluated_by_both,
    evaluated_by_playing,
    gumbel_noise,
    legal_policy,
    searched,
    told,
)
from harness_algorithms.blocks.networks import stacked_mlp
from harness_games.rules import tic_tac_toe


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def row(number, mover, copies=2):
    shape = 1, copies
    return Position(
        torch.full((*shape, 1), float(number)),
        torch.ones(*shape, 3, dtype=torch.bool),
        torch.full((*shape, 3), 1 / 3),
        torch.full(shape, float(mover)),
        torch.full(shape, torch.nan),
    )


def outcomes(games):
    """By copy, the outcomes in the order in which rows were added."""
    *_, kept = games._fields
    return kept[0].T.tolist()


def test_an_outcome_is_told_to_every_ply_of_its_game_for_who_moved_and_to_no_other():
    games = Games(8, lambda: torch.zeros(1, 1))
    never, second = torch.tensor([[False, False]]), torch.tensor([[False, True]])
    games.add(row(0, 1), never, torch.zeros(1, 2))
    games.add(row(1, -1), second, torch.tensor([[0.0, 1.0]]))  # the second game ends, won by the first player
    games.add(row(2, 1), torch.tensor([[True, False]]), torch.tensor([[-1.0, 0.0]]))  # the first, by the second
    games.add(row(3, -1), second, torch.tensor([[0.0, 0.0]]))  # a draw after two plies

    first, other = outcomes(games)
    assert first[:3] == [-1, 1, -1]
    assert math.isnan(first[3])
    assert other[:4] == [1, -1, 0, 0]


def test_a_game_longer_than_what_is_kept_tells_the_rows_that_are_left():
    games = Games(3, lambda: torch.zeros(1, 1))
    for number in range(5):
        ended = torch.full((1, 2), number == 4)
        games.add(row(number, 1), ended, torch.ones(1, 2))

    assert all(each == [1, 1, 1] for each in outcomes(games))
    assert len(games) == 6


def test_samples_are_of_every_position_alike():
    chance = torch.Generator().manual_seed(0)
    games = Games(4, lambda: torch.rand(1, 4_000, generator=chance, dtype=torch.float64))
    for number in range(3):
        games.add(row(number, 1), torch.tensor([[False, False]]), torch.zeros(1, 2))

    shares = games.sample().obs.flatten().long().bincount(minlength=4) / 4_000
    assert shares[3] == 0
    assert ((shares[:3] - 1 / 3).abs() < 0.03).all()


@pytest.mark.parametrize("concentration", [0.3, 2.0])
def test_noise_is_dirichlets_over_legal_moves(concentration):
    legal = torch.tensor([True, False, True, True, True]).expand(1, 20_000, 5)
    noise = dirichlet(concentration, legal, seeded(0))[0]

    assert (noise[:, 1] == 0).all()
    torch.testing.assert_close(noise.sum(1), torch.ones(20_000))
    variance = 1 / 4 * 3 / 4 / (4 * concentration + 1)  # of a component of a symmetric Dirichlet of four
    torch.testing.assert_close(noise[:, legal[0, 0]].mean(0), torch.full((4,), 0.25), atol=0.01, rtol=0)
    torch.testing.assert_close(noise[:, 0].var(), torch.tensor(variance), atol=0.1 * variance, rtol=0)


def test_gumbel_noise_is_gumbels():
    noise = gumbel_noise(torch.ones(1, 40_000, 2, dtype=torch.bool), seeded(0)).double()
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)  # Euler's constant
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, rel=0.03)
    logits = torch.tensor([0.0, math.log(3)])
    assert float((noise[0] + logits).argmax(1).double().mean()) == pytest.approx(0.75, abs=0.01)


def test_noise_of_a_seed_is_its_own():
    legal = torch.ones(2, 3, 5, dtype=torch.bool)
    both = gumbel_noise(legal, seeded(4, 7))
    assert torch.equal(both[1:], gumbel_noise(legal[:1], seeded(7)))
    both = dirichlet(0.5, legal, seeded(4, 7))
    assert torch.equal(both[1:], dirichlet(0.5, legal[:1], seeded(7)))


def test_a_network_sees_positions_of_its_own_seed():
    network = stacked_mlp((27, 8, 10), seeded(1, 2))
    state = tic_tac_toe.apply(tic_tac_toe.initial((6,)), torch.arange(6))
    both = evaluated_by(network, tic_tac_toe, 2, torch.device("cpu"))(state)
    alone = stacked_mlp((27, 8, 10), seeded(2))
    second = evaluated_by(alone, tic_tac_toe, 1, torch.device("cpu"))(state[3:])

    torch.testing.assert_close(both.logits[3:], second.logits)
    torch.testing.assert_close(both.value[3:], second.value)
    assert (both.value.abs() < 1).all()


def expected(state):
    """The first player's mean outcome of random games from one position, by going through all of them."""
    told = float(tic_tac_toe.outcome(state)[0])
    if not math.isnan(told):
        return told
    moves = tic_tac_toe.legal(state)[0].nonzero()[:, 0]
    return sum(expected(tic_tac_toe.apply(state, move[None])) for move in moves) / len(moves)


@pytest.mark.parametrize("player", [0, 1])
def test_random_games_are_worth_what_they_come_to_for_who_is_to_move(player):
    state = torch.tensor([[0b000000011, 0b100011000, player, 0]])
    value = evaluated_by_playing(tic_tac_toe, chance_of(seeded(0)))(state.repeat(20_000, 1)).value

    assert set(value.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert abs(float(value.mean()) - (1 - 2 * player) * expected(state)) < 0.02


def test_search_by_random_games_finds_the_only_move_that_does_not_lose():
    evaluate = evaluated_by_playing(tic_tac_toe, chance_of(seeded(0)))
    threatened = torch.tensor([[1 << 0 | 1 << 8, 1 << 4 | 1 << 1, 0, 0]])  # 7 must be taken
    forest = searched(tic_tac_toe, evaluate, tree_search.uct(1.4), 300, threatened)

    assert int(forest.visits.argmax()) == 7


def test_a_seeds_random_games_are_its_own_however_long_those_of_others_last():
    short = torch.tensor([[0b001011011, 0b110100100, 0, 0]])  # one cell more
    state = torch.cat((short, tic_tac_toe.initial((1,))))
    later = []
    for seeds in ((5, 6), (5,)):
        generators = seeded(*seeds)
        evaluate = evaluated_by_playing(tic_tac_toe, chance_of(generators))
        evaluate(state[: len(seeds)])
        later.append(float(torch.rand(1, generator=generators[0])))

    assert later[0] == later[1]


def test_illegal_moves_are_masked_before_softmax_and_have_no_share():
    logits = torch.tensor([1.0, 90.0, 0.0, -1.0])
    legal = torch.tensor([True, False, True, True])
    policy = legal_policy(logits, legal)

    assert policy[1] == 0
    torch.testing.assert_close(policy[legal], logits[legal].softmax(0))


def test_cross_entropy_is_of_legal_moves_alone_and_so_are_its_slopes():
    logits = torch.tensor([1.0, 90.0, 0.0, -1.0], requires_grad=True)
    legal, policy = torch.tensor([True, False, True, True]), torch.tensor([0.5, 0.0, 0.3, 0.2])
    loss = cross_entropy(logits, legal, policy)
    loss.backward()

    torch.testing.assert_close(loss, -(policy[legal] * logits[legal].log_softmax(0)).sum())
    torch.testing.assert_close(logits.grad, legal_policy(logits.detach(), legal) - policy)


def test_moves_are_drawn_by_their_shares_and_one_without_is_never():
    policy = torch.tensor([0.0, 0.5, 0.2, 0.3, 0.0]).expand(1, 30_000, 5)
    chance = torch.rand(1, 30_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = drawn_moves(policy, chance).flatten().bincount(minlength=5) / 30_000
    edges = torch.tensor([[0.0, 1.0 - 2**-53]], dtype=torch.float64)

    torch.testing.assert_close(shares, policy[0, 0], atol=0.01, rtol=0)
    assert drawn_moves(policy[:, :2], edges).tolist() == [[1, 3]]


def test_the_outcome_is_that_of_a_plys_own_game_and_a_draw_is_not_a_game_that_goes_on():
    ended = torch.tensor([[False, True, False, True, False]]).unsqueeze(2)
    outcome = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0]]).unsqueeze(2)
    found = told(outcome, ended)[0, :, 0]

    assert found[:4].tolist() == [1, 1, 0, 0]
    assert found[4].isnan()


def test_values_of_a_network_and_of_random_games_are_mixed_by_weight():
    state = tic_tac_toe.initial((400,))
    network = stacked_mlp((27, 10), seeded(0))
    thought = evaluated_by(network, tic_tac_toe, 1, torch.device("cpu"))
    playing = evaluated_by_playing(tic_tac_toe, chance_of(seeded(1)))
    outcomes = evaluated_by_playing(tic_tac_toe, chance_of(seeded(1)))(state).value
    weights = [0.75]
    mixed = evaluated_by_both(thought, playing, lambda: weights[-1])

    value, logits = thought(state).value, thought(state).logits
    torch.testing.assert_close(mixed(state).value, 0.75 * value + 0.25 * outcomes)
    torch.testing.assert_close(mixed(state).logits, logits)
    weights.append(0.0)
    assert set(mixed(state).value.unique().tolist()) <= {-1.0, 0.0, 1.0}
    weights.append(1.0)
    assert torch.equal(mixed(state).value, value)


def test_who_is_evaluated_takes_the_legal_move_that_is_preferred_most():
    state = tic_tac_toe.apply(tic_tac_toe.initial((2, 3)), torch.tensor([[8, 7, 6], [0, 1, 2]]))
    act = acting(tic_tac_toe, 2, lambda positions: torch.arange(9.0).expand(len(positions), 9))
    assert act(tic_tac_toe.observe(state)).tolist() == [[7, 8, 8], [8, 8, 8]]
