"""Search in games, and what learns from it."""

from harness.api import AlgorithmSpec

SPECS = (
    AlgorithmSpec(
        "mcts",
        "harness_algorithms.mcts",
        version="1",
        summary="Tree search by UCT and random games; learns nothing",
        reference="Kocsis & Szepesvári, 2006; Coulom, 2006",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        game=True,
        waived={"other_seed_other_behaviour": "every search of the small game it is tried on finds the same moves"},
    ),
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
