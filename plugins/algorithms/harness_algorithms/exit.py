"""Expert Iteration, ExIt (Anthony, Tian & Barber, 2017, arXiv:1705.08439): a network imitates a search that it guides.

The apprentice π̂ plays against itself; of every game one position s is set aside, so that data are independent. The
expert, a search by UCT that the apprentice guides, is asked for s alone. Its tree takes the move that scores most,

    Q + c √(ln N / n) + w_a π̂(a|s) / (n + 1),

and a new position is worth the outcome z of a random game from there or, once there are data enough for a value v̂ of
the apprentice's own games, w_v v̂ + (1 − w_v) z. What the network learns, from new weights in every iteration and until
a part of the data that is held out says stop, descends

    −Σ π(a|s) log π̂(a|s)  −  z log p − (1 − z) log (1 − p),   p the odds that who is to move wins,

where π is the share of simulations that each move had, `tpt`, or all on the move that had most, `cat`. All data are
kept; in every iteration they grow by a share. The first expert is guided by none.

Every copy sets a position aside every `gap` plies. Where that is no less than a game's plies, each game gives one at
most, at any of its plies alike; where it is less, what would be a game's second position is left out, and first ones
are labelled more often. A position turned or mirrored would be as good; rules do not tell how, so none is added.

Departures from the paper: networks are perceptrons; no RAVE, which the expert of the paper has; 0.1 of the copies is
held out. All seeds are trained in lockstep, S · N trees at once; they are in the processor's memory.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.games import (
    acting,
    chance_of,
    cross_entropy,
    drawn_moves,
    evaluated_by,
    evaluated_by_both,
    evaluated_by_playing,
    legal_policy,
    network_over,
    searched,
)
from harness_algorithms.blocks.networks import StackedMLP
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.ranges import NotNegative
from harness_algorithms.blocks.streams import Uniforms
from harness_algorithms.blocks.tree_search import Rule, uct


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Expert Iteration."""

    simulations: Count = 200  # of the expert, for a position
    exploration: NotNegative = 1.4  # c, for outcomes from −1 to 1
    prior_weight: NotNegative = 100.0  # w_a
    value_weight: Fraction = 0.75  # w_v
    value_starts: Count = 2_000  # positions from which on there is a value
    target: Literal["cat", "tpt"] = "tpt"

    copies: Annotated[int, Ge(2)] = 32  # N, games of self-play at a time
    gap: Count = 26  # plies of a game from one of its copy's positions to the next
    first: Count = 8  # positions of every copy, before the apprentice is trained
    growth: Fraction = 0.1  # of the data in an iteration; a position of every copy at least

    hidden: tuple[Count, ...] = (128, 128)
    learning_rate: Fraction = 1e-3  # of Adam
    batch_size: Count = 128
    epochs: Count = 50  # at most
    patience: Count = 3  # epochs without a better loss where held out; then the best is taken

    act_by: Literal["search", "network"] = "search"  # in evaluation
    evaluation_simulations: Count = 200


HELD_OUT = 0.1  # of the copies


class Labelled(NamedTuple):
    """Positions that the expert was asked for, fields [S, rows, N, ...]."""

    obs: Tensor
    legal: Tensor  # moves, bool [..., A]
    target: Tensor  # π, float32 [..., A]
    outcome: Tensor  # z, of the apprentice's game for who was to move; NaN while it goes on
    used: Tensor  # bool; false where the game had another


class Terms(NamedTuple):
    """The parts of the loss, [S] each: averages over positions that are used, and of these whose game has ended."""

    policy: Tensor
    value: Tensor


def target(visits: Tensor, kind: Literal["cat", "tpt"]) -> Tensor:
    """π of what was taken how often at the roots, [..., A]."""
    if kind == "cat":
        return functional.one_hot(visits.argmax(-1), visits.shape[-1]).float()
    return visits / visits.sum(-1, keepdim=True)


def terms(network: StackedMLP, batch: Labelled) -> Terms:
    """Cross-entropies of the expert's moves and of outcomes, of positions [S, B]."""
    out = network(batch.obs)
    crossed = cross_entropy(out[..., :-1], batch.legal, batch.target)
    known = batch.used & ~batch.outcome.isnan()
    odds = (batch.outcome.nan_to_num() + 1) / 2  # a draw is half a game won; and as v̂ = tanh x, p = σ(2 x)
    valued = functional.binary_cross_entropy_with_logits(2 * out[..., -1], odds, reduction="none")
    parts = ((crossed, batch.used), (valued, known))
    return Terms(*((part * of).sum(1) / of.sum(1).clamp(min=1) for part, of in parts))


class Apprentice:
    """The network that imitates, its games against itself, and the positions that were set aside in these."""

    def __init__(self, trial: Trial, config: Config) -> None:
        self._config = config
        self.game = trial.make_game(config.copies)
        self.rules = self.game.rules
        self._state = self.game.reset()
        self._initialisation, self._order = trial.generators("initialisation"), trial.generators("batches")
        self.network = self._new_network()
        self.evaluate = evaluated_by(self.network, self.rules, trial.num_seeds, trial.device)
        self._chance = Uniforms(trial.generators("moves"), config.copies)
        phases = [torch.randint(config.gap, (config.copies,), generator=g) for g in trial.generators("positions")]
        self._due = torch.stack(phases)  # the ply of each `gap` at which a copy's position is set aside, [S, N]
        self._open = torch.full_like(self._due, -1)  # row of the position set aside in the game that goes on, or −1
        self._kept: list[Labelled] = []
        self._outcomes: list[Tensor] = []  # of rows, for the first player

    def _new_network(self) -> StackedMLP:
        return network_over(self.rules, self._state, self._config.hidden, self._initialisation)

    @property
    def positions(self) -> int:
        """How many were set aside, per seed."""
        return len(self._kept) * self._config.copies

    def play(self) -> tuple[Tensor, Tensor]:
        """Play ``gap`` plies: a position of every copy, [S, N, D], and where its game has no other, bool [S, N]."""
        aside, used = torch.zeros_like(self._state), torch.zeros_like(self._due, dtype=torch.bool)
        self._outcomes.append(torch.full(used.shape, torch.nan))
        for ply in range(self._config.gap):
            due = self._due == ply
            aside = torch.where(due.unsqueeze(2), self._state, aside)
            used |= due & (self._open < 0)
            self._open = torch.where(due & (self._open < 0), len(self._outcomes) - 1, self._open)
            logits = self.evaluate(self._state.flatten(0, 1)).logits.view(*due.shape, -1)
            policy = legal_policy(logits, self.rules.legal(self._state))
            made = self.game.step(drawn_moves(policy, self._chance()))
            for row in self._open[made.ended & (self._open >= 0)].unique().tolist():
                told = made.ended & (self._open == row)
                self._outcomes[row] = torch.where(told, made.outcome, self._outcomes[row])
            self._open.masked_fill_(made.ended, -1)
            self._state = made.state
        return aside, used

    def add(self, state: Tensor, used: Tensor, policy: Tensor) -> None:
        """Keep positions [S, N, D] that were set aside, and what the expert says of them, [S, N, A]."""
        mover = 1.0 - 2.0 * self.rules.to_move(state)
        self._kept.append(Labelled(self.rules.observe(state), self.rules.legal(state), policy, mover, used))

    def train(self) -> dict[str, Tensor]:
        """Learn all data from new weights, with the best of those come by where data are held out; says how good."""
        config, seeds = self._config, len(self._due)
        held = max(1, round(HELD_OUT * config.copies))
        data = Labelled(*(torch.stack(rows, 1) for rows in zip(*self._kept, strict=True)))
        data = data._replace(outcome=data.outcome * torch.stack(self._outcomes, 1))
        tested, learned = (
            Labelled(*(f[:, :, of].flatten(1, 2) for f in data)) for of in (slice(held), slice(held, None))
        )
        learner = self._new_network()
        optimizer = adam(learner.parameters, config.learning_rate)
        least, waited, said = torch.full((seeds,), torch.inf), torch.zeros(seeds), torch.zeros(2, seeds)
        for _ in range(config.epochs):
            going_on = waited < config.patience
            if not going_on.any():
                break
            self._epoch(learner, optimizer, learned, going_on)
            with torch.no_grad():
                found = terms(learner, tested)
                better = going_on & (self._loss(found) < least)
                least = torch.where(better, self._loss(found), least)
                waited = torch.where(better, 0, waited + 1)
                said = torch.where(better, torch.stack(found), said)
                self.network.flat.copy_(torch.where(better.unsqueeze(1), learner.flat, self.network.flat))
        return {"policy_loss": said[0], "value_loss": said[1]}

    def _epoch(self, learner: StackedMLP, optimizer: torch.optim.Optimizer, data: Labelled, going_on: Tensor) -> None:
        """Learn every position once, by chance that seeds which do not go on leave alone."""
        size = data.used.shape[1]
        on = zip(going_on.tolist(), self._order, strict=True)
        order = torch.stack([torch.randperm(size, generator=g) if any_ else torch.arange(size) for any_, g in on])
        seeds = torch.arange(len(order)).unsqueeze(1)
        for part in order.split(self._config.batch_size, 1):
            descend(optimizer, self._loss(terms(learner, Labelled(*(field[seeds, part] for field in data)))))

    def _loss(self, found: Terms) -> Tensor:
        return found.policy + found.value if self.positions >= self._config.value_starts else found.policy


class Expert:
    """The search that the apprentice guides, once that has been trained."""

    def __init__(self, apprentice: Apprentice, config: Config) -> None:
        self._apprentice, self._config = apprentice, config
        self.guided = self.valued = False

    def _rule(self) -> Rule:
        return uct(self._config.exploration, self._config.prior_weight if self.guided else 0.0)

    def searching(self, generators: list[torch.Generator], simulations: int) -> Callable[[Tensor], Tensor]:
        """How often moves are taken, [T, A], at the roots of searches from positions [T, D]."""
        rules = self._apprentice.rules
        playing = evaluated_by_playing(rules, chance_of(generators))
        weight = self._config.value_weight
        evaluate = evaluated_by_both(self._apprentice.evaluate, playing, lambda: weight if self.valued else 0.0)
        return lambda state: searched(rules, evaluate, self._rule(), simulations, state).visits


def preference(trial: Trial, apprentice: Apprentice, expert: Expert, config: Config) -> Callable[[Tensor], Tensor]:
    """By what moves are chosen in evaluation, [T, A] at positions [T, D]."""
    if config.act_by == "network":
        return lambda state: apprentice.evaluate(state).logits
    return expert.searching(trial.generators("evaluation"), config.evaluation_simulations)


def train(trial: Trial, config: Config) -> None:
    """Set positions of the apprentice's games aside, ask the expert for them, and train the apprentice; and so on."""
    apprentice = Apprentice(trial, config)
    expert = Expert(apprentice, config)
    ask = expert.searching(trial.generators("expert"), config.simulations)
    trial.policy = acting(apprentice.rules, trial.num_seeds, preference(trial, apprentice, expert, config))
    rows = config.first
    while trial.within_budget:
        for _ in range(rows):
            state, used = apprentice.play()
            with trial.planning():
                visits = ask(state.flatten(0, 1)).view(*used.shape, -1)
            trial.simulated(config.copies * config.simulations)
            apprentice.add(state, used, target(visits, config.target))
        trial.log(**apprentice.train(), positions=apprentice.positions)
        expert.guided, expert.valued = True, apprentice.positions >= config.value_starts
        rows = max(1, math.ceil(config.growth * apprentice.positions / config.copies))
