"""Reinforcement-learning algorithms for rl-harness, one file each. This module only describes them."""

from collections.abc import Iterable

from harness.api import AlgorithmSpec, hookimpl
from harness_algorithms.descriptions import (
    continuous,
    distributed,
    distributional,
    imagination,
    model_based_meta,
    model_based_value,
    model_based_world,
    planning,
    policy_gradient,
    proximal,
    search,
    tabular,
    value,
)

API = 1


@hookimpl
def harness_algorithms() -> Iterable[AlgorithmSpec]:
    """Describe the algorithms of this plugin."""
    model_free = (tabular, value, distributional, policy_gradient, proximal, continuous, distributed)
    for family in (*model_free, planning, model_based_value, model_based_meta, model_based_world, imagination, search):
        yield from family.SPECS
