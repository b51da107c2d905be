"""Opponents: minimax is exact, and search finds what it must."""

import itertools
from random import Random

import pytest

from harness_games.boards import Board
from harness_games.boards.connect_four import ConnectFour
from harness_games.boards.hex import Hex
from harness_games.boards.othello import Othello
from harness_games.boards.tic_tac_toe import TicTacToe
from harness_games.players import Node, best_moves, player, searched, simulate, value

TIC_TAC_TOE, CONNECT_FOUR = TicTacToe(), ConnectFour()


def outcome(board, first, second, chance):
    """The first player's, of one game."""
    position, sides = board.start, itertools.cycle((first, second))
    for ply in itertools.count():
        if (told := board.outcome(position)) is not None:
            return told * (1 - 2 * (ply % 2))
        position = board.after(position, next(sides)(position, chance))


def at(board, *moves):
    position = board.start
    for move in moves:
        position = board.after(position, move)
    return position


def test_tic_tac_toe_is_drawn_by_perfect_play():
    assert value(TIC_TAC_TOE.start) == 0
    assert best_moves(TIC_TAC_TOE.start) == [*range(9)]
    assert best_moves(at(TIC_TAC_TOE, 4)) == [0, 2, 6, 8]
    assert best_moves(at(TIC_TAC_TOE, 0)) == [4]


@pytest.mark.parametrize("first", [True, False])
def test_minimax_never_loses_against_1000_random_games(first):
    perfect, other, chance = player("minimax", TIC_TAC_TOE), player("random", TIC_TAC_TOE), Random(1)
    players, sign = ((perfect, other), 1) if first else ((other, perfect), -1)
    told = [sign * outcome(TIC_TAC_TOE, *players, chance) for _ in range(1_000)]
    assert min(told) == 0
    assert sum(told) > 700


def test_uct_of_many_simulations_draws_against_minimax():
    search, perfect, chance = player("mcts-3000", TIC_TAC_TOE), player("minimax", TIC_TAC_TOE), Random(2)
    pairs = [(search, perfect), (perfect, search)] * 2
    assert [outcome(TIC_TAC_TOE, *pair, chance) for pair in pairs] == [0] * 4


@pytest.mark.parametrize(
    ("moves", "answer"),
    [
        ((3, 0, 3, 0, 3, 0), 3),  # wins at once
        ((3, 0, 3, 1, 3), 3),  # or else the other does
    ],
)
def test_search_takes_a_win_and_stops_the_others(moves, answer):
    assert {searched(CONNECT_FOUR, at(CONNECT_FOUR, *moves), 1_000, Random(seed)) for seed in range(3)} == {answer}


def test_every_simulation_is_one_visit_of_the_root_and_of_one_of_its_children():
    root = Node(TIC_TAC_TOE, TIC_TAC_TOE.start, -1, Random(3))
    for _ in range(300):
        simulate(TIC_TAC_TOE, root, Random(3))
    assert root.visits == 300
    assert sum(child.visits for child in root.children) == 300
    assert sum(child.total for child in root.children) == -root.total
    assert sorted(child.move for child in root.children) == [*range(9)]
    for child in root.children:
        assert child.visits == 1 + sum(grandchild.visits for grandchild in child.children)


def test_a_won_end_counts_for_who_moved_there():
    won = at(TIC_TAC_TOE, 0, 3, 1, 4)
    root = Node(TIC_TAC_TOE, won, -1, Random(4))
    for _ in range(100):
        simulate(TIC_TAC_TOE, root, Random(4))
    (end,) = (child for child in root.children if child.move == 2)
    assert end.total == end.visits > 40


def test_more_simulations_beat_fewer():
    board, chance = Hex(5), Random(5)
    strong, weak = player("mcts-150", board), player("mcts-10", board)
    told = [outcome(board, strong, weak, chance) - outcome(board, weak, strong, chance) for _ in range(10)]
    assert sum(told) >= 14  # of 20


def test_a_filled_board_of_hex_is_won_as_often_as_a_game_played_to_its_end():
    board, games = Hex(5), 2_000
    position = at(board, 12, 0, 7, 1)
    filled, stepped = (
        sum(how(board, position, Random(seed)) for seed in range(games)) / games
        for how in (Hex.played_out, Board.played_out)
    )
    assert abs(filled - stepped) < 4 * (2 / games) ** 0.5
    assert filled > 0.2


@pytest.mark.parametrize("board", [TIC_TAC_TOE, CONNECT_FOUR, Hex(5), Othello(6)])
def test_playing_out_an_ended_game_tells_its_outcome(board):
    chance, position = Random(6), board.start
    while board.outcome(position) is None:
        position = board.after(position, chance.choice(board.legal(position)))
    assert board.played_out(position, chance) == board.outcome(position)


@pytest.mark.parametrize("name", ["mcts-0", "mcts", "mcts-", "mcts-1.5", "perfect", ""])
def test_unknown_opponents_are_refused(name):
    with pytest.raises(ValueError, match="no opponent"):
        player(name, TIC_TAC_TOE)


def test_minimax_is_for_tic_tac_toe_alone():
    with pytest.raises(ValueError, match="minimax for tic-tac-toe"):
        player("minimax", CONNECT_FOUR)
