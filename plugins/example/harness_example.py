"""An algorithm for rl-harness, published from outside. This module only describes it."""

from collections.abc import Iterable

from harness.api import AlgorithmSpec, hookimpl

API = 1


@hookimpl
def harness_algorithms() -> Iterable[AlgorithmSpec]:
    """Describe the algorithms of this plugin."""
    yield AlgorithmSpec(
        name="hill-climbing",
        target="harness_example_hill_climbing",
        version="1",
        summary="A linear policy changed at random; a change stays if its episode pays no less",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
    )
