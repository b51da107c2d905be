"""Search in games, and what learns from it."""

from harness.api import AlgorithmSpec

# OpenSpiel's settings for tic-tac-toe: 40 simulations from a new root for every move, each position learned four times
# (a batch of 128 after a ply of 32 games) from among the latest 8,192, and moves that are drawn in two plies. Learning
# rate, batch, buffer, noise and decay are what ours are unless told otherwise. The widely read code of S. Nair has
# c = 1, 25 simulations and no noise, and lets a network play only once it wins 60 % of 40 games against the one before.
TUTORIAL = {"simulations": 40, "exploration": 1.41, "reuse": False, "drawn_plies": 2, "updates": 1}
# The paper's ratios. Of 44 million games of chess at some 80 plies each it learned 700,000 batches of 4,096, so that a
# position is learned about once; Dirichlet's α, 0.3, 0.15 and 0.03, is about 10 over the number of moves; moves are
# drawn in 30 plies, which is all of a small game. Of its 800 simulations an eighth is left.
PAPER_SMALL = {"simulations": 100, "exploration": 1.25, "copies": 128, "updates": 1, "drawn_plies": 30}
# Half as many simulations as otherwise, since it is for few.
GUMBEL = {"search": "gumbel", "simulations": 16}
# For 11,200 plies, with 400 simulations in evaluation: of 2,000 games against perfect play none is lost, on seeds 100
# to 109; the network alone loses 0.5 %. At c = 1.4 1.6 % were lost on 100 to 104, all by two of the seeds, and 1.5 %
# with 32 simulations, 16 updates and 4 plies drawn.
TIC_TAC_TOE = {"drawn_plies": 9, "simulations": 50, "exploration": 3.0, "evaluation_simulations": 400}
# The first settings tried, of larger batches of games since these are longer; not chosen yet. After 100,000 plies −0.35
# against `mcts-200`, −0.13 after half of them, on seeds 100 and 101.
CONNECT_FOUR = {
    "copies": 128,
    "updates": 16,
    "batch_size": 256,
    "kept_plies": 128,
    "drawn_plies": 12,
    "evaluation_simulations": 50,
}
# w_a is 100 for the paper's 10,000 simulations, and what it adds in the end falls as 1 / N. After 99,840 plies on seeds
# 100 to 102, 3,840 positions, the search scores 0.63 against `mcts-200`; with w_a = 30 0.33, with 100 0.46, without any
# apprentice 0.13, of 48 games each; `cat` scores 0.63 as well. Of 2,432 positions no value was learned: where they were
# held out its loss was 0.686, and is ln 2 = 0.693 by chance. With it, and c = 1.4, the search scored −0.3.
# The plain search is guided by none, so that its apprentice need not learn.
EXIT_HEX = {"copies": 128, "first": 2, "exploration": 0.7, "prior_weight": 10.0, "value_starts": 100_000}
# 200,000 plies on seeds 100 to 102: −0.9 against `mcts-200`, where twice as many with the usual settings gave −1.
REINFORCE_HEX = {"learning_rate": 3e-3, "rollout_length": 16}


def of_games(name: str, summary: str, reference: str, version: str = "1", **more: object) -> AlgorithmSpec:
    """The description of an algorithm that plays two-player games against itself, all seeds at once."""
    return AlgorithmSpec(
        name,
        f"harness_algorithms.{name}",
        version=version,
        summary=summary,
        reference=reference,
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        game=True,
        **more,  # type: ignore[arg-type]
    )


SPECS = (
    of_games(
        "mcts",
        "Tree search by UCT and random games; learns nothing",
        "Kocsis & Szepesvári, 2006; Coulom, 2006",
        version="2",
        waived={"other_seed_other_behaviour": "every search of the small game it is tried on finds the same moves"},
    ),
    of_games(
        "alphazero",
        "Self-play by tree search, which guides the network that guides it",
        "Silver et al., 2018, arXiv:1712.01815",
        presets={
            "network": {"act_by": "network"},
            "tutorial": TUTORIAL,
            "paper-small": PAPER_SMALL,
            "gumbel": GUMBEL,
            "tic-tac-toe": TIC_TAC_TOE,
            "tic-tac-toe-network": {**TIC_TAC_TOE, "act_by": "network"},
            "connect-four": CONNECT_FOUR,
        },
    ),
    of_games(
        "exit",
        "A network imitates a tree search that it guides, on one position of every game",
        "Anthony et al., 2017, arXiv:1705.08439",
        presets={
            "network": {"act_by": "network"},
            "tic-tac-toe": {"gap": 10},
            "hex-5": EXIT_HEX,
            "hex-5-cat": {**EXIT_HEX, "target": "cat"},
            "hex-5-network": {**EXIT_HEX, "act_by": "network"},
            "hex-5-plain": {**EXIT_HEX, "prior_weight": 0.0, "simulations": 1},
        },
    ),
    of_games(
        "reinforce_selfplay",
        "REINFORCE with a baseline in self-play: games without search",
        "Williams, 1992, doi:10.1007/BF00992696",
        presets={"tic-tac-toe": {"learning_rate": 3e-3}, "hex-5": REINFORCE_HEX},
    ),
)
