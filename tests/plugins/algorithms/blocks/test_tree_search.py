"""Trees grown in arrays: what an independent recursive search finds, on games known by heart."""

import math

import pytest
import torch

from harness.conformance import toy_game
from harness_algorithms.blocks import tree_search
from harness_algorithms.blocks.tree_search import Evaluation, Forest, puct, uct
from harness_games.rules import connect_four, othello_6, tic_tac_toe

GAMES = {"tic-tac-toe": tic_tac_toe, "connect-four": connect_four, "othello-6": othello_6, "seven stones": toy_game}
RULES = {"puct": puct(1.5), "uct": uct(1.4), "uct with priors": uct(0.7, 3.0)}


def evaluation(rules, seed=0):
    """A fixed function of observations that is not symmetric in anything."""
    size, actions = rules.observe(rules.initial((1,))).shape[1], rules.legal(rules.initial((1,))).shape[1]
    weight = torch.randn(size, actions + 1, generator=torch.Generator().manual_seed(seed))

    def evaluate(state):
        out = rules.observe(state).float() @ weight
        return Evaluation(out[:, :-1].contiguous(), out[:, -1].tanh().contiguous())

    return evaluate


def positions(rules, plies, count):
    """Positions after some random moves, of games that go on."""
    state, chance = rules.initial((64,)), torch.Generator().manual_seed(1)
    for _ in range(plies):
        going_on = rules.outcome(state).isnan()
        state = state[going_on]
        legal = rules.legal(state).float()
        state = rules.apply(state, torch.multinomial(legal, 1, generator=chance)[:, 0])
    return state[rules.outcome(state).isnan()][:count]


class Node:
    """A recursive search's node: dictionaries, one position, no arrays."""

    def __init__(self, rules, evaluate, state):
        self.state = state
        self.outcome = float(rules.outcome(state)[0])
        self.ended = not math.isnan(self.outcome)
        if self.ended:
            return
        self.mover = 1 - 2 * int(rules.to_move(state)[0])
        logits, value = evaluate(state)
        self.value = float(value[0]) * self.mover
        legal = rules.legal(state)[0].nonzero()[:, 0].tolist()
        odds = {a: math.exp(float(logits[0, a])) for a in legal}
        self.prior = {a: odd / sum(odds.values()) for a, odd in odds.items()}
        self.children, self.visits, self.total = {}, dict.fromkeys(legal, 0), dict.fromkeys(legal, 0.0)

    def score(self, rule, action):
        n, times = self.visits[action], sum(self.visits.values())
        q = self.total[action] / n if n else 0.0
        if rule.kind == tree_search.kernels.PUCT:
            return q + rule.first * self.prior[action] * math.sqrt(times + 1) / (n + 1)
        if not n and not rule.second:
            return math.inf
        bound = math.sqrt(math.log(max(times, 1)) / max(n, 1))
        return q + rule.first * bound + rule.second * self.prior[action] / (n + 1)

    def simulate(self, rules, evaluate, rule):
        """The outcome, for the first player."""
        if self.ended:
            return self.outcome
        action = max(self.visits, key=lambda a: self.score(rule, a))
        if action in self.children:
            told = self.children[action].simulate(rules, evaluate, rule)
        else:
            child = Node(rules, evaluate, rules.apply(self.state, torch.tensor([action])))
            self.children[action] = child
            told = child.outcome if child.ended else child.value
        self.visits[action] += 1
        self.total[action] += self.mover * told
        return told


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("game", GAMES)
def test_visits_are_those_of_a_recursive_search(game, rule):
    rules = GAMES[game]
    state = torch.cat([positions(rules, plies, 2) for plies in ((0, 2, 4) if rules is not toy_game else (0, 1))])
    evaluate = evaluation(rules)
    forest = Forest(rules, evaluate, rule, 41, state)
    for _ in range(40):
        forest.simulate()

    for tree, position in enumerate(state):
        root = Node(rules, evaluate, position[None])
        for _ in range(40):
            root.simulate(rules, evaluate, rule)
        visits = [root.visits.get(action, 0) for action in range(forest.visits.shape[1])]
        assert forest.visits[tree].tolist() == visits, tree


def test_a_tree_is_the_same_alone_and_among_others():
    state, evaluate = positions(connect_four, 3, 5), evaluation(connect_four)
    together, alone = (Forest(connect_four, evaluate, puct(1.0), 31, some) for some in (state, state[2:3]))
    for _ in range(30):
        together.simulate(), alone.simulate()

    assert torch.equal(together.visits[2], alone.visits[0])


def marks(mine, theirs, player=0):
    return torch.tensor([[sum(1 << c for c in mine), sum(1 << c for c in theirs), player, 0]])


@pytest.mark.parametrize("player", [0, 1])
def test_the_end_of_a_game_backs_up_its_outcome_for_who_moved_and_not_what_is_thought_of_it(player):
    wins = marks((0, 1), (3, 4), player)  # move 2 wins; any other lets 5 win

    def wrong(state):
        return Evaluation(torch.zeros(len(state), 9), torch.full((len(state),), -0.9))

    forest = Forest(tic_tac_toe, wrong, puct(1.0), 201, wins)
    for _ in range(200):
        forest.simulate()

    q = torch.from_numpy(forest.nodes.total)[forest.roots] / forest.visits.clamp(min=1)
    assert q[0, 2] == 1.0
    assert forest.visits[0, 2] > 150


@pytest.mark.parametrize("player", [0, 1])
def test_what_the_other_would_win_by_is_prevented(player):
    threatened = marks((0, 4), (2, 5), player)  # 8 must be taken: it wins for who moves, and for the other

    def nothing(state):
        return Evaluation(torch.zeros(len(state), 9), torch.zeros(len(state)))

    forest = Forest(tic_tac_toe, nothing, uct(1.4), 301, threatened)
    for _ in range(300):
        forest.simulate()

    assert forest.visits[0].argmax() == 8


def test_an_illegal_move_is_never_taken_whatever_its_logit():
    state = positions(tic_tac_toe, 4, 8)

    def tempted(state):
        return Evaluation(torch.where(tic_tac_toe.legal(state), 0.0, 50.0), torch.zeros(len(state)))

    forest = Forest(tic_tac_toe, tempted, puct(2.0), 51, state)
    for _ in range(50):
        forest.simulate()

    assert (forest.visits[~tic_tac_toe.legal(state)] == 0).all()
    assert (forest.visits.sum(1) == 50).all()


def test_three_simulations_by_hand():
    # An empty board, equal priors 1/9 but 1/2 for the middle, value 0.5 for who moves: c = 1.
    def known(state):
        logits = torch.zeros(len(state), 9)
        logits[:, 4] = math.log(8)
        return Evaluation(logits, torch.full((len(state),), 0.5))

    forest = Forest(tic_tac_toe, known, puct(1.0), 4, tic_tac_toe.initial((1,)))
    forest.simulate()  # the middle: its value is 0.5 for the other, −0.5 here; score −0.5 + ½ √2 / 2 = −0.15
    assert forest.visits[0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    forest.simulate()  # then cell 0: 1/16 √2 = 0.09 is more
    assert forest.visits[0].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 0]
    forest.simulate()  # then cell 1: 1/16 √3 = 0.11, the middle −0.5 + ½ √3 / 2 = −0.07
    assert forest.visits[0].tolist() == [1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert forest.nodes.total[0].tolist() == [-0.5, -0.5, 0, 0, -0.5, 0, 0, 0, 0]


def grown(rules, state, simulations, room=None, rule=RULES["puct"]):
    forest = Forest(rules, evaluation(rules), rule, (room or simulations) + 1, state)
    for _ in range(simulations):
        forest.simulate()
    return forest


@pytest.mark.parametrize("game", ["tic-tac-toe", "othello-6"])
def test_a_tree_that_goes_on_from_a_move_is_what_hung_below_it(game):
    rules = GAMES[game]
    state, evaluate = positions(rules, 2, 6), evaluation(rules)
    forest = grown(rules, state, 60, room=200)
    roots = [Node(rules, evaluate, position[None]) for position in state]
    for root in roots:
        for _ in range(60):
            root.simulate(rules, evaluate, RULES["puct"])
    for plies in range(2):
        action = forest.visits.argmax(1)
        state = rules.apply(state, action)
        forest.advance(action, state, torch.zeros(6, dtype=torch.bool), 60)
        roots = [root.children[int(a)] for root, a in zip(roots, action, strict=True)]
        for tree, root in enumerate(roots):
            assert forest.visits[tree].tolist() == [root.visits.get(a, 0) for a in range(forest.visits.shape[1])]
        for _ in range(25):
            forest.simulate()
        for tree, root in enumerate(roots):
            for _ in range(25):
                root.simulate(rules, evaluate, RULES["puct"])
            assert forest.visits[tree].tolist() == [root.visits.get(a, 0) for a in range(forest.visits.shape[1])], plies


def test_a_new_game_a_move_never_searched_and_a_full_tree_begin_anew():
    state = positions(tic_tac_toe, 2, 4)
    forest = grown(tic_tac_toe, state, 4, room=20)
    legal = tic_tac_toe.legal(state)
    searched, never = forest.visits.argmax(1), (legal & (forest.visits == 0)).float().argmax(1)
    action = torch.stack((searched[0], searched[1], never[2], never[3]))
    after = tic_tac_toe.apply(state, action)
    after[0] = tic_tac_toe.initial((1,))[0]
    forest.advance(action, after, torch.tensor([True, False, False, False]), 8)
    assert forest.visits.sum(1).tolist() == [0, forest.visits[1].sum(), 0, 0]
    for _ in range(8):
        forest.simulate()
    fresh = grown(tic_tac_toe, after, 8)
    assert torch.equal(forest.visits[[0, 2, 3]], fresh.visits[[0, 2, 3]])

    forest = grown(tic_tac_toe, state, 18, room=20)
    action = forest.visits.argmax(1)
    forest.advance(action, tic_tac_toe.apply(state, action), torch.zeros(4, dtype=torch.bool), 20)
    assert (forest.visits == 0).all()  # none left room for 20 more


def test_noise_is_of_the_root_alone_and_is_gone_with_it():
    state = positions(tic_tac_toe, 2, 3)
    plain = grown(tic_tac_toe, state, 0, room=60)
    noise = torch.nn.functional.one_hot(torch.tensor([8, 8, 8]), 9).float()
    noise = noise.where(tic_tac_toe.legal(state), 0.0)
    plain.mix_prior(noise, 0.25)
    clean = grown(tic_tac_toe, state, 0, room=60)
    assert torch.allclose(plain.prior, 0.75 * clean.prior + 0.25 * noise)
    for _ in range(30):
        plain.simulate()
    action = plain.visits.argmax(1)
    after = tic_tac_toe.apply(state, action)
    plain.advance(action, after, torch.zeros(3, dtype=torch.bool), 20)

    assert torch.allclose(plain.prior, grown(tic_tac_toe, after, 0, room=1).prior)


def test_a_full_tree_is_refused_before_it_writes_into_the_next():
    forest = grown(connect_four, positions(connect_four, 2, 3), 5)
    visits = forest.visits.clone()
    with pytest.raises(ValueError, match="no room for more than 6 positions"):
        forest.simulate()

    assert torch.equal(forest.visits, visits)


def test_of_scores_that_are_no_numbers_a_legal_move_is_taken():
    state = positions(tic_tac_toe, 4, 6)

    def diverged(state):
        return Evaluation(torch.full((len(state), 9), torch.nan), torch.full((len(state),), torch.nan))

    forest = Forest(tic_tac_toe, diverged, puct(1.0), 9, state)
    for _ in range(8):
        forest.simulate()

    assert (forest.visits[~tic_tac_toe.legal(state)] == 0).all()


@pytest.mark.parametrize("game", ["tic-tac-toe", "seven stones"])
def test_a_root_without_a_move_is_left_alone_and_harms_no_other(game):
    rules = GAMES[game]
    over = {"tic-tac-toe": torch.tensor([[0b101100110, 0b010011001, 1, 1]]), "seven stones": torch.tensor([[0, 1]])}[
        game
    ]
    state = torch.cat((over, rules.initial((1,))))
    forest = grown(rules, state, 20)

    assert (forest.visits[0] == 0).all()
    assert torch.equal(forest.visits[1], grown(rules, state[1:], 20).visits[0])


@pytest.mark.parametrize("player", [0, 1])
def test_values_turn_their_sign_at_every_ply(player):
    """Two cells are free; 7 is taken first, since the prior is nearly all there, and then the other wins by 8."""
    state = marks((0, 4, 3), (2, 5, 1, 6), player)
    assert tic_tac_toe.legal(state)[0].nonzero()[:, 0].tolist() == [7, 8]

    def hopeful(state):
        logits = torch.zeros(len(state), 9)
        logits[:, 7] = 20.0
        return Evaluation(logits, torch.full((len(state),), 0.5))  # for who is to move

    forest = Forest(tic_tac_toe, hopeful, puct(10.0), 3, state)
    forest.simulate()
    assert forest.nodes.total[0, 7] == -0.5  # 0.5 for the other
    forest.simulate()
    child = forest.nodes.child[0, 7]
    assert forest.nodes.total[child, 8] == 1.0
    assert forest.nodes.total[0, 7] == -0.5 - 1.0


def test_a_game_that_is_drawn_is_over_and_worth_0_however_hopeful_the_network():
    state = marks((0, 1, 5, 6), (2, 3, 4, 7))  # 8 is left, and makes no line
    assert tic_tac_toe.legal(state)[0].nonzero()[:, 0].tolist() == [8]
    after = tic_tac_toe.apply(state, torch.tensor([8]))
    assert tic_tac_toe.outcome(after).tolist() == [0.0]
    assert tic_tac_toe.outcome(state).isnan().all()

    def hopeful(state):
        return Evaluation(torch.zeros(len(state), 9), torch.full((len(state),), 0.9))

    forest = Forest(tic_tac_toe, hopeful, puct(1.0), 11, state)
    for _ in range(10):
        forest.simulate()
    assert forest.visits[0, 8] == 10
    assert forest.nodes.total[0, 8] == 0


def test_illegal_moves_have_no_share_of_a_prior_whatever_their_logits():
    state = positions(tic_tac_toe, 3, 6)
    legal = tic_tac_toe.legal(state)

    def tempted(state):
        return Evaluation(torch.where(tic_tac_toe.legal(state), 0.0, 50.0), torch.zeros(len(state)))

    forest = Forest(tic_tac_toe, tempted, puct(1.0), 2, state)
    torch.testing.assert_close(forest.prior, legal / legal.sum(1, keepdim=True))
