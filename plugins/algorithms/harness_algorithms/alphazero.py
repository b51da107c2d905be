"""AlphaZero (Silver et al., 2018, arXiv:1712.01815): a network learns what a search, guided by it, finds in self-play.

The network (p, v) = f(s) says a policy and the outcome for who is to move. Search by PUCT from every position of a game
gives π, the share of simulations that each move had; moves are drawn from it in a game's first plies, and then are the
most visited. The network descends

    (z − v)² − π · log p + c ‖θ‖²

on positions of recent games that have ended, with outcomes z for who was to move. The latest network always plays; none
has to win against another first, as in AlphaGo Zero. Noise, of a Dirichlet distribution, is mixed into the prior of
roots alone. It is evaluated without noise and by the most visited move: with search, or (`act_by`) the network alone.

With ``search="gumbel"`` it is Gumbel AlphaZero (Danihelka et al., 2022, openreview bERaNdoegnO), which improves its
policy however few simulations there are: by logits and noise of Gumbel's distribution a root considers some moves;
sequential halving takes ever fewer of them, and in the end makes the one of the largest noise + log p + σ(q); π is
softmax(log p + σ(q)), with q of the search or, where a move was not taken, completed by v.

Departures from the paper: networks are perceptrons; positions are not turned or mirrored, as in the paper; updates and
self-play take turns. All seeds are trained in lockstep, S · N trees at once; they are in the processor's memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from harness.api import Count, Fraction, GameRules, Trial
from harness_algorithms.blocks.games import (
    Games,
    Position,
    acting,
    cross_entropy,
    dirichlet,
    drawn_moves,
    evaluated_by,
    gumbel_noise,
    network_over,
    searched,
)
from harness_algorithms.blocks.networks import StackedMLP
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.ranges import NotNegative, Positive
from harness_algorithms.blocks.streams import Uniforms
from harness_algorithms.blocks.tree_search import Forest, Rule, gumbel, puct


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of AlphaZero."""

    search: Literal["puct", "gumbel"] = "puct"
    simulations: Count = 32
    # Of PUCT
    exploration: NotNegative = 1.4  # c
    reuse: bool = True  # a search goes on from what the last one found below the move
    noise_concentration: Positive = 1.0  # α of the Dirichlet distribution
    noise_share: Fraction = 0.25  # ε
    drawn_plies: Count = 4  # of a game, in which moves are drawn from π
    # Of Gumbel AlphaZero
    considered: Count = 16  # moves at a root, at most
    value_scale: NotNegative = 0.1  # of σ

    copies: Count = 32  # N, games at a time
    hidden: tuple[Count, ...] = (128, 128)
    learning_rate: Fraction = 1e-3  # of Adam
    weight_decay: NotNegative = 1e-4  # c
    batch_size: Count = 128
    updates: Count = 8  # after a ply of every game
    kept_plies: Count = 256  # of every game that is played
    learning_starts: Count = 1_000  # positions

    act_by: Literal["search", "network"] = "search"  # in evaluation
    evaluation_simulations: Count = 100


class Terms(NamedTuple):
    """The parts of the loss, [S] each: averages over positions whose game has ended."""

    policy: Tensor
    value: Tensor
    decay: Tensor


def terms(network: StackedMLP, batch: Position, weight_decay: float) -> Terms:
    """−π · log p over legal moves, (z − v)² and c ‖θ‖², of positions [S, B].

    All are 0 where no game has ended: by decay alone, Adam would soon wipe out a network.
    """
    out = network(batch.obs)
    known = ~batch.outcome.isnan()
    count = known.sum(1).clamp(min=1)
    crossed = cross_entropy(out[..., :-1], batch.legal, batch.policy)
    squares = (batch.outcome.nan_to_num() - out[..., -1].tanh()).square()
    decay = weight_decay * network.flat.square().sum(1) * known.any(1)
    return Terms(*((part * known).sum(1) / count for part in (crossed, squares)), decay)


class Found(NamedTuple):
    """What searches found."""

    policy: Tensor  # π, [S, N, A]
    best: Tensor  # moves, int64 [S, N]


def moves(found: Found, drawn: Tensor, chance: Tensor) -> Tensor:
    """Moves, int64 [S, N], drawn from π by chance [S, N] where ``drawn``, bool [S, N], else the best."""
    return torch.where(drawn, drawn_moves(found.policy, chance), found.best)


class Player:
    """Self-play of S · N games by search.

    Args:
        trial: whose plies and simulations are counted.
        rules: of the game.
        network: as of `evaluated_by`.
        config: of the search.
    """

    def __init__(self, trial: Trial, rules: GameRules, network: StackedMLP, config: Config) -> None:
        self._trial, self.rules, self._config = trial, rules, config
        self.evaluate = evaluated_by(network, rules, trial.num_seeds, trial.device)
        self._noise = trial.generators("noise")
        self._reuses = config.reuse and config.search == "puct"
        self._forest: Forest | None = None

    def search(self, state: Tensor) -> Found:
        """What searches from positions [S, N, D] find."""
        simulations = self._config.simulations
        with self._trial.planning():
            forest = self._forest or self._planted(state.flatten(0, 1))
            self._disturb(forest, self.rules.legal(state))
            for _ in range(simulations):
                forest.simulate()
        self._forest = forest
        self._trial.simulated(state.shape[1] * simulations)
        found = recommended(forest, self._config)
        return Found(*(each.unflatten(0, state.shape[:2]) for each in found))

    def _planted(self, state: Tensor) -> Forest:
        """New trees, with room for what a search finds and, where it is reused, for what the next one does."""
        simulations = self._config.simulations
        capacity = (2 if self._reuses else 1) * simulations + 1
        return Forest(self.rules, self.evaluate, rule_of(self._config, simulations), capacity, state)

    def _disturb(self, forest: Forest, legal: Tensor) -> None:
        """Add noise to the roots."""
        if self._config.search == "gumbel":
            forest.perturb(gumbel_noise(legal, self._noise).flatten(0, 1))
        else:
            noise = dirichlet(self._config.noise_concentration, legal, self._noise)
            forest.mix_prior(noise.flatten(0, 1), self._config.noise_share)

    def go_on(self, action: Tensor, state: Tensor, ended: Tensor) -> None:
        """Let trees go on from moves [S, N] to positions [S, N, D], of new games where those ``ended``."""
        if self._reuses and self._forest is not None:
            with self._trial.planning():
                self._forest.advance(action.flatten(), state.flatten(0, 1), ended.flatten(), self._config.simulations)
        else:
            self._forest = None


def rule_of(config: Config, simulations: int) -> Rule:
    """How a search of so many simulations chooses."""
    if config.search == "gumbel":
        return gumbel(config.considered, simulations, config.value_scale)
    return puct(config.exploration)


def recommended(forest: Forest, config: Config) -> Found:
    """π and the best moves of trees that were searched, [T, A] and [T]."""
    if config.search == "gumbel":
        return Found(forest.improved, forest.best)
    return Found(forest.visits / forest.visits.sum(1, keepdim=True), forest.visits.argmax(1))


def preference(player: Player, config: Config) -> Callable[[Tensor], Tensor]:
    """By what moves are chosen in evaluation, [T, A] at positions [T, D]; nothing is drawn."""
    if config.act_by == "network":
        return lambda state: player.evaluate(state).logits
    rule, simulations = rule_of(config, config.evaluation_simulations), config.evaluation_simulations

    def preferred(state: Tensor) -> Tensor:
        forest = searched(player.rules, player.evaluate, rule, simulations, state)
        return one_hot(recommended(forest, config).best, forest.visits.shape[1]).float()

    return preferred


def train(trial: Trial, config: Config) -> None:
    """Play a ply of every game by search, then learn from games that have ended; and so on."""
    game = trial.make_game(config.copies)
    state, rules = game.reset(), game.rules
    network = network_over(rules, state, config.hidden, trial.generators("initialisation"))
    optimizer = adam(network.parameters, config.learning_rate)
    player = Player(trial, rules, network, config)
    games = Games(config.kept_plies, Uniforms(trial.generators("batches"), config.batch_size))
    chance = Uniforms(trial.generators("moves"), config.copies)
    plies = torch.zeros(state.shape[:2], dtype=torch.int64)
    drawn_plies = config.drawn_plies if config.search == "puct" else 0  # Gumbel's noise has drawn already
    trial.policy = acting(rules, trial.num_seeds, preference(player, config))
    while trial.within_budget:
        found = player.search(state)
        action = moves(found, plies < drawn_plies, chance())
        mover = 1.0 - 2.0 * rules.to_move(state)
        position = Position(
            rules.observe(state), rules.legal(state), found.policy, mover, torch.full_like(mover, torch.nan)
        )
        ply = game.step(action)
        games.add(position, ply.ended, ply.outcome)
        player.go_on(action, ply.state, ply.ended)
        state, plies = ply.state, (plies + 1).masked_fill(ply.ended, 0)
        if len(games) >= config.learning_starts:
            for _ in range(config.updates):
                parts = terms(network, games.sample(), config.weight_decay)
                descend(optimizer, sum(parts))
            trial.log(policy_loss=parts.policy.detach(), value_loss=parts.value.detach())
