"""Simulations a second of our tree search beside mctx's (DeepMind, JAX), with the same games and networks as large.

tox -e mctx    # in an environment of its own, as JAX is none of ours

64 trees, 32 simulations, a network of 64-64 units, PUCT without noise, from the beginning of a game. Bar: as many as
mctx. Its games are written here in JAX, on plain arrays, and the whole search is compiled as one; that is the fastest
that we know how to make it. Both are timed in turn on all cores: by the clock, and in seconds of the processor.
"""

import os
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from time import perf_counter, process_time
from typing import Any

import jax
import jax.numpy as jnp
import mctx
import torch

from harness.api import GameRules
from harness_algorithms.blocks.games import evaluated_by, searched
from harness_algorithms.blocks.networks import stacked_mlp
from harness_algorithms.blocks.tree_search import puct
from harness_games.rules import connect_four, tic_tac_toe

TREES, SIMULATIONS, HIDDEN, ROUNDS = 64, 32, (64, 64), 15


def ours(rules: GameRules) -> Callable[[], list[float]]:
    """Searches; returns how often each move was tried in the first tree."""
    state = rules.initial((TREES,))
    sizes = (rules.observe(state).shape[1], *HIDDEN, rules.legal(state).shape[1] + 1)
    network = stacked_mlp(sizes, [torch.Generator().manual_seed(0)])
    evaluate = evaluated_by(network, rules, 1, torch.device("cpu"))

    def search() -> list[float]:
        return searched(rules, evaluate, puct(1.4), SIMULATIONS, state).visits[0].tolist()

    return search


def marked(board: Any, action: Any) -> tuple[Any, Any]:
    """Tic-tac-toe [9] of 1, −1 and 0 after a mark, and whether it won."""
    board = board.at[action].set(1)
    lines = jnp.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]])
    return board, (board[lines] == 1).all(1).any()


def dropped(board: Any, action: Any) -> tuple[Any, Any]:
    """Connect four [42], row by row from below, after a stone, and whether it won."""
    grid = board.reshape(6, 7)
    grid = grid.at[(grid[:, action] != 0).sum(), action].set(1)
    own = grid == 1
    four = (own[:, :4] & own[:, 1:5] & own[:, 2:6] & own[:, 3:]).any() | (own[:3] & own[1:4] & own[2:5] & own[3:]).any()
    rising = own[:3, :4] & own[1:4, 1:5] & own[2:5, 2:6] & own[3:, 3:]
    falling = own[3:, :4] & own[2:5, 1:5] & own[1:4, 2:6] & own[:3, 3:]
    return grid.reshape(-1), four | rising.any() | falling.any()


GAMES = {
    "tic-tac-toe": (tic_tac_toe, marked, 9, lambda board: board == 0),
    "connect-four": (connect_four, dropped, 42, lambda board: board.reshape(6, 7)[5] == 0),
}


def theirs(moved: Callable[..., Any], cells: int, free: Callable[[Any], Any]) -> Callable[[], list[float]]:
    """Searches; returns how often each move was tried in the first tree."""
    begun = jnp.zeros((TREES, cells), jnp.int32)
    actions = free(begun[0]).size
    sizes = (2 * cells + actions, *HIDDEN, actions + 1)
    keys = jax.random.split(jax.random.PRNGKey(0), len(sizes) - 1)
    shapes = zip(keys, pairwise(sizes), strict=True)
    network = [(jax.random.normal(key, shape) / shape[0] ** 0.5, jnp.zeros(shape[1])) for key, shape in shapes]

    def evaluated(network: Any, boards: Any) -> tuple[Any, Any, Any]:
        legal = jax.vmap(free)(boards)
        x = jnp.concatenate([boards == 1, boards == -1, legal], 1).astype(jnp.float32)
        for weights, biases in network[:-1]:
            x = jax.nn.relu(x @ weights + biases)
        x = x @ network[-1][0] + network[-1][1]
        return jnp.where(legal, x[:, :-1], -1e9), jnp.tanh(x[:, -1]), legal

    def recurrent(network: Any, key: Any, action: Any, embedding: Any) -> tuple[Any, Any]:
        boards, over = embedding
        after, won = jax.vmap(moved)(boards, action)
        ended = over | won | (after != 0).all(1)
        boards = jnp.where(over[:, None], boards, -after)
        logits, value, _ = evaluated(network, boards)
        told = mctx.RecurrentFnOutput(
            reward=jnp.where(over, 0.0, won.astype(jnp.float32)),
            discount=jnp.where(ended, 0.0, -1.0),
            prior_logits=logits,
            value=jnp.where(ended, 0.0, value),
        )
        return told, (boards, ended)

    @jax.jit
    def search(network: Any, key: Any) -> Any:
        logits, value, legal = evaluated(network, begun)
        root = mctx.RootFnOutput(prior_logits=logits, value=value, embedding=(begun, jnp.zeros(TREES, bool)))
        output = mctx.muzero_policy(network, key, root, recurrent, SIMULATIONS, ~legal, dirichlet_fraction=0.0)
        return output.search_tree.summary().visit_counts

    return lambda: search(network, jax.random.PRNGKey(1)).block_until_ready()[0].tolist()


def main() -> None:
    """Print simulations a second of both, and their ratio, median of some rounds."""
    torch.set_num_threads(1)  # more threads make such small products slower
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name, (rules, *game) in GAMES.items():
        searches = {"ours": ours(rules), "mctx": theirs(*game)}
        taken: dict[str, list[tuple[float, float]]] = {who: [] for who in searches}
        for number in range(ROUNDS + 1):
            for who, search in searches.items():
                clock, processor = perf_counter(), process_time()
                visits = search()
                taken[who].append((perf_counter() - clock, process_time() - processor))
                assert sum(visits) == SIMULATIONS
                if not number:
                    taken[who].clear()  # compiled in this round
        for index, unit in enumerate(("clock", "processor")):
            rates = {who: TREES * SIMULATIONS / median(each[index] for each in taken[who]) for who in taken}
            ratios = [theirs[index] / ours[index] for ours, theirs in zip(taken["ours"], taken["mctx"], strict=True)]
            told = ", ".join(f"{who} {rate:,.0f}" for who, rate in rates.items())
            print(f"{name}, simulations/s by the {unit}: {told}; ratio {median(ratios):.2f}, from {min(ratios):.2f}")


if __name__ == "__main__":
    main()
