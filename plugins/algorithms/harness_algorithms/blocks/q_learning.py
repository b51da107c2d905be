"""What deep Q-networks have in common: transitions, ε-greedy actions, TD errors and the gradient of their loss."""

from typing import NamedTuple

import torch
from torch import Tensor

from harness_algorithms.blocks.losses import huber_gradient


class Transition(NamedTuple):
    """What one step showed; fields [S, N, ...] when stored, [S, B, ...] when sampled.

    Attributes:
        obs: s.
        action: a, int64.
        reward: r.
        discount: d, 0 where the MDP terminated, else 1; so a time limit keeps 1.
        next_obs: s′, before any reset.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    next_obs: Tensor


def epsilon_greedy(greedy: Tensor, num_actions: int, epsilon: float | Tensor, uniforms: Tensor) -> Tensor:
    """A uniformly random action with probability ε, else the greedy one; int64 [S, N].

    Args:
        greedy: int64 [S, N].
        num_actions: A.
        epsilon: probability of ignoring ``greedy``; or every seed's, float64 [S, 1].
        uniforms: from U[0, 1), [S, N, 2]: the first number decides whether, the second which.
    """
    whether, which = uniforms.unbind(2)
    return torch.where(whether < epsilon, (which * num_actions).long(), greedy)


def of_action(values: Tensor, action: Tensor) -> Tensor:
    """Q(s, a), [S, B], of values [S, B, A] and actions [S, B]."""
    return values.gather(2, action.unsqueeze(2)).squeeze(2)


def td_error(values: Tensor, frozen_next: Tensor, batch: Transition, discount: float) -> Tensor:
    """R + γ d maxₐ′ Q⁻(s′, a′) − Q(s, a), [S, B].

    Args:
        values: Q(s, ·), [S, B, A].
        frozen_next: Q⁻(s′, ·), [S, B, A].
        batch: the transitions, fields [S, B, ...].
        discount: γ.
    """
    best_next = frozen_next.amax(2)
    return batch.reward + discount * batch.discount * best_next - of_action(values, batch.action)


def double_td_error(
    values: Tensor, next_values: Tensor, frozen_next: Tensor, batch: Transition, discount: float
) -> Tensor:
    """R + γ d Q⁻(s′, argmaxₐ′ Q(s′, a′)) − Q(s, a), [S, B] (van Hasselt et al., 2016, eq. 4).

    `max` finds that action, since `argmax` is far slower where the batch is the last axis in memory.

    Args:
        values: Q(s, ·), [S, B, A].
        next_values: Q(s′, ·), [S, B, A]; it gets no gradient, as an argmax has none.
        frozen_next: Q⁻(s′, ·), [S, B, A].
        batch: the transitions, fields [S, B, ...].
        discount: γ.
    """
    best_next = of_action(frozen_next, next_values.max(2).indices)
    return batch.reward + discount * batch.discount * best_next - of_action(values, batch.action)


def huber_loss_gradient(
    error: Tensor, action: Tensor, num_actions: int, threshold: float | None, weight: Tensor | None = None
) -> Tensor:
    """∂ loss / ∂ Q(s, ·), [S, B, A], of loss = mean w huber(δ) over the batch: −w δ / B, δ clipped to [−κ, κ].

    Only the action taken has one.

    Args:
        error: TD errors δ, [S, B].
        action: a, [S, B].
        num_actions: A.
        threshold: κ of the loss; None for the squared error.
        weight: w of every transition, [S, B]; None for 1.
    """
    slope = -huber_gradient(error, threshold) / error.shape[1]
    if weight is not None:
        slope *= weight
    return error.new_zeros(*error.shape, num_actions).scatter_(2, action.unsqueeze(2), slope.unsqueeze(2))


def dueling_values(value: Tensor, advantages: Tensor) -> Tensor:
    """Q(s, a) = V(s) + A(s, a) − meanₐ′ A(s, a′) (Wang et al., 2016, eq. 9), [S, B, A, ...].

    Args:
        value: V(s), [S, B, 1, ...].
        advantages: A(s, ·), [S, B, A, ...].
    """
    return value + advantages - advantages.mean(2, keepdim=True)
