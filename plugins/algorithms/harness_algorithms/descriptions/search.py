"""Search in games, and what learns from it."""

from harness.api import AlgorithmSpec

# Few simulations, since that is what it is for.
GUMBEL = {"search": "gumbel", "simulations": 16}

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
        presets={"network": {"act_by": "network"}, "gumbel": GUMBEL},
    ),
    AlgorithmSpec(
        "exit",
        "harness_algorithms.exit",
        version="1",
        summary="A network imitates a tree search that it guides, on one position of every game",
        reference="Anthony et al., 2017, arXiv:1705.08439",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        game=True,
        presets={"network": {"act_by": "network"}},
    ),
    AlgorithmSpec(
        "reinforce_selfplay",
        "harness_algorithms.reinforce_selfplay",
        version="1",
        summary="REINFORCE with a baseline in self-play: games without search",
        reference="Williams, 1992, doi:10.1007/BF00992696",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        game=True,
    ),
)
