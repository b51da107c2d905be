"""What algorithms of two-player games share: networks over positions, searches of them, and what games leave behind."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.api import GameRules
from harness_algorithms.blocks.networks import Network, StackedMLP, stacked_mlp
from harness_algorithms.blocks.tree_search import Evaluate, Evaluation, Forest, Rule


def network_over(
    rules: GameRules, state: Tensor, hidden: Sequence[int], generators: Sequence[torch.Generator]
) -> StackedMLP:
    """New networks over positions like these, [S, N, D]: outputs [S, B, A + 1] are logits of moves, then the value."""
    size, actions = rules.observe(state)[0, 0].numel(), rules.legal(state).shape[-1]
    return stacked_mlp((size, *hidden, actions + 1), generators)


def evaluated_by(network: Network, rules: GameRules, num_seeds: int, device: torch.device) -> Evaluate:
    """What a network with outputs [S, B, A + 1] thinks of positions [S · B, D]: logits, and a value by tanh."""

    def evaluate(state: Tensor) -> Evaluation:
        obs = rules.observe(state).view(num_seeds, len(state) // num_seeds, -1).to(device)
        out = network.record(obs)[0].reshape(len(state), -1).cpu()
        return Evaluation(out[:, :-1].contiguous(), out[:, -1].tanh())

    return evaluate


Chance = Callable[[Tensor, int], Tensor]
"""Numbers from U[0, 1), float64 [T, A], for trees of games that go on, bool [T], and A moves."""


def chance_of(generators: Sequence[torch.Generator]) -> Chance:
    """Numbers for T trees, as many of every seed; a seed none of whose games goes on draws none."""

    def chance(going_on: Tensor, actions: int) -> Tensor:
        shape = len(going_on) // len(generators), actions
        wanted = zip(going_on.unflatten(0, (len(generators), -1)).any(1).tolist(), generators, strict=True)
        rows = [
            torch.rand(shape, generator=g, dtype=torch.float64) if any_ else torch.zeros(shape) for any_, g in wanted
        ]
        return torch.cat(rows)

    return chance


def evaluated_by_playing(rules: GameRules, chance: Chance) -> Evaluate:
    """Positions are thought worth what a random game from there comes to, and no move likelier than another."""
    play = compiled_games(rules, chance) if hasattr(rules, "played_out") else games_ply_by_ply(rules, chance)

    def evaluate(state: Tensor) -> Evaluation:
        going_on, mover = rules.legal(state), 1 - 2 * rules.to_move(state)
        told = play(state, going_on.any(1) & rules.outcome(state).isnan())
        return Evaluation(torch.zeros(going_on.shape), told.nan_to_num() * mover)

    return evaluate


Play = Callable[[Tensor, Tensor], Tensor]
"""The first player's outcomes, [T], of random games from positions [T, D], where these go on, bool [T]."""


def compiled_games(rules: Any, chance: Chance) -> Play:
    """As the rules play them by themselves, each by 53 random bits."""
    return lambda state, going_on: rules.played_out(state, (chance(going_on, 1).squeeze(1) * 2**53).long())


def games_ply_by_ply(rules: GameRules, chance: Chance) -> Play:
    """As any rules allow: a ply of all games after the other."""

    def play(state: Tensor, going_on: Tensor) -> Tensor:
        begun = rules.initial((len(state),))  # where a game is over, it is this that is moved in
        first = rules.legal(begun).float().argmax(1)
        while going_on.any():
            moved_in = torch.where(going_on[:, None], state, begun)
            legal = rules.legal(moved_in)
            action = torch.where(going_on, (chance(going_on, legal.shape[1]) * legal).argmax(1), first)
            state = torch.where(going_on[:, None], rules.apply(moved_in, action), state)
            going_on = rules.outcome(state).isnan() & rules.legal(state).any(1)
        return rules.outcome(state)

    return play


def evaluated_by_both(network: Evaluate, playing: Evaluate, weight: Callable[[], float]) -> Evaluate:
    """The network's logits, and w of its value with 1 − w of a random game's outcome; without w, no value is asked.

    Args:
        network: as of `evaluated_by`.
        playing: as of `evaluated_by_playing`.
        weight: w, as it is when a position is evaluated.
    """

    def evaluate(state: Tensor) -> Evaluation:
        (logits, value), w = network(state), weight()
        if w == 1:
            return Evaluation(logits, value)
        outcome = playing(state).value
        return Evaluation(logits, outcome.lerp(value, w) if w else outcome)

    return evaluate


def legal_policy(logits: Tensor, legal: Tensor) -> Tensor:
    """Softmax of logits [..., A] over legal moves; illegal ones have none of it."""
    return logits.masked_fill(~legal, -torch.inf).softmax(-1)


def cross_entropy(logits: Tensor, legal: Tensor, policy: Tensor) -> Tensor:
    """−Σ π(a|s) log p(a|s), [...]; p is softmax over legal moves of logits, all [..., A]."""
    log_probs = logits.masked_fill(~legal, -torch.inf).log_softmax(-1)
    return -(policy * log_probs.masked_fill(~legal, 0.0)).sum(-1)


def drawn_moves(policy: Tensor, chance: Tensor) -> Tensor:
    """Moves, int64 [S, N], from a policy [S, N, A] by chance [S, N] of U[0, 1); one of no share is never drawn."""
    bounds = policy.double().cumsum(2)
    return (chance.unsqueeze(2) * bounds[..., -1:] >= bounds).sum(2)


def acting(rules: GameRules, num_seeds: int, preference: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A policy to be evaluated: of the legal moves the one preferred most, [S, B] for observations [S, B, ...].

    Args:
        rules: of the game.
        num_seeds: S.
        preference: how much a move is preferred, [T, A], at positions [T, D].
    """

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        state = rules.position(obs).flatten(0, 1)
        preferred = preference(state).masked_fill(~rules.legal(state), -torch.inf)
        return preferred.argmax(1).unflatten(0, (num_seeds, -1))

    return act


def searched(rules: GameRules, evaluate: Evaluate, rule: Rule, simulations: int, state: Tensor) -> Forest:
    """New trees of positions [T, D], after so many simulations."""
    forest = Forest(rules, evaluate, rule, simulations + 1, state)
    for _ in range(simulations):
        forest.simulate()
    return forest


@torch.no_grad()
def dirichlet(concentration: float, legal: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """A draw from the symmetric Dirichlet distribution over the legal moves of every position, float32 [S, N, A].

    Args:
        concentration: α.
        legal: bool [S, N, A].
        generators: one per seed, on the processor.
    """
    shapes = torch.full(legal.shape[1:], concentration, dtype=torch.float64)
    drawn = torch.stack([torch._standard_gamma(shapes, generator) for generator in generators])
    drawn = drawn.clamp(min=torch.finfo(torch.float64).tiny) * legal
    return (drawn / drawn.sum(2, keepdim=True)).float()


def gumbel_noise(legal: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """A draw from Gumbel's distribution, −ln(−ln U), for every move of every position, float32 [S, N, A].

    Args:
        legal: only its shape counts, [S, N, A].
        generators: one per seed, on the processor.
    """
    drawn = torch.stack([torch.rand(legal.shape[1:], generator=g, dtype=torch.float64) for g in generators])
    return -(-drawn.clamp(min=torch.finfo(torch.float64).tiny).log()).log().float()


def told(outcome: Tensor, ended: Tensor) -> Tensor:
    """The outcome that the game of every ply came to, [S, T, N]; NaN where it is not over at the end of T.

    Args:
        outcome: where a game ``ended``, [S, T, N].
        ended: bool [S, T, N].
    """
    rows, latest = [], torch.full_like(outcome[:, 0], torch.nan)
    for row in reversed(range(ended.shape[1])):
        latest = torch.where(ended[:, row], outcome[:, row], latest)
        rows.append(latest)
    return torch.stack(rows[::-1], 1)


class Position(NamedTuple):
    """A position that was played, fields [S, N, ...]."""

    obs: Tensor
    legal: Tensor  # moves, bool [..., A]
    policy: Tensor  # π, what the search recommends, float32 [..., A]
    mover: Tensor  # 1 or −1: who moved
    outcome: Tensor  # z for who moved; NaN until the game has ended


class Games:
    """The latest positions of N games at a time, a row of them after each ply; outcomes come when games end.

    Args:
        rows: plies kept of every game.
        batch_size: B.
        pick: numbers from U[0, 1) [S, B], of the sample.
    """

    def __init__(self, rows: int, pick: Callable[[], Tensor]) -> None:
        self._rows, self._pick = rows, pick
        self._fields: list[Tensor] = []  # [S, rows, N, ...] each
        self._added = 0
        self._length = torch.empty(0)  # plies of the games that go on, int64 [S, N]

    def __len__(self) -> int:
        """Positions per seed, of games that go on included."""
        return min(self._added, self._rows) * self._length.shape[1]

    def add(self, position: Position, ended: Tensor, outcome: Tensor) -> None:
        """Keep a row of positions; games that ``ended``, bool [S, N], had an ``outcome`` for the first player."""
        if not self._fields:
            self._length = torch.zeros_like(ended, dtype=torch.int64)
            self._fields = [field.new_zeros((len(field), self._rows, *field.shape[1:])) for field in position]
        row = self._added % self._rows
        for kept, field in zip(self._fields, position, strict=True):
            kept[:, row] = field
        self._added += 1
        self._length += 1
        *_, movers, outcomes = self._fields
        for back in range(min(int(self._length.max()), self._rows) if ended.any() else 0):
            at = (row - back) % self._rows
            told = ended & (self._length > back)
            outcomes[:, at] = torch.where(told, outcome * movers[:, at], outcomes[:, at])
        self._length.masked_fill_(ended, 0)

    def sample(self) -> Position:
        """B positions of every seed, drawn with replacement: fields [S, B, ...]."""
        which = (self._pick() * len(self)).long()
        seeds = torch.arange(len(which))[:, None]
        copies = self._length.shape[1]
        fields = (field[seeds, which // copies, which % copies] for field in self._fields)
        return Position(*fields)
