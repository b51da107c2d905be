"""Policies: which numbers of the network are which of the distribution's."""

import gymnasium
import numpy as np
import torch
from torch.nn.functional import softplus

from harness_algorithms.blocks.policies import LayeredGaussianPolicy, stochastic_policy

OBSERVED = gymnasium.spaces.Box(-1, 1, (3,))
LOPSIDED = gymnasium.spaces.Box(np.float32([-1, 0]), np.float32([3, 10]))


def layered() -> LayeredGaussianPolicy:
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    policy = stochastic_policy(OBSERVED, LOPSIDED, (8,), generators, "relu", log_std=None)
    assert isinstance(policy, LayeredGaussianPolicy)
    return policy


def test_mean_and_deviation_of_layers_are_those_of_the_tutorial():
    policy, obs = layered(), torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(3))
    x, y = policy.network(obs)[..., :2], policy.network(obs)[..., 2:]
    middle, half = torch.tensor([1.0, 5.0]), torch.tensor([2.0, 5.0])

    found = policy(obs)

    torch.testing.assert_close(found.mean, middle + half * x.tanh())
    torch.testing.assert_close(found.log_std.exp(), softplus(y) + 0.1)
    assert len(policy.parameters) == len(policy.network.parameters)


def test_a_frozen_policy_and_one_at_its_own_parameters_are_the_same():
    policy, obs = layered(), torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(3))
    for other in (policy.frozen()(obs), policy.at(policy.parameters, obs)):
        torch.testing.assert_close(other.mean, policy(obs).mean)
        torch.testing.assert_close(other.log_std, policy(obs).log_std)
