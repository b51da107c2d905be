"""Projection of a shifted and scaled law onto fixed atoms (Bellemare et al., 2017, arXiv:1707.06887, algorithm 1).

An atom z moves to r + d z, clipped to the support, and its mass goes to the two atoms beside it, to each in
proportion to how near it is: all to one where it meets that one.
"""

import torch
from torch import Tensor


def project(probabilities: Tensor, reward: Tensor, discount: Tensor, support: Tensor) -> Tensor:
    """The law of r + d Z on the atoms of Z, [..., M]; its mass is kept, and its mean where nothing is clipped.

    On a CPU masses are scattered: 320 laws of 51 atoms take 40 µs, and 1.3 ms by the other formula. On a GPU, which
    adds the masses of one atom in no fixed order, scattering would give other last bits in every run; and there
    the M² products of the other formula cost little.

    Args:
        probabilities: of the atoms, [..., M].
        reward: r, [...].
        discount: d, γ included, 0 where the MDP terminated, which puts all mass at r; [...].
        support: the atoms, ascending at equal distances, [M], M ≥ 2.
    """
    last = len(support) - 1
    distance = (support[-1] - support[0]) / last
    moved = torch.addcmul(reward.unsqueeze(-1), discount.unsqueeze(-1), support)
    position = ((moved - support[0]) / distance).clamp_(0, last)  # of every atom, counted in atoms; [..., M]
    return (weighted if position.is_cuda else scattered)(probabilities, position)


def scattered(probabilities: Tensor, position: Tensor) -> Tensor:
    """Every mass split between the atoms below and above its position; [..., M].

    A position that is an atom's leaves all with that atom, the last one included, which has none above.

    Args:
        probabilities: [..., M].
        position: in [0, M − 1], [..., M].
    """
    below = position.floor()
    upper = probabilities * (position - below)
    below = below.long().clamp_(min=0)  # NaN, of a seed that diverged, would be an index that fails for all
    above = (below + 1).clamp_(max=position.shape[-1] - 1)
    lower = torch.zeros_like(probabilities).scatter_add_(-1, below, probabilities - upper)
    return lower.scatter_add_(-1, above, upper)


def weighted(probabilities: Tensor, position: Tensor) -> Tensor:
    """Σⱼ pⱼ max(0, 1 − |positionⱼ − i|) for every atom i: the same as `scattered`; [..., M].

    Args:
        probabilities: [..., M].
        position: in [0, M − 1], [..., M].
    """
    atoms = torch.arange(position.shape[-1], device=position.device)
    distances = (position.unsqueeze(-2) - atoms.unsqueeze(-1)).abs()  # [..., M to, M from]
    return ((1 - distances).clamp_(min=0) * probabilities.unsqueeze(-2)).sum(-1)
