"""Search by Gumbel AlphaZero: what mctx answers on a game that is a formula, sequential halving, and the policy."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from harness_algorithms.blocks.tree_search import Evaluation, Forest, considered_visits, gumbel
from harness_games.rules import tic_tac_toe

STORED = json.loads(Path(__file__).with_name("mctx_gumbel.json").read_text())
ACTIONS, LONGEST = 5, 6


class Formula:
    """The game of `mctx_gumbel.py`: positions are nodes of a tree, [..., 1]."""

    def _plies(self, node):
        depth = torch.zeros_like(node)
        for _ in range(LONGEST):
            depth += node > 0
            node = (node - 1).clamp(min=0) // ACTIONS
        return depth

    def _ended(self, node):
        return (self._plies(node) >= LONGEST) | ((node % 11 == 5) & (node > 0))

    def initial(self, shape):
        return torch.zeros((*shape, 1), dtype=torch.int64)

    def legal(self, state):
        action = torch.arange(ACTIONS)
        return ((state * 7 + action * 3) % 4 != 1) | (action == 0)

    def apply(self, state, action):
        return state * ACTIONS + action.unsqueeze(-1) + 1

    def to_move(self, state):
        return self._plies(state[..., 0]) % 2

    def outcome(self, state):
        node = state[..., 0]
        return torch.where(self._ended(node), (node % 3 - 1).float(), torch.nan)


def evaluate(state):
    logits = ((state * 1103 + torch.arange(ACTIONS) * 377 + 12) % 1009) / 1009 * 4 - 2
    return Evaluation(logits.float(), ((state[:, 0] * 811 % 613) / 613 * 1.6 - 0.8).float())


def grown(rule, simulations, state, noise=None, rules=None, evaluate=evaluate):
    forest = Forest(rules or Formula(), evaluate, rule, simulations + 1, state)
    if noise is not None:
        forest.perturb(noise)
    for _ in range(simulations):
        forest.simulate()
    return forest


@pytest.mark.parametrize("case", STORED["cases"], ids=lambda case: f"{case['simulations']}-{case['considered']}")
def test_searches_are_those_of_mctx(case):
    state = torch.tensor(STORED["roots"]).unsqueeze(1)
    rule = gumbel(case["considered"], case["simulations"])
    forest = grown(rule, case["simulations"], state, torch.tensor(case["noise"]))

    assert forest.visits.tolist() == case["visits"]
    assert forest.best.tolist() == case["action"]
    torch.testing.assert_close(forest.improved, torch.tensor(case["policy"]), atol=1e-5, rtol=1e-4)


def test_sequential_halving_gives_all_an_equal_share_then_half_of_them():
    table = considered_visits(4, 16)
    assert table[4].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert table[1].tolist() == table[0].tolist() == [*range(16)]
    for count in range(2, 17):
        sequence = considered_visits(16, 50)[count].tolist()
        taken = [0] * count
        for wanted in sequence:
            taken[taken.index(wanted)] += 1  # there always is one that was taken so often
        left = [sum(n >= most for n in taken) for most in range(1, max(taken) + 1)]
        assert all(a >= b for a, b in pairwise(left))
        assert left[0] == count


def nothing(state):
    return Evaluation(torch.zeros(len(state), 9), torch.zeros(len(state)))


def test_considered_are_the_legal_actions_of_the_largest_noise_and_logit_and_no_more():
    state = tic_tac_toe.apply(tic_tac_toe.initial((1,)), torch.tensor([4]))
    noise = torch.tensor([[0.1, 3.0, 0.0, 2.0, 9.0, 0.2, 0.3, 0.4, 0.5]])  # 4 is taken
    forest = grown(gumbel(2, 2), 2, state, noise, tic_tac_toe, nothing)

    assert forest.visits[0].nonzero()[:, 0].tolist() == [1, 3]


@pytest.mark.parametrize("player", [0, 1])
def test_a_winning_move_that_is_considered_is_recommended_and_made_likelier(player):
    wins = torch.tensor([[1 << 0 | 1 << 1, 1 << 3 | 1 << 4, player, 0]])
    forest = grown(gumbel(16, 32), 32, wins, torch.zeros(1, 9), tic_tac_toe, nothing)
    legal = tic_tac_toe.legal(wins)

    assert forest.best.tolist() == [2]
    assert forest.improved.argmax() == 2
    assert forest.improved[0, 2] > 0.5 > 1 / legal.sum()
    assert (forest.improved[~legal] == 0).all()
    torch.testing.assert_close(forest.improved.sum(), torch.tensor(1.0))


def test_before_any_simulation_the_policy_is_the_prior():
    state = torch.tensor(STORED["roots"]).unsqueeze(1)
    forest = grown(gumbel(4, 8), 0, state)
    torch.testing.assert_close(forest.improved, forest.prior)


def test_a_root_without_a_move_and_scores_that_are_no_numbers_do_no_harm():
    over = torch.tensor([[0b101100110, 0b010011001, 1, 1]])
    state = torch.cat((over, tic_tac_toe.initial((1,))))
    forest = grown(gumbel(4, 12), 12, state, torch.zeros(2, 9), tic_tac_toe, nothing)
    alone = grown(gumbel(4, 12), 12, state[1:], torch.zeros(1, 9), tic_tac_toe, nothing)
    assert torch.equal(forest.visits[1], alone.visits[0])
    assert (forest.visits[0] == 0).all()
    assert (forest.improved[0] == 0).all()

    def diverged(state):
        return Evaluation(torch.full((len(state), 9), torch.nan), torch.full((len(state),), torch.nan))

    begun = tic_tac_toe.apply(tic_tac_toe.initial((1,)), torch.tensor([0]))
    forest = grown(gumbel(4, 12), 12, begun, torch.zeros(1, 9), tic_tac_toe, diverged)
    assert forest.visits[0, 0] == 0
    assert forest.visits.sum() == 12
