"""Ask DeepMind's mctx for searches by Gumbel AlphaZero of a game that is a formula; prints JSON.

    python tests/plugins/algorithms/blocks/mctx_gumbel.py > tests/plugins/algorithms/blocks/mctx_gumbel.json

where mctx is installed (0.0.71 with jax 0.10.2 was). `test_gumbel.py` plays the same game.
"""

import json

import jax
import jax.numpy as jnp
import mctx

ACTIONS, LONGEST = 5, 6  # plies
ROOTS = (0, 1, 3, 4, 8, 17)
CASES = ((4, 2), (16, 4), (16, 16), (50, 5), (64, 3))  # simulations, moves considered


def plies(node):
    """Depth of a node; node n's children are 5 n + 1 to 5 n + 5."""
    depth = jnp.zeros_like(node)
    for _ in range(LONGEST):
        depth += node > 0
        node = jnp.maximum(node - 1, 0) // ACTIONS
    return depth


def legal(node):
    """Action 0 always is."""
    action = jnp.arange(ACTIONS)
    return ((node[:, None] * 7 + action * 3) % 4 != 1) | (action == 0)


def logits(node):
    """Of the prior; illegal actions have none."""
    known = ((node[:, None] * 1103 + jnp.arange(ACTIONS) * 377 + 12) % 1009) / 1009.0 * 4 - 2
    return jnp.where(legal(node), known, jnp.finfo(jnp.float32).min)


def value(node):
    """For who is to move."""
    return (node * 811 % 613) / 613.0 * 1.6 - 0.8


def ended(node):
    """After so many plies, and at some nodes before."""
    return (plies(node) >= LONGEST) | ((node % 11 == 5) & (node > 0))


def outcome(node):
    """For the first player, who moves at even depths."""
    return (node % 3 - 1).astype(jnp.float32)


def recurrent(params, key, action, node):
    """A ply as mctx wants it: rewards are for who moves, and a game that has ended is worth no more."""
    over = ended(node)
    after = jnp.where(over, node, node * ACTIONS + action + 1)
    ends = ended(after)
    mover = 1 - 2 * (plies(node) % 2)
    told = mctx.RecurrentFnOutput(
        reward=jnp.where(ends & ~over, outcome(after) * mover, 0.0),
        discount=jnp.where(ends, 0.0, -1.0),
        prior_logits=logits(after),
        value=value(after),
    )
    return told, after


def main() -> None:
    """Search from all roots, once for every case."""
    found, node = [], jnp.array(ROOTS)
    for seed, (simulations, considered) in enumerate(CASES):
        answer = mctx.gumbel_muzero_policy(
            None,
            jax.random.PRNGKey(seed),
            mctx.RootFnOutput(prior_logits=logits(node), value=value(node), embedding=node),
            recurrent,
            simulations,
            invalid_actions=~legal(node),
            max_num_considered_actions=considered,
        )
        found.append(
            {
                "simulations": simulations,
                "considered": considered,
                "noise": answer.search_tree.extra_data.root_gumbel.tolist(),
                "visits": answer.search_tree.summary().visit_counts.tolist(),
                "action": answer.action.tolist(),
                "policy": [[round(x, 6) for x in row] for row in answer.action_weights.tolist()],
            }
        )
    print(json.dumps({"roots": ROOTS, "cases": found}))


if __name__ == "__main__":
    main()
