"""Search in games, and what learns from it."""

from harness.api import AlgorithmSpec

SPECS = (
    AlgorithmSpec(
        "alphazero",
        "harness_algorithms.alphazero",
        version="1",
        summary="Self-play by tree search, which guides the network that guides it",
        reference="Silver et al., 2018, arXiv:1712.01815",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        game=True,
        presets={"network": {"act_by": "network"}},
    ),
)
