"""What is unusually large, seed by seed."""

import torch
from torch import Tensor


def everything(number: Tensor) -> Tensor:
    """What is usual, bool [S], where nothing is unusual."""
    return torch.ones_like(number, dtype=torch.bool)


class Usual:
    """Tells numbers that are no more than ``deviations`` standard deviations above their running mean.

    Mean and deviation are those of the numbers that were usual, never of the others, and of about the last ``window``
    of them: each weighs 1 / n as long as there are n ≤ window, 1 / window afterwards. What is small is never unusual.
    The first ``warm_up`` finite numbers are usual, whatever they are.

    Args:
        seeds: S.
        deviations: how many are still usual.
        warm_up: numbers before any is unusual.
        window: numbers that the statistics are about.
    """

    def __init__(self, seeds: int, deviations: float, warm_up: int, window: int) -> None:
        self.mean = torch.zeros(seeds, dtype=torch.float64)
        self.variance = torch.zeros(seeds, dtype=torch.float64)
        self.count = torch.zeros(seeds, dtype=torch.int64)
        self._deviations = deviations
        self._warm_up = warm_up
        self._window = window

    def __call__(self, number: Tensor) -> Tensor:
        """Which of the numbers, [S], are usual, bool [S]; takes these into its statistics."""
        limit = self.mean + self._deviations * self.variance.sqrt()
        usual = number.isfinite() & ((number <= limit) | (self.count < self._warm_up))
        self.count += usual
        weight = 1 / self.count.clamp(min=1, max=self._window).double()
        change = torch.where(usual, number - self.mean, 0.0)
        self.mean += weight * change
        kept = torch.where(usual, 1 - weight, 1.0)
        self.variance.copy_(kept * (self.variance + weight * change.square()))
        return usual
