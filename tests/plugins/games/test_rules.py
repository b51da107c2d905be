"""The rules are those of the games: against OpenSpiel, against discs turned one by one, and by what always holds."""

import importlib
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_games.boards import connect_four as connect_four_board
from harness_games.boards import hex as hex_board
from harness_games.boards import othello as othello_board
from harness_games.boards import tic_tac_toe as tic_tac_toe_board
from harness_games.rules import connect_four, hex_5, hex_7, othello_6, tic_tac_toe
from harness_games.rules.hex import Hex
from harness_games.rules.othello import Othello

RULES = {
    "tic-tac-toe": tic_tac_toe,
    "connect-four": connect_four,
    "hex-5": hex_5,
    "hex-7": hex_7,
    "othello-6": othello_6,
    "othello-8": Othello(8),  # which OpenSpiel has, as it has none of 6
}
BOARDS = {
    "tic-tac-toe": tic_tac_toe_board.TicTacToe(),
    "connect-four": connect_four_board.ConnectFour(),
    "hex-5": hex_board.Hex(5),
    "hex-7": hex_board.Hex(7),
    "othello-6": othello_board.Othello(6),
    "othello-8": othello_board.Othello(8),
}
SPIEL = {
    "tic-tac-toe": "tic_tac_toe",
    "connect-four": "connect_four",
    "hex-5": "hex(board_size=5)",
    "hex-7": "hex(board_size=7)",
    "othello-8": "othello",
}


def chosen(legal, generator):
    """A legal move of each row, drawn uniformly."""
    return (torch.rand(legal.shape, generator=generator) * legal).argmax(-1)


# Oracles: who is to move, legal moves [A] of bool, the first player's outcome or None, and moves


class Spiel:
    def __init__(self, name):
        self.state = pytest.importorskip("pyspiel").load_game(SPIEL[name]).new_initial_state()
        self.side = int(name[-1]) if name.startswith("hex") else None

    def transposed(self):
        """The second player of hex counts cells of the transposed board."""
        return self.side is not None and self.state.current_player() == 1

    def told(self):
        if self.state.is_terminal():
            return None, None, self.state.returns()[0]
        legal = np.array(self.state.legal_actions_mask(), bool)
        player = self.state.current_player()
        return player, legal.reshape(self.side, self.side).T.ravel() if self.transposed() else legal, None

    def move(self, move):
        self.state.apply_action(move % self.side * self.side + move // self.side if self.transposed() else move)


class Walked:
    """Othello by walking from a cell in each direction, disc by disc."""

    def __init__(self, size):
        half = size // 2
        self.size, self.player = size, 0
        self.discs = {(half - 1, half): 0, (half, half - 1): 0, (half - 1, half - 1): 1, (half, half): 1}

    def turned(self, row, column, player):
        found = []
        for down, right in [(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if d or r]:
            line, cell = [], (row + down, column + right)
            while self.discs.get(cell) == 1 - player:
                line.append(cell)
                cell = cell[0] + down, cell[1] + right
            found += line if self.discs.get(cell) == player else []
        return found

    def legal(self, player):
        cells = [(row, column) for row in range(self.size) for column in range(self.size)]
        return [cell not in self.discs and bool(self.turned(*cell, player)) for cell in cells]

    def told(self):
        legal = self.legal(self.player)
        if any(legal):
            return self.player, np.array([*legal, False]), None
        if any(self.legal(1 - self.player)):
            return self.player, np.array([*legal, True]), None
        lead = sum(1 - 2 * player for player in self.discs.values())
        return None, None, np.sign(lead)

    def move(self, move):
        if move < self.size**2:
            cell = divmod(move, self.size)
            self.discs |= dict.fromkeys([cell, *self.turned(*cell, self.player)], self.player)
        self.player = 1 - self.player


class OneBoard:
    def __init__(self, board):
        self.board, self.position, self.player = board, board.start, 0

    def told(self):
        told = self.board.outcome(self.position)
        if told is not None:
            return None, None, told * (1 - 2 * self.player)
        legal = np.zeros(self.board.moves, bool)
        legal[self.board.legal(self.position)] = True
        return self.player, legal, None

    def move(self, move):
        self.position, self.player = self.board.after(self.position, move), 1 - self.player


ORACLES = {name: partial(Spiel, name) for name in SPIEL} | {"othello-6": partial(Walked, 6)}


def compare(rules, begin, positions, seed, together):
    """Fail unless rules and oracle agree at so many positions of random games; returns how many were ends."""
    generator = torch.Generator().manual_seed(seed)
    begun = rules.initial((together,))
    state, others, compared, ends = begun, [begin() for _ in range(together)], 0, 0
    while compared < positions:
        legal, player, outcome = rules.legal(state), rules.to_move(state).tolist(), rules.outcome(state).tolist()
        move = chosen(legal, generator)
        rows, moves, over = legal.numpy(), move.tolist(), ~rules.outcome(state).isnan()
        for i, other in enumerate(others):
            to_move, allowed, told = other.told()
            if told is not None:
                assert outcome[i] == told
                assert not rows[i].any()
                others[i] = begin()
            else:
                assert outcome[i] != outcome[i]
                assert player[i] == to_move
                np.testing.assert_array_equal(rows[i], allowed)
                other.move(moves[i])
        ends, compared = ends + int(over.sum()), compared + together
        state = torch.where(over.unsqueeze(-1), begun, rules.apply(state, move))
    return ends


@pytest.mark.parametrize("name", RULES)
def test_moves_ends_and_outcomes_are_openspiels_in_thousands_of_positions(name):
    assert compare(RULES[name], ORACLES[name], 5_000, seed=1, together=50) > 40


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_moves_ends_and_outcomes_are_openspiels_in_100_000_positions(name):
    assert compare(RULES[name], ORACLES[name], 100_000, seed=2, together=500) > 1_000


@pytest.mark.parametrize("name", RULES)
def test_single_boards_play_the_same_game(name):
    compare(RULES[name], lambda: OneBoard(BOARDS[name]), 5_000, seed=3, together=50)


@pytest.mark.parametrize("name", RULES)
def test_single_boards_show_the_same_observations(name):
    rules, board, generator = RULES[name], BOARDS[name], torch.Generator().manual_seed(4)
    for _ in range(3):
        state, position, over = rules.initial(()), board.start, False
        while not over:
            np.testing.assert_array_equal(board.observe(position, over), rules.observe(state).numpy())
            move = chosen(rules.legal(state), generator)
            state, position = rules.apply(state, move), board.after(position, int(move))
            over = board.outcome(position) is not None
        np.testing.assert_array_equal(board.observe(position, over), rules.observe(state).numpy())


# What always holds


def played(rules, choices):
    """Positions of a game in which ``choices`` count among the legal moves; with them the moves."""
    state, states, moves = rules.initial(()), [rules.initial(())], []
    for choice in choices:
        legal = rules.legal(state).nonzero().flatten().tolist()
        if not legal:
            break
        moves.append(legal[choice % len(legal)])
        state = rules.apply(state, torch.tensor(moves[-1]))
        states.append(state)
    return states, moves


def stones(rules, state):
    """How many the mover has, and how many the other."""
    cells = rules.BOARD[0] * rules.BOARD[1]
    own, other = rules.observe(state)[: 2 * cells].view(2, cells).sum(1).tolist()
    return own, other


games = st.lists(st.integers(0, 99), max_size=80)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=15)
@given(choices=games)
def test_players_take_turns_and_each_move_adds_one_stone_of_the_mover(name, choices):
    rules = RULES[name]
    states, moves = played(rules, choices)
    passing = rules.BOARD[0] * rules.BOARD[1]
    for ply, (before, after, move) in enumerate(zip(states, states[1:], moves, strict=False)):
        assert int(rules.to_move(before)) == ply % 2
        (own, other), (theirs, mine) = stones(rules, before), stones(rules, after)
        assert mine + theirs == own + other + (move != passing)
        assert mine >= own + (move != passing)
        if "othello" not in name:
            assert (mine, theirs) == (own + 1, other)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=15)
@given(choices=games)
def test_moves_are_legal_exactly_while_the_game_goes_on(name, choices):
    rules = RULES[name]
    for state in played(rules, choices)[0]:
        assert bool(rules.legal(state).any()) == bool(rules.outcome(state).isnan())
        assert float(rules.outcome(state).nan_to_num()) in (-1, 0, 1)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=15)
@given(choices=games, turn=st.integers(0, 40))
def test_with_colours_swapped_the_same_is_seen_and_the_outcome_is_the_others(name, choices, turn):
    """From any position in play: the one that looks so with the first player to move goes the same way."""
    rules = RULES[name]
    states, moves = played(rules, choices)
    turn = min(turn, len(moves) - 1)
    if turn < 0:
        return
    swapped = rules.position(rules.observe(states[turn]))
    sign = 1 - 2 * (turn % 2)
    for state, move in zip(states[turn:], [*moves[turn:], None], strict=True):
        torch.testing.assert_close(rules.observe(swapped), rules.observe(state), rtol=0, atol=0)
        torch.testing.assert_close(rules.outcome(swapped) * sign, rules.outcome(state), equal_nan=True)
        if move is not None:
            swapped = rules.apply(swapped, torch.tensor(move))


@pytest.mark.parametrize("name", RULES)
def test_games_go_on_from_what_was_observed_as_they_would_have(name):
    """Some hundred games at once, the second player to move: groups of hex must be told apart as they were."""
    rules, generator = RULES[name], torch.Generator().manual_seed(3)

    def moves(state):
        legal = rules.legal(state)
        return (torch.rand(legal.shape, generator=generator) * legal).argmax(-1)

    state = rules.initial((300,))
    for _ in range(7):
        state = rules.apply(state, moves(state))
        state = state[rules.outcome(state).isnan()]
    seen = rules.position(rules.observe(state))
    while len(state):
        move = moves(state)
        state, seen = rules.apply(state, move), rules.apply(seen, move)
        torch.testing.assert_close(-rules.outcome(seen), rules.outcome(state), equal_nan=True)
        going_on = rules.outcome(state).isnan()
        state, seen = state[going_on], seen[going_on]


@pytest.mark.parametrize("name", ["hex-5", "hex-7"])
def test_no_game_of_hex_is_drawn_or_outlasts_the_cells(name):
    rules, generator = RULES[name], torch.Generator().manual_seed(5)
    state = rules.initial((500,))
    for _ in range(rules.BOARD[0] ** 2):
        going_on = rules.outcome(state).isnan().unsqueeze(-1)
        state = torch.where(going_on, rules.apply(state, chosen(rules.legal(state), generator)), state)
    assert rules.outcome(state).abs().eq(1).all()


@pytest.mark.parametrize("name", RULES)
def test_rules_change_nothing_in_place_and_hold_in_every_leading_shape(name):
    rules, generator = RULES[name], torch.Generator().manual_seed(6)
    state = rules.initial((2, 3))
    for _ in range(5):
        kept, move = state.clone(), chosen(rules.legal(state), generator)
        after = rules.apply(state, move)
        assert torch.equal(state, kept)
        assert torch.equal(after, rules.apply(state.flatten(0, 1), move.flatten()).unflatten(0, (2, 3)))
        assert torch.equal(after[1, 2], rules.apply(state[1, 2].contiguous(), move[1, 2]))
        state = after
    assert rules.to_move(state).dtype == torch.int64
    assert rules.outcome(state).dtype == torch.float32


# By hand


def after(rules, *moves):
    state = rules.initial(())
    for move in moves:
        state = rules.apply(state, torch.tensor(move))
    return state


def test_the_second_player_of_hex_sees_the_board_transposed():
    """So the same moves, down a column as each sees it, join the own two sides."""
    first = after(hex_5, 2, 0, 7, 1, 12, 3, 17, 4, 22)
    second = after(hex_5, 0, 2, 1, 7, 3, 12, 4, 17, 9, 22)
    assert float(hex_5.outcome(first)) == 1
    assert float(hex_5.outcome(second)) == -1


def test_a_win_on_the_last_free_cell_is_no_draw():
    state = after(tic_tac_toe, 0, 1, 2, 3, 4, 5, 7, 6, 8)
    assert float(tic_tac_toe.outcome(state)) == 1
    assert float(tic_tac_toe.outcome(after(tic_tac_toe, 0, 1, 2, 4, 3, 5, 7, 6, 8))) == 0


def test_four_stones_across_the_end_of_a_column_are_no_line():
    state = after(connect_four, 0, 1, 0, 1, 1, 0, 1, 0, 0, 2, 0, 3, 1)  # the last two of one column, first of the next
    assert connect_four.outcome(state).isnan()


def test_who_can_turn_nothing_passes_and_does_nothing_else():
    generator, found = torch.Generator().manual_seed(7), 0
    state = othello_6.initial((300,))
    for _ in range(30):
        legal = othello_6.legal(state)
        passing = legal[:, 36]
        assert not (passing & legal[:, :36].any(1)).any()
        after_passes = othello_6.apply(state, chosen(legal, generator))
        same = torch.equal(state[passing, 0], after_passes[passing, 1])
        assert same
        found += int(passing.sum())
        state = torch.where(othello_6.outcome(after_passes).isnan().unsqueeze(-1), after_passes, state)
    assert found > 20


def test_hex_has_at_most_as_many_groups_as_int8_can_number():
    rules, generator = Hex(11), torch.Generator().manual_seed(8)
    state = rules.initial((50,))
    while (going_on := rules.outcome(state).isnan()).any():
        move = chosen(rules.legal(state), generator)
        state = torch.where(going_on.unsqueeze(-1), rules.apply(state, move), state)
    assert int(state[:, :121].max()) > 110


# Random games


def ply_by_ply(rules, state, generator):
    """Outcomes of random games from positions, [n]."""
    begun = rules.initial((len(state),))
    while (going_on := rules.outcome(state).isnan()).any():
        moved_in = torch.where(going_on[:, None], state, begun)
        state = torch.where(going_on[:, None], rules.apply(moved_in, chosen(rules.legal(moved_in), generator)), state)
    return rules.outcome(state)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("plies", [0, 5])
def test_random_games_come_out_as_those_played_ply_by_ply(name, plies):
    rules, generator, games = RULES[name], torch.Generator().manual_seed(9), 4_000
    state = rules.initial(())
    for _ in range(plies):
        state = rules.apply(state, chosen(rules.legal(state), generator))
    state = state.expand(games, -1)
    seed = torch.randint(2**53, (games,), generator=generator)
    told, stepped = rules.played_out(state, seed), ply_by_ply(rules, state, generator)
    for outcome in (-1, 0, 1):
        one, other = told.eq(outcome).float().mean(), stepped.eq(outcome).float().mean()
        assert abs(one - other) <= 4 * (2 * 0.25 / games) ** 0.5
    assert torch.equal(told, rules.played_out(state, seed))
    assert not torch.equal(told, rules.played_out(state, seed + 1))


@pytest.mark.parametrize("name", RULES)
def test_a_random_game_from_an_end_tells_its_outcome(name):
    rules, generator = RULES[name], torch.Generator().manual_seed(10)
    state = rules.initial((50,))
    ends = []
    while len(state):
        state = rules.apply(state, chosen(rules.legal(state), generator))
        over = ~rules.outcome(state).isnan()
        ends.append(state[over])
        state = state[~over]
    ends = torch.cat(ends)
    assert len(ends) == 50
    assert torch.equal(rules.played_out(ends, torch.arange(50)), rules.outcome(ends))


def test_every_module_of_rules_is_whole():
    for module in ("tic_tac_toe", "connect_four", "hex_5", "hex_7", "othello_6"):
        rules = importlib.import_module(f"harness_games.rules.{module}")
        names = ("BOARD", "initial", "legal", "apply", "to_move", "outcome", "observe", "position", "played_out")
        assert all(hasattr(rules, name) for name in names)
