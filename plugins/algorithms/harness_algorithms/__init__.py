"""Reinforcement-learning algorithms for rl-harness, one file each. This module only describes them."""

from collections.abc import Iterable

from harness.api import AlgorithmSpec, hookimpl

API = 1


def tabular(name: str, summary: str, reference: str, presets: dict[str, dict[str, object]]) -> AlgorithmSpec:
    """The description of an algorithm whose values are a table."""
    return AlgorithmSpec(
        name,
        f"harness_algorithms.{name}",
        version="1",
        summary=summary,
        reference=reference,
        observation_spaces=("Discrete",),
        action_spaces=("Discrete",),
        presets=presets,
    )


# The notes write ε for the probability of the greedy action; here it is that of a random one: their 0.9 is 0.1.
TREASURE = {"learning_rate": 0.1, "discount": 0.9, "epsilon": {"start": 0.1, "end": 0.1}}
MAZE = {**TREASURE, "learning_rate": 0.01}


@hookimpl
def harness_algorithms() -> Iterable[AlgorithmSpec]:
    """Describe the algorithms of this plugin."""
    yield AlgorithmSpec(
        "random",
        "harness_algorithms.random",
        version="1",
        summary="uniformly random actions, the zero of normalised scores",
        observation_spaces=("Box", "Discrete", "MultiBinary", "MultiDiscrete", "Dict", "Tuple", "Text"),
        action_spaces=("Box", "Discrete", "MultiBinary", "MultiDiscrete"),
    )
    yield tabular(
        "q_learning",
        "off-policy control, bootstraps from the best next action",
        "Watkins & Dayan, 1992, doi:10.1007/BF00992698",
        {"tutorial": TREASURE, "tutorial-maze": MAZE},
    )
    yield AlgorithmSpec(
        "dqn",
        "harness_algorithms.dqn",
        version="1",
        summary="Q-learning with a neural network, replay and a frozen target",
        reference="Mnih et al., 2015, doi:10.1038/nature14236",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        devices=("cpu", "cuda"),
    )
