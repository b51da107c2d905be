"""Reinforcement-learning algorithms for rl-harness, one file each. This module only describes them."""

from collections.abc import Iterable

from harness.api import AlgorithmSpec, hookimpl
from harness_algorithms.descriptions import (
    continuous,
    distributed,
    distributional,
    model_based_meta,
    model_based_value,
    model_based_world,
    policy_gradient,
    proximal,
    tabular,
    value,
)

API = 1


@hookimpl
def harness_algorithms() -> Iterable[AlgorithmSpec]:
    """Describe the algorithms of this plugin."""
    model_free = (tabular, value, distributional, policy_gradient, proximal, continuous, distributed)
    for family in (*model_free, model_based_meta, model_based_value, model_based_world):
        yield from family.SPECS
