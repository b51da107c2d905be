"""Running means and deviations with a leading seed axis, of numbers that came in several places."""

from typing import NamedTuple

import torch
from torch import Tensor

LEAST_VARIANCE = 1e-8  # below which numbers are taken for one that does not vary


class Scale(NamedTuple):
    """What numbers are seen relative to, float32: a mean [S, 1, F] and a deviation [S, 1, F]."""

    mean: Tensor
    deviation: Tensor

    def of(self, x: Tensor) -> Tensor:
        """(x − mean) / deviation, for x [S, B, F]."""
        return (x - self.mean) / self.deviation


class Moments(NamedTuple):
    """What is known of many numbers, float64.

    Attributes:
        count: how many, [].
        mean: their mean, [S, F].
        spread: the sum of their squared distances from it, [S, F].
    """

    count: Tensor
    mean: Tensor
    spread: Tensor

    @property
    def scale(self) -> Scale:
        """Their mean and the population's standard deviation: 1 where they do not vary, mean 0 where there are none."""
        variance = self.spread / self.count.clamp(min=1)
        deviation = torch.where(variance > LEAST_VARIANCE, variance, 1.0).sqrt()
        return Scale(self.mean.unsqueeze(1).float(), deviation.unsqueeze(1).float())


def nothing(num_seeds: int, features: int) -> Moments:
    """The moments of no numbers at all."""
    zeros = torch.zeros(num_seeds, features, dtype=torch.float64)
    return Moments(zeros.new_zeros(()), zeros, zeros)


def moments_of(x: Tensor) -> Moments:
    """The moments of x [S, B, F] over B."""
    rows = x.double().mT.contiguous()  # a seed's numbers lie side by side, so their sum does not depend on S
    mean = rows.mean(2)
    return Moments(rows.new_tensor(x.shape[1]), mean, (rows - mean.unsqueeze(2)).square().sum(2))


def merged(first: Moments, *others: Moments) -> Moments:
    """The moments of the numbers of all of them (Chan, Golub & LeVeque, 1983)."""
    for other in others:
        count = first.count + other.count
        shift = other.mean - first.mean
        spread = first.spread + other.spread + shift.square() * (first.count * other.count / count)
        first = Moments(count, first.mean + shift * (other.count / count), spread)
    return first
