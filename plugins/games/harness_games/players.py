"""Players of fixed strength: what an environment's opponent is called, and how it chooses a move."""

import math
import re
from collections.abc import Callable
from functools import cache
from random import Random

from harness_games.boards import Board, Position
from harness_games.boards.tic_tac_toe import TicTacToe

EXPLORATION = 2.0  # of UCT, for outcomes from -1 to 1

Player = Callable[[Position, Random], int]
"""Chooses a legal move of a position in which the game goes on; whatever it draws comes from the generator."""


def player(name: str, board: Board) -> Player:
    """The player called ``random``, ``minimax`` or ``mcts-N``.

    Raises:
        ValueError: there is none of that name for this game.
    """
    if name == "random":
        return lambda position, chance: chance.choice(board.legal(position))
    if name == "minimax" and isinstance(board, TicTacToe):
        return lambda position, chance: chance.choice(best_moves(position))
    if number := re.fullmatch(r"mcts-([1-9]\d*)", name):
        simulations = int(number[1])
        return lambda position, chance: searched(board, position, simulations, chance)
    raise ValueError(f"no opponent {name!r}: there are random, mcts-N (200, say), and minimax for tic-tac-toe")


# Minimax


BOARD = TicTacToe()


@cache
def value(position: Position) -> int:
    """The outcome of tic-tac-toe for who is to move when both play their best."""
    told = BOARD.outcome(position)
    if told is not None:
        return told
    return max(-value(BOARD.after(position, move)) for move in BOARD.legal(position))


def best_moves(position: Position) -> list[int]:
    """The moves that keep the value of a position."""
    return [move for move in BOARD.legal(position) if -value(BOARD.after(position, move)) == value(position)]


# Monte-Carlo tree search


class Node:
    """A position of the tree, with what was found below it.

    ``total`` is the sum of outcomes for who moved here, over ``visits``.
    """

    __slots__ = ("children", "move", "outcome", "position", "total", "untried", "visits")

    def __init__(self, board: Board, position: Position, move: int, chance: Random) -> None:
        self.position = position
        self.move = move
        self.outcome = board.outcome(position)
        self.untried = [] if self.outcome is not None else [*board.legal(position)]
        chance.shuffle(self.untried)
        self.children: list[Node] = []
        self.visits = 0
        self.total = 0

    def best(self) -> "Node":
        """The child of the highest upper bound (Kocsis & Szepesvári, 2006): mean + c √(ln n / nᵢ)."""
        scale = EXPLORATION * math.sqrt(math.log(self.visits))
        return max(self.children, key=lambda child: child.total / child.visits + scale / math.sqrt(child.visits))


def searched(board: Board, position: Position, simulations: int, chance: Random) -> int:
    """The move that UCT visits most, with one random game per simulation; of equals the one with the better mean."""
    root = Node(board, position, -1, chance)
    for _ in range(simulations):
        simulate(board, root, chance)
    return max(root.children, key=lambda child: (child.visits, child.total)).move


def simulate(board: Board, root: Node, chance: Random) -> None:
    """Descend to a new position, or to an end; play on at random; tell every position on the way."""
    node, path = root, [root]
    while not node.untried and node.outcome is None:
        node = node.best()
        path.append(node)
    if node.outcome is None:
        move = node.untried.pop()
        child = Node(board, board.after(node.position, move), move, chance)
        node.children.append(child)
        path.append(child)
        node = child
    told = board.played_out(node.position, chance)
    for node in reversed(path):
        told = -told  # for who moved there
        node.visits += 1
        node.total += told
