"""An algorithm and a figure for rl-harness, published from outside. This module only describes them."""

from collections.abc import Iterable

from harness.api import AlgorithmSpec, FigureSpec, hookimpl

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


@hookimpl
def harness_figures() -> Iterable[FigureSpec]:
    """Describe the figures that this plugin adds to every report."""
    yield FigureSpec(
        name="training-returns",
        title="Returns of training episodes",
        target="harness_example_figures:training_returns",
        caption="The share of training episodes, of all runs together, with a return of at most so much.",
        per_environment=True,
    )
