"""Deep Q-networks: values of discrete actions, learned by replay."""

from harness.api import AlgorithmSpec
from harness_algorithms.descriptions import dqn_presets

SPECS = (
    AlgorithmSpec(
        "dqn",
        "harness_algorithms.dqn",
        version="1",
        summary="Q-learning with a neural network, replay and a frozen target",
        reference="Mnih et al., 2015, doi:10.1038/nature14236",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        devices=("cpu", "cuda"),
        presets=dqn_presets.PRESETS,
    ),
)
