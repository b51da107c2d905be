"""Laws of the return, M numbers for each action: quantiles, or logits of fixed atoms."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Support:
    """The atoms: returns at equal distances.

    What is below or above is counted as the nearest atom, so they must span the discounted returns to be told
    apart. By default they span those of all rewards in [−1, 1] where γ = 0.99, which is 1 / (1 − γ) either way; the
    papers' −10 to 10 in 51 atoms is for the clipped, rare rewards of Atari.
    """

    low: float = -100.0  # the least atom, a discounted return
    high: float = 100.0  # the largest
    atoms: int = 101

    def __post_init__(self) -> None:
        if self.atoms < 2 or self.low >= self.high:
            raise ValueError(f"at least 2 atoms from a lower return to a higher one are wanted, not {self}")

    def on(self, device: torch.device) -> Tensor:
        """The atoms in ascending order, [M]."""
        return torch.linspace(self.low, self.high, self.atoms, device=device)


def expectation(logits: Tensor, support: Tensor) -> Tensor:
    """Q = Σ z softmax(logits)_z, [...].

    Args:
        logits: of the atoms, [..., M].
        support: z, [M].
    """
    return (logits.softmax(-1) * support).sum(-1)  # a product of all rows would round each by how many there are


def chosen(laws: Tensor, action: Tensor) -> Tensor:
    """The law of one action in every row, [S, B, M].

    Args:
        laws: whatever describes the laws, M numbers each: [S, B, A, M].
        action: int64 [S, B].
    """
    index = action[..., None, None].expand(-1, -1, 1, laws.shape[3])
    return laws.gather(2, index).squeeze(2)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """− Σ target log softmax(logits), [...]; from logits, as the logarithm of a probability that is 0 is no number.

    Args:
        logits: of the atoms, [..., M].
        target: probabilities, [..., M].
    """
    return -(target * logits.log_softmax(-1)).sum(-1)


def divergence(logits: Tensor, target: Tensor) -> Tensor:
    """Kullback and Leibler's, of the target from the law: the cross-entropy less the target's entropy, [...].

    Args:
        logits: of the atoms, [..., M].
        target: probabilities, [..., M].
    """
    return cross_entropy(logits, target) + torch.special.xlogy(target, target).sum(-1)
