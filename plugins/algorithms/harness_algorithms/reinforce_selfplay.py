"""REINFORCE with a baseline (Williams, 1992, doi:10.1007/BF00992696) in self-play: what games teach without search.

A network says a policy π and a value v for who is to move; both players are that network, and moves are drawn from it.
After some games of every copy it takes a step down

    −log π(a|s) (z − v(s)) + (z − v(s))²

at every ply, where z is the outcome for who moved at s, and no gradient passes through the first (z − v(s)). Illegal
moves have no share in π. It is evaluated by the likeliest move, one evaluation of the network, so that apprentices of
searches can be compared with it.

A game that the rollout's end cuts has no outcome yet: these plies are left out, and what remains of it begins the next
rollout, so rollouts should be several games long.

Departures from the paper: Adam; an update for all games of a rollout, averaged over plies; v is learned by the same
network, where the paper's baseline is a running mean. All seeds are trained in lockstep.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.games import acting, drawn_moves, evaluated_by, legal_policy, network_over, told
from harness_algorithms.blocks.networks import StackedMLP
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.ranges import NotNegative
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of REINFORCE in self-play."""

    copies: Count = 32  # N, games at a time
    rollout_length: Count = 32  # plies of each between updates
    hidden: tuple[Count, ...] = (128, 128)
    learning_rate: Fraction = 1e-3  # of Adam
    value_weight: NotNegative = 1.0  # of (z − v)²
    entropy_weight: NotNegative = 0.0  # of a bonus for H[π(·|s)]


class Plies(NamedTuple):
    """Plies of games, fields [S, B, ...]."""

    obs: Tensor
    legal: Tensor  # moves, bool [..., A]
    action: Tensor
    outcome: Tensor  # z for who moved; NaN where the game goes on


class Terms(NamedTuple):
    """The parts of the loss, [S] each: averages over plies of games that have ended."""

    policy: Tensor
    value: Tensor
    entropy: Tensor


def terms(network: StackedMLP, batch: Plies) -> Terms:
    """−log π(a|s) (z − v(s)), (z − v(s))² and H[π(·|s)]; 0 for a seed none of whose games has ended."""
    out = network(batch.obs)
    log_probs = functional.log_softmax(out[..., :-1].masked_fill(~batch.legal, -torch.inf), 2)
    known = ~batch.outcome.isnan()
    error = batch.outcome.nan_to_num() - out[..., -1].tanh()
    scores = -log_probs.gather(2, batch.action.unsqueeze(2)).squeeze(2) * error.detach()
    entropy = -(log_probs.exp() * log_probs.masked_fill(~batch.legal, 0.0)).sum(2)
    count = known.sum(1).clamp(min=1)
    return Terms(*((part * known).sum(1) / count for part in (scores, error.square(), entropy)))


def train(trial: Trial, config: Config) -> None:
    """Play some games of every copy, then learn from those that have ended; and so on."""
    game = trial.make_game(config.copies)
    state, rules = game.reset(), game.rules
    network = network_over(rules, state, config.hidden, trial.generators("initialisation"))
    optimizer = adam(network.parameters, config.learning_rate)
    evaluate = evaluated_by(network, rules, trial.num_seeds, trial.device)
    chance = Uniforms(trial.generators("moves"), config.copies)
    trial.policy = acting(rules, trial.num_seeds, lambda state: evaluate(state).logits)
    while trial.within_budget:
        rows = []
        for _ in range(config.rollout_length):
            logits, legal = evaluate(state.flatten(0, 1)).logits.view(*state.shape[:2], -1), rules.legal(state)
            action = drawn_moves(legal_policy(logits, legal), chance())
            ply = game.step(action)
            mover = 1.0 - 2.0 * rules.to_move(state)
            rows.append((rules.observe(state), legal, action, mover, ply.outcome, ply.ended))
            state = ply.state
        obs, legal, action, mover, outcome, ended = (torch.stack(column, 1) for column in zip(*rows, strict=True))
        fields = obs, legal, action, told(outcome, ended) * mover  # [S, T, N, ...]
        parts = terms(network, Plies(*(field.flatten(1, 2) for field in fields)))
        loss = parts.policy + config.value_weight * parts.value - config.entropy_weight * parts.entropy
        descend(optimizer, loss)
        trial.log(policy_loss=parts.policy, value_loss=parts.value, entropy=parts.entropy)
