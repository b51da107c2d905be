"""Reinforcement-learning algorithms for rl-harness, one file each. This module only describes them."""

from collections.abc import Iterable

from harness.api import AlgorithmSpec, hookimpl
from harness_algorithms.descriptions import (
    continuous,
    distributed,
    distributional,
    planning,
    policy_gradient,
    proximal,
    tabular,
    value,
)

API = 1


@hookimpl
def harness_algorithms() -> Iterable[AlgorithmSpec]:
    """Describe the algorithms of this plugin."""
    for family in (tabular, value, distributional, policy_gradient, proximal, continuous, distributed, planning):
        yield from family.SPECS
