"""The loops of a tree search, compiled: what is done in each tree by itself.

A tree has C places for positions; node t C + i is place i of tree t, its root t C. Arrays are of all nodes. Compiled
code is kept beside this file, or where numba can write.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

PUCT, UCT, GUMBEL = range(3)  # how actions are chosen
NOWHERE = -1
ENDED = 0.0
TINY = 1e-38

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Nodes(NamedTuple):
    """What is kept of every position.

    Attributes:
        visits: n(s, a), how often an action was taken, [nodes, A].
        total: sum of outcomes after it, for who moves here, [nodes, A].
        prior: P(s, a), [nodes, A]; 0 where illegal.
        legal: [nodes, A].
        child: node that an action leads to, or `NOWHERE`, [nodes, A].
        parent: node that leads here, or `NOWHERE`, [nodes].
        best: the action to be taken next; where a game has ended, that by which it did; [nodes].
        mover: 1 or −1, the first or second player moves; `ENDED` where the game has; [nodes].
        value: what was thought of the position, for who moves here, [nodes].
        noise: of the roots' actions, which `GUMBEL` adds to logits, [T, A].
        halving: n(s, a) of the actions that `GUMBEL` may take next at a root, by how many are considered and how many
            were taken, [most considered + 1, simulations].
    """

    visits: Floats
    total: Floats
    prior: Floats
    legal: Bools
    child: Ints
    parent: Ints
    best: Ints
    mover: Floats
    value: Floats
    noise: Floats
    halving: Ints


class Seen(NamedTuple):
    """T positions as the rules and an evaluation see them.

    Attributes:
        logits: of the prior, [T, A].
        value: for who moves, [T].
        legal: [T, A].
        to_move: 0 or 1, [T].
        outcome: of the first player, NaN while the game goes on, [T].
    """

    logits: Floats
    value: Floats
    legal: Bools
    to_move: Ints
    outcome: Floats


class Moves(NamedTuple):
    """What is done in a leaf of every tree.

    Attributes:
        leaf: its node, [T].
        action: [T].
        before: the position there, [T, D].
        after: the position that the action leads to, [T, D].
    """

    leaf: Ints
    action: Ints
    before: Ints
    after: Ints


compiled = numba.njit(cache=True, error_model="numpy")


@compiled
def descend(roots: Ints, nodes: Nodes, states: Ints, leaf: Ints, action: Ints, before: Ints) -> None:
    """Follow the best actions from every root, to one that leads nowhere yet or to an end.

    Args:
        roots: [T].
        nodes: only read.
        states: positions, [nodes, D].
        leaf: the node that each came to, [T]; written.
        action: what is done there, [T]; written.
        before: the position there, [T, D]; written.
    """
    for tree in range(len(roots)):
        node = roots[tree]
        while nodes.mover[node] != ENDED:
            onward = nodes.child[node, nodes.best[node]]
            if onward == NOWHERE:
                break
            node = onward
        leaf[tree] = node
        action[tree] = nodes.best[node]
        before[tree] = states[node]


@compiled
def grow(rule: tuple[int, float, float], nodes: Nodes, seen: Seen, moves: Moves, states: Ints, free: Ints) -> None:
    """Add what was seen after the leaves' actions, and tell it to all on the paths.

    A leaf where the game has ended stays as it is, and its outcome counts again. A position in which the game has ended
    is never moved in: the one before is kept, to be ended again.

    Args:
        rule: `PUCT`, `UCT` or `GUMBEL`, and its two parameters.
        nodes: changed in place.
        seen: the positions after the actions.
        moves: the actions.
        states: positions of all nodes, [nodes, D]; changed in place.
        free: the next place of every tree, [T]; moved on where it was taken.
    """
    for tree in range(len(free)):
        node, new = moves.leaf[tree], free[tree]
        told = seen.outcome[tree]
        ended = not math.isnan(told)
        if not ended:
            told = seen.value[tree] * (1 - 2 * seen.to_move[tree])
        if nodes.mover[node] == ENDED:
            node = nodes.parent[node]
        else:
            put(rule, nodes, seen, tree, new, node, moves.action[tree])
            nodes.child[node, moves.action[tree]] = new
            states[new] = moves.before[tree] if ended else moves.after[tree]
            free[tree] += 1
        while node != NOWHERE:
            taken = nodes.best[node]
            nodes.visits[node, taken] += 1
            nodes.total[node, taken] += nodes.mover[node] * told
            nodes.best[node] = decided(rule, nodes, node)
            node = nodes.parent[node]


@compiled
def plant(
    rule: tuple[int, float, float], nodes: Nodes, seen: Seen, where: Bools, roots: Ints, free: Ints, first: int
) -> None:
    """Begin trees anew, where so told, at the positions seen; one without a move stays as it is, at move ``first``."""
    for tree in range(len(roots)):
        if where[tree]:
            put(rule, nodes, seen, tree, roots[tree], NOWHERE, first)
            free[tree] = roots[tree] + 1


@compiled
def decide(rule: tuple[int, float, float], nodes: Nodes, which: Ints) -> None:
    """Find anew what some nodes do next."""
    for node in which:
        nodes.best[node] = decided(rule, nodes, node)


@compiled
def reroot(nodes: Nodes, roots: Ints, free: Ints, room: int, action: Ints, source: Ints, planted: Bools) -> None:
    """Move what hangs below the roots' actions to where those stand; a parent always has the lower number.

    Args:
        nodes: changed in place.
        roots: [T].
        free: the next place of every tree, [T].
        room: places that must stay free.
        action: [T].
        source: of every node, where its position was before; changed in place, [nodes].
        planted: trees to be planted anew, to which are added those that were not kept, [T].
    """
    capacity = len(nodes.best) // len(roots)
    moved = np.empty(capacity, np.int64)  # where a place's content went
    for tree in range(len(roots)):
        root, end = roots[tree], roots[tree]
        begin = nodes.child[root, action[tree]]
        if planted[tree] or begin == NOWHERE:
            planted[tree] = True
            continue
        for node in range(begin, free[tree]):
            above = nodes.parent[node]
            if node == begin:
                to = NOWHERE
            elif above >= begin and moved[above - root] != NOWHERE:
                to = moved[above - root]
            else:
                moved[node - root] = NOWHERE
                continue
            moved[node - root] = end
            move(nodes, node, end, to)
            source[end] = node
            end += 1
        free[tree] = end
        planted[tree] = end - root > capacity - room


@compiled
def move(nodes: Nodes, node: int, to: int, parent: int) -> None:
    """Copy a node to a lower number, below a parent that was moved before."""
    if parent != NOWHERE:  # numbers that children were given before are lower than any that is looked for
        for a in range(nodes.child.shape[1]):
            if nodes.child[parent, a] == node:
                nodes.child[parent, a] = to
    nodes.visits[to], nodes.total[to], nodes.prior[to] = nodes.visits[node], nodes.total[node], nodes.prior[node]
    nodes.legal[to], nodes.child[to] = nodes.legal[node], nodes.child[node]
    nodes.parent[to], nodes.best[to] = parent, nodes.best[node]
    nodes.mover[to], nodes.value[to] = nodes.mover[node], nodes.value[node]


@compiled
def put(rule: tuple[int, float, float], nodes: Nodes, seen: Seen, at: int, node: int, parent: int, action: int) -> None:
    """Write position ``at`` of those seen into a node; ``action`` of its parent led to it."""
    going_on = math.isnan(seen.outcome[at]) and seen.legal[at].any()
    nodes.visits[node] = 0
    nodes.total[node] = 0
    nodes.child[node] = NOWHERE
    nodes.parent[node] = parent
    nodes.mover[node] = 1 - 2 * seen.to_move[at] if going_on else ENDED
    nodes.legal[node] = seen.legal[at]
    nodes.value[node] = seen.value[at]
    nodes.best[node] = action
    if going_on:
        softmax(seen.logits[at], seen.legal[at], nodes.prior[node])
        nodes.best[node] = decided(rule, nodes, node)


@compiled
def softmax(logits: Floats, legal: Bools, out: Floats) -> None:
    """Probabilities of legal actions, [A]; 0 for the others."""
    most = -np.inf
    for a in range(len(logits)):
        if legal[a] and logits[a] > most:
            most = logits[a]
    total = 0.0
    for a in range(len(logits)):
        out[a] = math.exp(logits[a] - most) if legal[a] else 0.0
        total += out[a]
    for a in range(len(logits)):
        out[a] /= total


@compiled
def decided(rule: tuple[int, float, float], nodes: Nodes, node: int) -> int:
    """The legal action that scores most; the first of several, and of all where scores are no numbers."""
    best, most = NOWHERE, -np.inf
    kind, first, second = rule
    if kind == GUMBEL:
        return halved(rule, nodes, node) if nodes.parent[node] == NOWHERE else matched(rule, nodes, node)
    visits, total, prior = nodes.visits[node], nodes.total[node], nodes.prior[node]
    times = visits.sum()
    for a in range(len(visits)):
        if not nodes.legal[node, a]:
            continue
        if kind == PUCT:
            score = total[a] / max(visits[a], 1.0) + first * prior[a] * math.sqrt(times + 1) / (visits[a] + 1)
        else:
            score = upper_bound(visits[a], total[a], prior[a], times, first, second)
        if best == NOWHERE or score > most:
            best, most = a, score
    return best


@compiled
def upper_bound(visits: float, total: float, prior: float, times: float, exploration: float, weight: float) -> float:
    """Q + c √(ln N / n) + w P / (n + 1); what was never taken is first, unless priors have a weight: then n = 1."""
    if visits == 0 and weight == 0:
        return np.inf
    bound = math.sqrt(math.log(max(times, 1.0)) / max(visits, 1.0))
    return total / max(visits, 1.0) + exploration * bound + weight * prior / (visits + 1)


@compiled
def completed(rule: tuple[int, float, float], nodes: Nodes, node: int) -> Floats:
    """Scores log P + σ(q) of all actions, [A], with σ(q) = (first + max n) second · q, q from 0 to 1 over all actions.

    An action that was not taken, legal or not, has the q of the value and of the actions taken, mixed:
    (v + Σ n · Σ P Q / Σ P) / (1 + Σ n), sums over the latter (Danihelka et al., 2022, appendix D).
    """
    _, first, second = rule
    visits, total, prior = nodes.visits[node], nodes.total[node], nodes.prior[node]
    weighted, share = 0.0, 0.0
    for a in range(len(visits)):
        if visits[a] > 0:
            p = max(prior[a], TINY)
            weighted += p * total[a] / visits[a]
            share += p
    mixed = (nodes.value[node] + visits.sum() * weighted / max(share, TINY)) / (1 + visits.sum())
    scores = np.empty(len(visits), np.float32)  # first the q themselves
    least, most = np.inf, -np.inf
    for a in range(len(visits)):
        scores[a] = total[a] / visits[a] if visits[a] > 0 else mixed
        least, most = min(least, scores[a]), max(most, scores[a])
    scale = (first + visits.max()) * second / max(most - least, 1e-8)
    for a in range(len(visits)):
        scores[a] = math.log(max(prior[a], TINY)) + scale * (scores[a] - least)
    return scores


@compiled
def halved(rule: tuple[int, float, float], nodes: Nodes, root: int) -> int:
    """What sequential halving takes next at a root, by noise + log P + σ(q), or recommends in the end."""
    tree = root // (len(nodes.best) // len(nodes.noise))
    visits, legal, halving = nodes.visits[root], nodes.legal[root], nodes.halving
    times, considered = int(visits.sum()), min(legal.sum(), len(halving) - 1)
    wanted = halving[considered, times] if times < halving.shape[1] else visits.max()
    scores = completed(rule, nodes, root)
    best, most = NOWHERE, -np.inf
    for a in range(len(visits)):
        score = nodes.noise[tree, a] + scores[a]
        if legal[a] and visits[a] == wanted and (best == NOWHERE or score > most):
            best, most = a, score
    return best


@compiled
def matched(rule: tuple[int, float, float], nodes: Nodes, node: int) -> int:
    """The action that has least of what the improved policy gives it: argmax π′(a) − n(a) / (1 + Σ n)."""
    visits, legal = nodes.visits[node], nodes.legal[node]
    policy = np.empty(len(visits), np.float32)
    softmax(completed(rule, nodes, node), legal, policy)
    best, most = NOWHERE, -np.inf
    for a in range(len(visits)):
        score = policy[a] - visits[a] / (1 + visits.sum())
        if legal[a] and (best == NOWHERE or score > most):
            best, most = a, score
    return best


@compiled
def improve(rule: tuple[int, float, float], nodes: Nodes, which: Ints, out: Floats) -> None:
    """Write π′ = softmax(log P + σ(q)) of some nodes, over legal actions, [which, A]; 0 where the game has ended."""
    for at in range(len(which)):
        node = which[at]
        if nodes.mover[node] != ENDED:
            softmax(completed(rule, nodes, node), nodes.legal[node], out[at])
