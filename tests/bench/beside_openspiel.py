"""Simulations a second of our tree search beside OpenSpiel's, of the beginning of three games, on one core.

python tests/bench/beside_openspiel.py

Bar: 64 trees with a network of 64-64 units at least 48 times as fast as OpenSpiel's search in Python, whose simulations
are random games. Beside them ours with random games, and OpenSpiel's in C++. All are timed in turn, in seconds of the
processor; told is the median of some rounds.
"""

import os

for affinity in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[affinity] = "1"

from collections.abc import Callable  # noqa: E402, because threads are counted at import
from statistics import median  # noqa: E402
from time import process_time  # noqa: E402

import numpy as np  # noqa: E402
import pyspiel  # noqa: E402
import torch  # noqa: E402
from open_spiel.python.algorithms import mcts  # noqa: E402

from harness.api import GameRules  # noqa: E402
from harness_algorithms.blocks.games import chance_of, evaluated_by, evaluated_by_playing, searched  # noqa: E402
from harness_algorithms.blocks.networks import stacked_mlp  # noqa: E402
from harness_algorithms.blocks.tree_search import Evaluate, puct, uct  # noqa: E402
from harness_games.rules import connect_four, hex_5, tic_tac_toe  # noqa: E402

TREES, HIDDEN, ROUNDS = 64, (64, 64), 7
SIMULATIONS = 64  # of a search
GAMES: dict[str, tuple[GameRules, str]] = {
    "tic-tac-toe": (tic_tac_toe, "tic_tac_toe"),
    "connect-four": (connect_four, "connect_four"),
    "hex-5": (hex_5, "hex(board_size=5)"),
}


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def network_of(rules: GameRules) -> Evaluate:
    state = rules.initial((1,))
    sizes = (rules.observe(state).shape[1], *HIDDEN, rules.legal(state).shape[1] + 1)
    return evaluated_by(stacked_mlp(sizes, [generator()]), rules, 1, torch.device("cpu"))


def searches(rules: GameRules, name: str) -> dict[str, tuple[int, Callable[[], object]]]:
    """How many simulations each makes, and the searches."""
    state = rules.initial((TREES,))
    network, playing = network_of(rules), evaluated_by_playing(rules, chance_of([generator()]))
    game = pyspiel.load_game(name)
    begun, random = game.new_initial_state(), np.random.RandomState(0)
    in_python = mcts.MCTSBot(game, 1.4, SIMULATIONS, mcts.RandomRolloutEvaluator(1, random), random_state=random)
    in_c = pyspiel.MCTSBot(
        game, pyspiel.RandomRolloutEvaluator(1, 0), 1.4, 10 * SIMULATIONS, 100, False, 0, False
    )  # of memory in MB, without a solver, seed 0, quietly
    return {
        "ours, network": (TREES * SIMULATIONS, lambda: searched(rules, network, puct(1.4), SIMULATIONS, state)),
        "ours, random games": (TREES * SIMULATIONS, lambda: searched(rules, playing, uct(1.4), SIMULATIONS, state)),
        "OpenSpiel, Python": (SIMULATIONS, lambda: in_python.mcts_search(begun)),
        "OpenSpiel, C++": (10 * SIMULATIONS, lambda: in_c.mcts_search(begun)),
    }


def main() -> None:
    """Print simulations a second of all, and how many times as fast ours are as OpenSpiel's in Python."""
    torch.set_num_threads(1)
    for name, (rules, theirs) in GAMES.items():
        each = searches(rules, theirs)
        rates: dict[str, list[float]] = {who: [] for who in each}
        for number in range(ROUNDS + 1):
            for who, (simulations, search) in each.items():
                began = process_time()
                search()
                if number:  # after what is compiled in the first
                    rates[who].append(simulations / (process_time() - began))
        slowest = rates["OpenSpiel, Python"]
        for who, rate in rates.items():
            times = median(a / b for a, b in zip(rate, slowest, strict=True))
            print(f"{name}, {who}: {median(rate):,.0f} simulations/s, {times:.1f} times OpenSpiel's in Python")


if __name__ == "__main__":
    main()
