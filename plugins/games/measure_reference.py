"""Play tic-tac-toe perfectly against its opponent that searches, and print the mean outcome.

    python plugins/games/measure_reference.py

Of its best moves, the perfect player takes any. Takes half a minute on one core.
"""

import math
import statistics
from random import Random

from harness_games.environments import tic_tac_toe
from harness_games.players import player

GAMES = 10_000


def outcomes(opponent: str, games: int) -> list[float]:
    """Of games of perfect play, both colours in turn."""
    env, chance = tic_tac_toe(opponent), Random(0)
    perfect = player("minimax", env.board)
    env.reset(seed=0)
    found = []
    for _ in range(games):
        env.reset()
        over = False
        while not over:
            _, reward, over, _, _ = env.step(perfect(env.position, chance))
        found.append(reward)
    return found


if __name__ == "__main__":
    told = outcomes("mcts-50", GAMES)
    print(statistics.fmean(told), statistics.stdev(told) / math.sqrt(len(told)))
