"""How strong players are, from who scored how much against whom: Bradley and Terry's model on Elo's logistic scale.

Who is rated d points above another scores 1 / (1 + 10^(-d / 400)) of a game, a draw being half of one (Bradley & Terry,
1952, doi:10.2307/2334029; Elo, 1978). Ratings are those of the highest likelihood. A *match* is all games of two
players, of P; player 0 is the anchor, rated 0. Everything is over any number of samples at once, [..., M] of M matches.
"""

from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.sparse import csgraph

from harness.statistics.runs import Floats, Integers

ELO = 400 / log(10)  # points for each unit of the logarithm of odds
PRIOR = 1.0  # drawn games that are added to every match
EXACT = 1e-10  # units of the logarithm of odds
MOST_STEPS = 200  # of Newton's; ten are usual, and more than forty only rounding asks for


def elo_ratings(shares: ArrayLike, games: ArrayLike, matches: Integers, prior: float = PRIOR) -> Floats:
    """The rating of each player, [..., P], in points of Elo above player 0.

    Likelihood alone has no maximum where somebody won all games. So, as is usual (BayesElo, for one), drawn games are
    added: of two players, one is Jeffreys' prior.

    Args:
        shares: [..., M] what the first player of each match scored, of all its games: 1 is all won.
        games: [M] of each match.
        matches: [M, 2] the players of each, numbered from 0; all must be linked by matches.
        prior: how many drawn games each match has besides.

    Raises:
        ValueError: without a prior, for games that leave some rating unbounded.
    """
    shares, games = np.asarray(shares, float), np.asarray(games, float)
    if not prior and not np.all(bounded_by(shares, matches)):
        raise ValueError("the likelihood of these games has no maximum: somebody won or lost all that counts")
    meets = _incidence(matches)
    scored, weight = shares * games + prior / 2, games + prior
    ratings = np.zeros((*shares.shape[:-1], meets.shape[1]))
    for _ in range(MOST_STEPS):
        expected = special.expit(ratings @ meets.T)
        slope = (scored - weight * expected) @ meets
        curvature = np.einsum("...m,mp,mq->...pq", weight * expected * (1 - expected), meets, meets, optimize=True)
        step = np.linalg.solve(curvature[..., 1:, 1:], slope[..., 1:, None])[..., 0]
        furthest = np.abs(step @ meets[:, 1:].T).max(axis=-1, keepdims=True)
        # So long a step never overshoots on a logistic likelihood (Sun & Tran-Dinh, 2019, arXiv:1703.04599, for ν = 2).
        ratings[..., 1:] += step * np.log1p(furthest) / np.where(furthest == 0, 1, furthest)
        if not (furthest > EXACT).any():
            break
    return np.asarray(ELO * ratings)


def bounded_by(shares: ArrayLike, matches: Integers) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether games bound each rating from below, and from above, without any prior; bool [..., P] each.

    From below where there is a chain of players from it to player 0 of whom each scored against the next; from above
    where there is one back (Ford, 1957, doi:10.2307/2308513).
    """
    shares = np.asarray(shares, float)
    players = _incidence(matches).shape[1]
    reaches = np.zeros((*shares.shape[:-1], players, players), bool)
    reaches[..., range(players), range(players)] = True
    for match, (one, two) in enumerate(matches):
        reaches[..., one, two] |= shares[..., match] > 0
        reaches[..., two, one] |= shares[..., match] < 1
    for _ in range(players.bit_length()):
        reaches = reaches @ reaches
    return reaches[..., :, 0], reaches[..., 0, :]


def linked(matches: Integers, players: int) -> Integers:
    """The group of each player, [P], numbered from 0: no chain of matches leads from one group to another."""
    graph = np.zeros((players, players))
    graph[matches[:, 0], matches[:, 1]] = 1
    return np.asarray(csgraph.connected_components(graph, directed=False)[1], np.int64)


def _incidence(matches: Integers) -> Floats:
    """1 for the first player of a match and -1 for the second, [M, P]."""
    meets = np.zeros((len(matches), int(np.max(matches)) + 1))
    meets[range(len(matches)), matches[:, 0]] = 1
    meets[range(len(matches)), matches[:, 1]] = -1
    return meets
