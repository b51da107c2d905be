"""Random play of 1,024 games, plies a second, beside pgx (Koyamada et al., 2023) on the CPU; on one core.

tox -e pgx    # in an environment of its own, as JAX is none of ours

Bar: at least half as fast. pgx observes at every ply, so ours is timed with observations and without. Othello and hex
are of 8 x 8 and 11 x 11 cells, which pgx has. Both sides are timed in turn, in seconds of the processor, and the best
of some rounds is taken.
"""

import os

for affinity in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[affinity] = "1"
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

from collections.abc import Callable  # noqa: E402, because threads are counted at import
from time import process_time  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import pgx  # noqa: E402
import torch  # noqa: E402

from harness.api import GameRules  # noqa: E402
from harness_games.rules import connect_four, tic_tac_toe  # noqa: E402
from harness_games.rules.hex import Hex  # noqa: E402
from harness_games.rules.othello import Othello  # noqa: E402

COPIES, PLIES, ROUNDS = 1_024, 100, 7
GAMES = {"tic_tac_toe": tic_tac_toe, "connect_four": connect_four, "hex": Hex(11), "othello": Othello(8)}


def ours(rules: GameRules, observed: bool) -> Callable[[], None]:
    """Plays a round of random moves."""
    generator, begun = torch.Generator().manual_seed(0), rules.initial((COPIES,))

    def play() -> None:
        state = begun
        for _ in range(PLIES):
            counted = rules.legal(state).cumsum(-1, dtype=torch.int32)
            drawn = (torch.rand(COPIES, 1, generator=generator) * counted[:, -1:]).int()
            state = rules.apply(state, torch.searchsorted(counted.contiguous(), drawn, right=True).squeeze(-1))
            if observed:
                rules.observe(state)
            state = torch.where(rules.outcome(state).isnan().unsqueeze(-1), state, begun)

    return play


def theirs(name: str) -> Callable[[], None]:
    """Plays a round of random moves, compiled as a whole."""
    env = pgx.make(name)
    begun = jax.jit(jax.vmap(env.init))(jax.random.split(jax.random.PRNGKey(0), COPIES))

    def ply(state, key):
        logits = jnp.where(state.legal_action_mask, 0.0, -jnp.inf)
        after = jax.vmap(env.step)(state, jax.random.categorical(key, logits, axis=-1))
        over = after.terminated | after.truncated

        def anew(fresh, old):
            return jnp.where(over.reshape(-1, *[1] * (old.ndim - 1)), fresh, old)

        return jax.tree_util.tree_map(anew, begun, after), None

    @jax.jit
    def round_(key):
        return jax.lax.scan(ply, begun, jax.random.split(key, PLIES))[0]

    def play() -> None:
        jax.block_until_ready(round_(jax.random.PRNGKey(1)))

    return play


def main() -> None:
    """Print plies a second of both, and their ratio."""
    torch.set_num_threads(1)
    for name, rules in GAMES.items():
        players = {"ours": ours(rules, False), "observed": ours(rules, True), "pgx": theirs(name)}
        best = dict.fromkeys(players, float("inf"))
        for number in range(ROUNDS + 1):
            for who, play in players.items():
                began = process_time()
                play()
                if number:  # after what is compiled in the first
                    best[who] = min(best[who], process_time() - began)
        rates = {who: COPIES * PLIES / seconds for who, seconds in best.items()}
        told = ", ".join(f"{who} {rate:,.0f} ({rate / rates['pgx']:.2f} of pgx)" for who, rate in rates.items())
        print(f"{name}: plies/s: {told}")


if __name__ == "__main__":
    main()
