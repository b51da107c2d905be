"""The games as Gymnasium environments: against a fixed opponent, both colours in turn."""

from random import Random
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from harness_games.boards import Board, Observation, Position
from harness_games.boards.connect_four import ConnectFour
from harness_games.boards.hex import Hex
from harness_games.boards.othello import Othello
from harness_games.boards.tic_tac_toe import TicTacToe
from harness_games.players import player


class Game(gymnasium.Env[Observation, Any]):
    """A game for one player; the opponent, which replies within the step, is part of the environment.

    Which colour the agent has in the first episode is drawn by the seed; then colours take turns. Observation: own
    stones, the opponent's, and legal moves, float32 [2 cells + A]. Reward: the outcome, 1, 0 or −1, at the end. An
    illegal move loses at once, and ``info["illegal"]`` says so.

    Args:
        board: the rules.
        opponent: what `harness_games.players.player` calls it.
        render_mode: "ansi" to have the position drawn as text.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012, for Gymnasium declares it so

    def __init__(self, board: Board, opponent: str, render_mode: str | None = None) -> None:
        size = 2 * len(board.cells) + board.moves
        self.observation_space = spaces.Box(0.0, 1.0, (size,), np.float32)
        self.action_space = spaces.Discrete(board.moves)
        self.board = board
        self.render_mode = render_mode
        self._opponent = player(opponent, board)
        self.position: Position = board.start  # seen by who is to move
        self._plies = 0
        self._told = ""  # of the agent, in the drawing
        self._begun = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a game; the opponent moves first in every other one."""
        super().reset(seed=seed)
        if seed is not None or not self._begun:
            self._begun = True
            self._second = bool(self.np_random.integers(2))
            self._chance = Random(int(self.np_random.integers(2**63)))
        else:
            self._second = not self._second
        self.position, self._plies, self._told = self.board.start, 0, ""
        if self._second:
            self._reply()
        return self.board.observe(self.position, over=False), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Make a move, then have the opponent make one."""
        board, move = self.board, int(action)
        illegal = move not in board.legal(self.position)
        if illegal:
            self._told = ", illegal move"
            return board.observe(self.position, over=True), -1.0, True, False, {"illegal": True}
        self._move(move)
        told = board.outcome(self.position)
        if told is not None:
            seen = board.observe(board.turned(self.position), over=True)
            return seen, float(-told), True, False, {"illegal": False}
        self._reply()
        told = board.outcome(self.position)
        over = told is not None
        return board.observe(self.position, over), float(told or 0), over, False, {"illegal": False}

    def _reply(self) -> None:
        """The opponent's move."""
        self._move(self._opponent(self.position, self._chance))

    def _move(self, move: int) -> None:
        self.position, self._plies = self.board.after(self.position, move), self._plies + 1

    def render(self) -> Any:
        """The board, below a line that says which stones are the agent's."""
        if self.render_mode is None:
            return None
        first, second = self.position[:2] if self._plies % 2 == 0 else self.position[1::-1]
        return f"agent: {'XO'[self._second]}{self._told}\n{self.board.drawn(first, second)}"


def tic_tac_toe(opponent: str, render_mode: str | None = None) -> Game:
    """Tic-tac-toe."""
    return Game(TicTacToe(), opponent, render_mode)


def connect_four(opponent: str, render_mode: str | None = None) -> Game:
    """Connect four on six rows of seven columns."""
    return Game(ConnectFour(), opponent, render_mode)


def hex_(size: int, opponent: str, render_mode: str | None = None) -> Game:
    """Hex on ``size`` x ``size`` cells, without the swap rule."""
    return Game(Hex(size), opponent, render_mode)


def othello(size: int, opponent: str, render_mode: str | None = None) -> Game:
    """Othello on ``size`` x ``size`` cells."""
    return Game(Othello(size), opponent, render_mode)


# Limits are never reached: one step beyond the longest game, on the largest board.
gymnasium.register("harness_games/TicTacToe-v0", f"{__name__}:tic_tac_toe", max_episode_steps=6)
gymnasium.register("harness_games/ConnectFour-v0", f"{__name__}:connect_four", max_episode_steps=22)
gymnasium.register("harness_games/Hex-v0", f"{__name__}:hex_", max_episode_steps=62)  # 11 x 11 cells
gymnasium.register("harness_games/Othello-v0", f"{__name__}:othello", max_episode_steps=61)  # 8 x 8 cells
