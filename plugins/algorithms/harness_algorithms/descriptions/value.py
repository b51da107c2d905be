"""Deep Q-networks: values of discrete actions, learned by replay."""

from harness.api import AlgorithmSpec
from harness_algorithms.descriptions import dqn_presets


def deep_q(name: str, summary: str, reference: str, presets: dict[str, dict[str, object]]) -> AlgorithmSpec:
    """The description of a deep Q-network."""
    return AlgorithmSpec(
        name,
        f"harness_algorithms.{name}",
        version="2",
        summary=summary,
        reference=reference,
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.convolutions:unfit",
        presets=presets,
    )


SPECS = (
    deep_q(
        "dqn",
        "Q-learning with a neural network, replay and a frozen target",
        "Mnih et al., 2015, doi:10.1038/nature14236",
        dqn_presets.DQN,
    ),
    deep_q(
        "double_dqn",
        "DQN whose next action is chosen by one network and valued by the other",
        "van Hasselt et al., 2016, arXiv:1509.06461",
        dqn_presets.DOUBLE_DQN,
    ),
    deep_q(
        "per_dqn",
        "Double DQN that replays more often what surprised",
        "Schaul et al., 2016, arXiv:1511.05952",
        dqn_presets.PER_DQN,
    ),
    deep_q(
        "dueling_dqn",
        "Double DQN with separate streams for state value and advantages",
        "Wang et al., 2016, arXiv:1511.06581",
        dqn_presets.DUELING_DQN,
    ),
)
