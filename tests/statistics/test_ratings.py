import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from harness.statistics.ratings import ELO, bounded_by, elo_ratings, linked

PAIR = np.array([[1, 0]])
RING = np.array([[0, 1], [1, 2], [2, 3], [3, 0], [1, 3]])


def expected(ratings, matches):
    """By definition, and not by the logistic function."""
    return 1 / (1 + 10 ** (-(ratings[..., matches[:, 0]] - ratings[..., matches[:, 1]]) / 400))


def everybody(players):
    return np.array([(i, j) for i in range(players) for j in range(i)])


def test_three_quarters_of_all_games_are_190_8_points():
    assert elo_ratings([0.75], [100], PAIR, prior=0) == pytest.approx([0, 400 * np.log10(3)])
    assert round(elo_ratings([0.75], [100], PAIR, prior=0)[1], 1) == 190.8


def test_who_won_all_n_games_is_rated_as_if_half_a_game_of_n_and_one_had_been_lost():
    assert elo_ratings([1.0], [20], PAIR)[1] == pytest.approx(400 * np.log10(20.5 / 0.5))
    assert elo_ratings([0.0], [20], PAIR)[1] == pytest.approx(-400 * np.log10(20.5 / 0.5))


def test_without_the_drawn_game_who_won_all_has_no_rating():
    with pytest.raises(ValueError, match="no maximum"):
        elo_ratings([1.0], [20], PAIR, prior=0)


def test_ratings_are_those_of_the_highest_likelihood_that_scipy_finds():
    rng = np.random.default_rng(0)
    matches, games = everybody(5), rng.integers(5, 50, 10).astype(float)
    shares = rng.uniform(0.1, 0.9, 10)

    def loss(strengths):
        chance = expected(ELO * np.array([0, *strengths]), matches)
        scored = games * shares + 0.5, games * (1 - shares) + 0.5
        return -(scored[0] @ np.log(chance) + scored[1] @ np.log(1 - chance))

    found = minimize(loss, np.zeros(4), tol=1e-12).x
    assert elo_ratings(shares, games, matches)[1:] == pytest.approx(ELO * found, abs=0.01)


def test_known_ratings_are_recovered_from_simulated_games():
    rng = np.random.default_rng(0)
    true = np.array([0, 120, -340, 500, 60, 250, -90])
    matches = everybody(7)
    shares = rng.binomial(400, expected(true, matches), (200, len(matches))) / 400
    found = elo_ratings(shares, np.full(len(matches), 400), matches)
    error = found.std(axis=0)
    assert (error[1:] < 20).all()
    assert np.abs(found.mean(axis=0) - true)[1:] == pytest.approx(0, abs=4 * error.max() / np.sqrt(200))


def test_many_samples_at_once_are_each_by_itself():
    shares = np.random.default_rng(1).uniform(size=(3, 7, 5))
    games = np.array([10, 20, 30, 5, 8])
    found = elo_ratings(shares, games, RING)
    assert found.shape == (3, 7, 4)
    assert found[1, 2] == pytest.approx(elo_ratings(shares[1, 2], games, RING), abs=1e-6)


def test_one_hopeless_player_does_not_keep_the_others_from_their_ratings():
    matches = np.array([[1, 0], [2, 0], [3, 2]])
    found = elo_ratings([1.0, 0.5, 0.0], [1e6, 10, 1e6], matches)
    assert found[1] > 2_000
    assert found[2] == pytest.approx(0, abs=1e-6)
    assert found[3] < -2_000


shares_of_ring = st.lists(st.floats(0, 1), min_size=5, max_size=5).map(np.array)
games_of_ring = st.lists(st.integers(1, 1_000), min_size=5, max_size=5).map(np.array)


@settings(deadline=None, max_examples=50)
@given(shares_of_ring, games_of_ring, st.permutations(range(5)), st.lists(st.booleans(), min_size=5, max_size=5))
def test_neither_the_order_of_matches_nor_who_is_named_first_matters(shares, games, order, turned):
    order, turned = np.array(order), np.array(turned)
    matches = np.where(turned[:, None], RING[:, ::-1], RING)[order]
    told = np.where(turned, 1 - shares, shares)[order]
    assert elo_ratings(told, games[order], matches) == pytest.approx(elo_ratings(shares, games, RING), abs=1e-5)


@settings(deadline=None, max_examples=50)
@given(shares_of_ring, games_of_ring, st.integers(1, 3))
def test_another_anchor_adds_a_constant(shares, games, anchor):
    usual, renamed = elo_ratings(shares, games, RING), (RING - anchor) % 4
    other = elo_ratings(shares, games, renamed)[(np.arange(4) - anchor) % 4]
    assert other - other[0] == pytest.approx(usual, abs=1e-5)


@settings(deadline=None, max_examples=50)
@given(shares_of_ring, games_of_ring)
def test_each_player_scored_what_was_to_be_expected(shares, games):
    chance = expected(elo_ratings(shares, games, RING), RING)
    beyond = games * shares + 0.5 - (games + 1) * chance
    for player in range(4):
        sign = (RING[:, 0] == player).astype(int) - (RING[:, 1] == player)
        assert sign @ beyond == pytest.approx(0, abs=1e-5)


@settings(deadline=None, max_examples=50)
@given(shares_of_ring, games_of_ring, st.integers(0, 4), st.floats(0, 1))
def test_more_points_raise_who_won_them_above_the_loser(shares, games, match, more):
    better = shares.copy()
    better[match] = max(shares[match], more)
    one, two = RING[match]
    before, after = elo_ratings(shares, games, RING), elo_ratings(better, games, RING)
    assert after[one] - after[two] >= before[one] - before[two] - 1e-5


def test_games_bound_a_rating_only_along_chains_of_points():
    chain = np.array([[1, 0], [2, 1]])

    def bounds(*shares):
        return [list(map(bool, end)) for end in bounded_by(shares, chain)]

    assert bounds(0.5, 0.5) == [[True] * 3, [True] * 3]
    assert bounds(1.0, 0.5) == [[True] * 3, [True, False, False]]
    assert bounds(0.5, 0.0) == [[True, True, False], [True] * 3]
    assert bounds(1.0, 0.0) == [[True, True, False], [True, False, False]]
    both = bounded_by([[1.0, 0.5], [0.5, 0.0]], chain)
    assert both[1].tolist() == [[True, False, False], [True, True, True]]


def test_groups_are_what_no_match_links():
    assert linked(np.array([[3, 1], [4, 1], [2, 0]]), 6).tolist() == [0, 1, 0, 1, 1, 2]
