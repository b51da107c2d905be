"""Policies of M tasks per seed: rows R = S · M of parameters, a seed's tasks one after the other."""

from torch import Tensor

from harness_algorithms.blocks.distributions import DiagonalGaussian
from harness_algorithms.blocks.networks import StackedMLP
from harness_algorithms.blocks.policies import GaussianPolicy


def in_every_task(x: Tensor, tasks: int) -> Tensor:
    """Each seed's [S, ...] for every task of it, [R, ...]."""
    return x.repeat_interleave(tasks, 0)


def over_tasks(x: Tensor, tasks: int) -> Tensor:
    """The mean over each seed's tasks: [S, ...] of [R, ...]; summed in an order that does not depend on S."""
    return x.unflatten(0, (-1, tasks)).movedim(1, -1).contiguous().mean(-1)


class TaskPolicies:
    """A Gaussian policy with other parameters in every task, which autograd does not follow.

    Args:
        policy: the form, and the bounds of actions.
        rows: the parameters, [R, P].
    """

    def __init__(self, policy: GaussianPolicy, rows: Tensor) -> None:
        sizes = [parameter[0].numel() for parameter in policy.parameters]
        weights, self._log_std = rows.detach().to(policy.log_std.dtype).split(sizes, 1)
        self._network = StackedMLP(policy.network.sizes, weights.contiguous(), policy.network.activation)
        self.bounded = policy.bounded

    def __call__(self, obs: Tensor) -> DiagonalGaussian:
        """The distribution over actions, [S, ..., A], at obs [S, ..., D], of which the first are the first task's."""
        mean = self._network(obs.reshape(len(self._log_std), -1, obs.shape[-1]))
        log_std = self._log_std.unsqueeze(1).expand_as(mean)
        shape = *obs.shape[:-1], mean.shape[-1]
        return DiagonalGaussian(mean.reshape(shape), log_std.reshape(shape))
