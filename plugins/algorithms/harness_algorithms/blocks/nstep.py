"""Transitions over several steps, for replay: s, a, the rewards that followed, and the state n steps on."""

from collections import deque
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from harness_algorithms.blocks.replay import Record


class _Row(NamedTuple, Generic[Record]):
    """A step of all copies, fields [S, N, ...]."""

    transition: Record
    ended: Tensor
    onward: Tensor  # γ d where the episode goes on, else 0
    final: Tensor  # γ d where it ended, else 0


class NStepWindow(Generic[Record]):
    """Makes transitions over n steps of successive ones.

    One that starts at step t spans k steps: n, or fewer where the episode ends before, in either way. It keeps
    the fields of step t, except

        reward    rₜ + γ rₜ₊₁ + … + γ^(k−1) rₜ₊ₖ₋₁
        discount  γ^k dₜ₊ₖ₋₁: γ is in it, and it is 0 where the MDP terminated
        next_obs  the successor of step t + k − 1, before any reset

    so that the target is reward + discount · v(next_obs), after a time limit too. Each step of each copy starts
    one transition, given n − 1 steps later; so a call gives one for all copies or for none.

    Args:
        steps: n, at least 1.
        discount: γ, per step.
    """

    def __init__(self, steps: int, discount: float) -> None:
        self._discount = discount
        self._rows: deque[_Row[Record]] = deque(maxlen=steps)

    def push(self, transition: Record, ended: Tensor) -> Record | None:
        """Take in a step; give the transition that started n − 1 steps ago, or None before there is one.

        Args:
            transition: with fields reward and discount [S, N] and next_obs [S, N, ...]; kept, not copied.
            ended: bool, [S, N].
        """
        discount = self._discount * transition.discount
        onward = discount * ~ended
        self._rows.append(_Row(transition, ended, onward, discount - onward))
        if len(self._rows) < self._rows.maxlen:
            return None
        return self._spanned(discount)

    def _spanned(self, discount: Tensor) -> Record:
        """The transition that starts at the oldest row, put together from the latest one back."""
        latest = self._rows[-1].transition
        reward, next_obs = latest.reward, latest.next_obs
        for row in list(self._rows)[-2::-1]:
            reward = torch.addcmul(row.transition.reward, row.onward, reward)
            discount = torch.addcmul(row.final, row.onward, discount)
            ended = row.ended.view(*row.ended.shape, *[1] * (next_obs.dim() - row.ended.dim()))
            next_obs = torch.where(ended, row.transition.next_obs, next_obs)
        return self._rows[0].transition._replace(reward=reward, discount=discount, next_obs=next_obs)
