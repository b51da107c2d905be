"""Regression of a value function on returns."""

from torch import Tensor
from torch.optim import Optimizer

from harness_algorithms.blocks.networks import Network
from harness_algorithms.blocks.optim import descend


def regress(v: Network, optimizer: Optimizer, obs: Tensor, target: Tensor) -> Tensor:
    """One step of v down the gradient of the mean of (v(s) − target)²; returns that mean before, [S].

    Args:
        v: the value function.
        optimizer: of its parameters.
        obs: s, [S, B, ...].
        target: what v(s) should be, [S, B]; no gradient passes through it.
    """
    loss = (v(obs).squeeze(2) - target.detach()).square().mean(1)
    descend(optimizer, loss)
    return loss.detach()
