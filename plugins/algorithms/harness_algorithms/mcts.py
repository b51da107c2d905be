"""Monte-Carlo tree search alone, by UCT and random games (Kocsis & Szepesvári, 2006; Coulom, 2006): nothing is learned.

From every position trees grow by UCT; what a new position is worth is the outcome of one random game from there. The
move that was searched most is made, in self-play as in evaluation, where searches begin anew at every move. All seeds
are searched at once, S · N trees. A simulation
is told as one simulated step, however long its random game.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.api import Count, GameRules, Trial
from harness_algorithms.blocks.games import chance_of, evaluated_by_playing, searched
from harness_algorithms.blocks.ranges import NotNegative
from harness_algorithms.blocks.tree_search import uct


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of MCTS."""

    simulations: Count = 100
    exploration: NotNegative = 1.4  # c, for outcomes from −1 to 1
    copies: Count = 8  # N, games of self-play at a time


def best_moves(rules: GameRules, config: Config, generators: list[torch.Generator], state: Tensor) -> Tensor:
    """The most searched moves, int64 [S, N], at positions [S, N, D]."""
    evaluate = evaluated_by_playing(rules, chance_of(generators))
    forest = searched(rules, evaluate, uct(config.exploration), config.simulations, state.flatten(0, 1))
    return forest.visits.argmax(1).view(state.shape[:2])


def train(trial: Trial, config: Config) -> None:
    """Play against itself until the budget is spent."""
    game = trial.make_game(config.copies)
    state, rules = game.reset(), game.rules
    playing, evaluating = trial.generators("games"), trial.generators("evaluation")
    trial.policy = lambda obs: best_moves(rules, config, evaluating, rules.position(obs))
    while trial.within_budget:
        with trial.planning():
            action = best_moves(rules, config, playing, state)
        trial.simulated(config.copies * config.simulations)
        state = game.step(action).state
