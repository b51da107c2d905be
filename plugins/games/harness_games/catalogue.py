"""The descriptions, without random scores: those are measured, and kept in ``random_scores.json``.

An environment is called by the game and its opponent. No reference is above what can be reached: where the best that
can be done is not known, it is that every game is won.
"""

from collections.abc import Iterator
from typing import NamedTuple

from harness.api import EnvironmentSpec, Score


class Game(NamedTuple):
    """What the environments of one game have in common."""

    name: str
    id: str
    kwargs: dict[str, int]
    longest: int  # moves of one player, at most
    opponents: tuple[str, ...]
    summary: str


GAMES = (
    Game(
        "tic-tac-toe",
        "harness_games/TicTacToe-v0",
        {},
        5,
        ("random", "minimax", "mcts-50"),
        "Tic-tac-toe, three in a row on 3x3 cells",
    ),
    Game(
        "connect-four",
        "harness_games/ConnectFour-v0",
        {},
        21,
        ("random", "mcts-50", "mcts-200"),
        "Connect four in a line on 6x7 cells, stones fall",
    ),
    Game("hex-5", "harness_games/Hex-v0", {"size": 5}, 13, ("random", "mcts-50", "mcts-200"), "Hex on 5x5 cells"),
    Game("hex-7", "harness_games/Hex-v0", {"size": 7}, 25, ("random", "mcts-50", "mcts-200"), "Hex on 7x7 cells"),
    Game("othello-6", "harness_games/Othello-v0", {"size": 6}, 32, ("random", "mcts-50"), "Othello on 6x6 cells"),
)
WON = Score(1.0, source="upper bound: every game won")
REFERENCES = {
    "tic-tac-toe-random": Score(116_101 / 120_960, source="exact: the best replies to random moves"),
    "tic-tac-toe-minimax": Score(0.0, source="exact: both play their best, and every game is drawn"),
    "tic-tac-toe-mcts-50": Score(0.3357, 0.0047, 10_000, "perfect play, any of the best moves: measure_reference.py"),
}
AGAINST = {"random": "random moves", "minimax": "perfect play", "mcts-50": "UCT of 50 simulations"}
AGAINST["mcts-200"] = "UCT of 200 simulations"
BEATEN = {"random": 0.9, "mcts-50": 0.4, "mcts-200": 0.4}  # 0.4 as where 70 % are won and none drawn
THRESHOLDS = {"tic-tac-toe-minimax": 0.0, "tic-tac-toe-mcts-50": 0.3}  # 0: no game lost


def specs() -> Iterator[EnvironmentSpec]:
    """Every game against each of its opponents."""
    for game in GAMES:
        for opponent in game.opponents:
            name = f"{game.name}-{opponent}"
            yield EnvironmentSpec(
                name,
                game.id,
                imports=("harness_games.environments",),
                kwargs={**game.kwargs, "opponent": opponent},
                max_episode_steps=game.longest + 1,  # which is never reached
                game=f"harness_games.rules.{game.name.replace('-', '_')}",
                reference_score=REFERENCES.get(name, WON),
                threshold=THRESHOLDS.get(name, BEATEN.get(opponent)),
                lowest_return=-1.0,
                highest_return=0.0 if opponent == "minimax" else 1.0,
                summary=f"{game.summary}, against {AGAINST[opponent]}, both colours in turn",
            )


SPECS = tuple(specs())
