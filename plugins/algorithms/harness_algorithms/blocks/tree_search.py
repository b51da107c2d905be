"""Monte-Carlo tree search in T trees at once, in arrays that are made beforehand: one evaluation per simulation.

Positions, rules and evaluations are tensors over all trees; what is done in each tree by itself is compiled
(`tree_kernels`). Trees are in the processor's memory whatever the device: an evaluation may be on another.

Values are those of outcomes in [−1, 1]; at every ply they are counted for who moved, so games in which a player moves
twice are searched as well. The end of a game backs up its true outcome, every time that it is come to.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.api import GameRules
from harness_algorithms.blocks import tree_kernels as kernels
from harness_algorithms.blocks.tree_kernels import NOWHERE, Moves, Nodes, Seen


class Evaluation(NamedTuple):
    """What is thought of T positions.

    Attributes:
        logits: of the prior over actions, float32 [T, A]; those of illegal moves do not matter.
        value: the outcome expected by who is to move, float32 [T].
    """

    logits: Tensor
    value: Tensor


Evaluate = Callable[[Tensor], Evaluation]
"""Of positions [T, D], on the processor; what it says where a game has ended does not matter."""


class Rule(NamedTuple):
    """Which action is taken next in a node: the one that scores most; made by `puct`, `uct` and `gumbel`."""

    kind: int
    first: float
    second: float
    halving: kernels.Ints = np.zeros((1, 1), np.int64)  # what `gumbel` needs


def puct(exploration: float) -> Rule:
    """Q + c P √N / (1 + n), where N = 1 + Σ n counts the visit that made the node (Silver et al., 2018).

    What was never taken has Q = 0, a draw.

    Args:
        exploration: c.
    """
    return Rule(kernels.PUCT, exploration, 0.0)


def uct(exploration: float, prior_weight: float = 0.0) -> Rule:
    """Q + c √(ln N / n), N = Σ n, with what was never taken first (Kocsis & Szepesvári, 2006).

    With a weight w, w P / (n + 1) is added, and what was never taken counts as taken once, for a draw: as Expert
    Iteration is guided by its apprentice (Anthony et al., 2017, arXiv:1705.08439, section 4.2).

    Args:
        exploration: c.
        prior_weight: w.
    """
    return Rule(kernels.UCT, exploration, prior_weight)


def gumbel(considered: int, simulations: int, value_scale: float = 0.1, visit_offset: float = 50.0) -> Rule:
    """Gumbel AlphaZero (Danihelka et al., 2022, openreview bERaNdoegnO), with the scales of their library mctx.

    At a root sequential halving takes of so many actions those of the largest noise + log P + σ(q), ever fewer; below
    it actions are taken so that their shares come near π′ = softmax(log P + σ(q)). A search begins at a new root, and
    has so many simulations.

    Args:
        considered: actions at a root, at most.
        simulations: of a search.
        value_scale: c_scale of σ.
        visit_offset: c_visit of σ.
    """
    return Rule(kernels.GUMBEL, visit_offset, value_scale, considered_visits(considered, simulations))


def considered_visits(most: int, simulations: int) -> kernels.Ints:
    """How often those actions were taken of which one is next, by sequential halving (Karnin et al., 2013).

    Returns:
        [most + 1, simulations], by how many actions there are to begin with, and how many simulations there were.
    """
    return np.array([_halved(count, simulations) for count in range(most + 1)], np.int64)


def _halved(count: int, simulations: int) -> list[int]:
    """One row: all that are left are taken equally often, in turn, and then the better half of them is left."""
    if count <= 1:
        return [*range(simulations)]
    left, taken, row = count, 0, list[int]()
    phases = math.ceil(math.log2(count))
    while len(row) < simulations:
        turns = max(1, simulations // (phases * left))
        row += [n for n in range(taken, taken + turns) for _ in range(left)]
        left, taken = max(2, left // 2), taken + turns
    return row[:simulations]


class Forest:
    """T trees of one game.

    Args:
        rules: of the game.
        evaluate: what is thought of positions.
        rule: which action is taken next.
        capacity: C, positions of a tree.
        state: positions of the roots, [T, D]; from those in which no move is legal nothing is searched.
    """

    def __init__(self, rules: GameRules, evaluate: Evaluate, rule: Rule, capacity: int, state: Tensor) -> None:
        self._rules, self._evaluate, self._rule = rules, evaluate, (rule.kind, rule.first, rule.second)
        seen = self._seen(state)
        trees, actions = seen.logits.shape
        size, self._capacity = trees * capacity, capacity
        self.roots = torch.arange(trees) * capacity
        self.nodes = Nodes(
            visits=np.zeros((size, actions), np.float32),
            total=np.zeros((size, actions), np.float32),
            prior=np.zeros((size, actions), np.float32),
            legal=np.zeros((size, actions), np.bool_),
            child=np.full((size, actions), NOWHERE, np.int64),
            parent=np.full(size, NOWHERE, np.int64),
            best=np.zeros(size, np.int64),
            mover=np.zeros(size, np.float32),
            value=np.zeros(size, np.float32),
            noise=np.zeros((trees, actions), np.float32),
            halving=rule.halving,
        )
        self._states = state.new_zeros(size, state.shape[1])
        self._before = torch.zeros_like(state)  # [T, D], the positions moved in
        self._free = self.roots + 1
        self._leaf, self._action = torch.zeros(2, trees, dtype=torch.int64)
        self._numpy = [each.numpy() for each in (self.roots, self._free, self._leaf, self._action, self._before)]
        self._plant(state, seen, torch.ones(trees, dtype=torch.bool))

    @property
    def visits(self) -> Tensor:
        """How often each action was taken at the roots, [T, A]."""
        return torch.from_numpy(self.nodes.visits)[self.roots]

    @property
    def prior(self) -> Tensor:
        """P of the roots, [T, A]."""
        return torch.from_numpy(self.nodes.prior)[self.roots]

    @property
    def best(self) -> Tensor:
        """Which action a root takes next, int64 [T]; of `gumbel`, after all simulations, the one that it recommends."""
        return torch.from_numpy(self.nodes.best)[self.roots]

    @property
    def improved(self) -> Tensor:
        """π′ of `gumbel` at the roots, [T, A]."""
        policy = np.zeros_like(self.nodes.noise)
        kernels.improve(self._rule, self.nodes, self.roots.numpy(), policy)
        return torch.from_numpy(policy)

    def perturb(self, noise: Tensor) -> None:
        """Let the roots of `gumbel` add noise to their logits, [T, A]."""
        self.nodes.noise[:] = noise.numpy()
        kernels.decide(self._rule, self.nodes, self.roots.numpy())

    def mix_prior(self, noise: Tensor, share: float) -> None:
        """Search from roots whose prior is (1 − share) P + share · noise, [T, A]; no other node is changed."""
        torch.from_numpy(self.nodes.prior)[self.roots] = self.prior.lerp(noise, share)
        kernels.decide(self._rule, self.nodes, self.roots.numpy())

    def advance(self, action: Tensor, state: Tensor, anew: Tensor, room: int) -> None:
        """Go on from the positions after moves, with what is known of them; all else is forgotten.

        Args:
            action: moves, int64 [T].
            state: the positions to go on from, [T, D].
            anew: where these are of another game, bool [T].
            room: places that must be free; a tree that has fewer begins anew, too.
        """
        source, planted = torch.arange(len(self.nodes.best)), anew.clone()
        arguments = (each.numpy() for each in (action, source, planted))
        kernels.reroot(self.nodes, self._numpy[0], self._numpy[1], room, *arguments)
        self._states = self._states.index_select(0, source)
        if planted.any():
            self._plant(state, self._seen(state), planted)

    def _plant(self, state: Tensor, seen: Seen, where: Tensor) -> None:
        """Begin trees anew at positions [T, D]; where there is no move, one of the first position is kept for show."""
        begun = self._rules.initial((1,))
        stuck = ~torch.from_numpy(seen.legal).any(1, keepdim=True)
        self._states.index_copy_(0, self.roots[where], torch.where(stuck, begun, state)[where])
        first = int(self._rules.legal(begun)[0].float().argmax())
        kernels.plant(self._rule, self.nodes, seen, where.numpy(), self._numpy[0], self._numpy[1], first)

    @torch.inference_mode()
    def simulate(self) -> None:
        """In every tree, descend to a position that is new, or an end; evaluate it, and tell it to all on the path.

        Raises:
            ValueError: a tree is full.
        """
        roots, free, leaf, action, before = self._numpy
        if (free - roots).max() >= self._capacity:
            raise ValueError(f"a tree has no room for more than {self._capacity} positions")
        states = self._states.numpy()
        kernels.descend(roots, self.nodes, states, leaf, action, before)
        state = self._rules.apply(self._before, self._action)
        seen = self._seen(state)
        moves = Moves(leaf, action, before, state.contiguous().numpy())
        kernels.grow(self._rule, self.nodes, seen, moves, states, free)

    def _seen(self, state: Tensor) -> Seen:
        rules, (logits, value) = self._rules, self._evaluate(state)
        parts = logits, value, rules.legal(state), rules.to_move(state), rules.outcome(state)
        return Seen(*(each.numpy() for each in parts))
