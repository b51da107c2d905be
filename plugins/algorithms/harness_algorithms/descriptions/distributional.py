"""Deep Q-networks that learn the law of the return, and their combination."""

from harness.api import AlgorithmSpec
from harness_algorithms.descriptions.dqn_presets import SHRINK


def distributional(name: str, summary: str, reference: str, presets: dict[str, dict[str, object]]) -> AlgorithmSpec:
    """The description of an algorithm that learns laws of returns."""
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


# The papers' tables, of 5 · 10⁷ steps of Atari, each of 4 frames: as DQN's, with ε down to 0.01. Counts are divided as
# in DQN's preset: a replay of 10⁶ transitions, 5 · 10⁴ steps before learning starts, a target copied every 10⁴
# steps, and ε annealed over 10⁶.
PAPER: dict[str, object] = {
    "hidden": (512,),
    "adam_epsilon": 0.01 / 32,
    "batch_size": 32,
    "train_every": 4,
    "epsilon": {"start": 1.0, "end": 0.01, "until": 0.1},
    "replay_capacity": 1_000_000 // SHRINK,
    "learning_starts": 50_000 // SHRINK,
    "target_every": 10_000 // SHRINK,
}

# Of CleanRL (https://github.com/vwxyzjn/cleanrl), c51.py: its returns lie in [−100, 100] on classic control.
CLEANRL_C51: dict[str, object] = {
    "support": {"low": -100.0, "high": 100.0, "atoms": 101},
    "learning_rate": 2.5e-4,
    "adam_epsilon": 0.01 / 128,
    "train_every": 10,
    "learning_starts": 10_000,
    "target_every": 500,
}

# Of rl_zoo3 2.9.2 (https://github.com/DLR-RM/rl-baselines3-zoo), hyperparams/qrdqn.yml, and Adam's ε of its library,
# which limits no gradient.
ZOO_CARTPOLE: dict[str, object] = {
    "quantiles": 10,
    "hidden": (256, 256),
    "learning_rate": 2.3e-3,
    "adam_epsilon": 0.01 / 64,
    "batch_size": 64,
    "train_every": 256,
    "updates": 128,
    "epsilon": {"start": 1.0, "end": 0.04, "until": 0.16},
    "replay_capacity": 100_000,
    "learning_starts": 1_000,
    "target_every": 10,
}
ZOO_MOUNTAINCAR: dict[str, object] = {
    "quantiles": 25,
    "hidden": (256, 256),
    "discount": 0.98,
    "learning_rate": 4e-3,
    "adam_epsilon": 0.01 / 128,
    "batch_size": 128,
    "train_every": 16,
    "updates": 8,
    "epsilon": {"start": 1.0, "end": 0.07, "until": 0.2},
    "replay_capacity": 10_000,
    "learning_starts": 1_000,
    "target_every": 600,
}
ZOO_ACROBOT: dict[str, object] = {
    "quantiles": 25,
    "hidden": (256, 256),
    "learning_rate": 6.3e-4,
    "adam_epsilon": 0.01 / 128,
    "batch_size": 128,
    "train_every": 4,
    "updates": 4,
    "epsilon": {"start": 1.0, "end": 0.1, "until": 0.12},
    "replay_capacity": 50_000,
    "learning_starts": 0,
    "target_every": 250,
}

# Of rewards that are clipped to [−1, 1] and rare.
ATARI_SUPPORT: dict[str, object] = {"low": -10.0, "high": 10.0, "atoms": 51}

SPECS = (
    distributional(
        "c51",
        "Q-learning of the law of the return, as probabilities of fixed atoms",
        "Bellemare et al., 2017, arXiv:1707.06887",
        {"paper": {**PAPER, "support": ATARI_SUPPORT, "learning_rate": 2.5e-4}, "cleanrl-classic": CLEANRL_C51},
    ),
    distributional(
        "qr_dqn",
        "Q-learning of the law of the return, as quantiles",
        "Dabney et al., 2018, arXiv:1710.10044",
        {
            "paper": {**PAPER, "quantiles": 200, "learning_rate": 5e-5, "huber_threshold": 1.0},
            "zoo-cartpole": ZOO_CARTPOLE,
            "zoo-mountaincar": ZOO_MOUNTAINCAR,
            "zoo-acrobot": ZOO_ACROBOT,
        },
    ),
    distributional(
        "rainbow",
        "DQN with laws of returns, double, dueling, n steps, noisy networks and prioritized replay",
        "Hessel et al., 2018, arXiv:1710.02298",
        {
            # Replay of 10⁶ transitions, 2 · 10⁴ steps before learning starts, a target copied every 8 · 10³ steps
            # (the paper's 8 · 10⁴ and 3.2 · 10⁴ frames); divided as above.
            "paper": {
                "steps": 3,
                "support": ATARI_SUPPORT,
                "noise": 0.5,
                "alpha": 0.5,
                "hidden": (512,),
                "learning_rate": 6.25e-5,
                "adam_epsilon": 1.5e-4,
                "batch_size": 32,
                "train_every": 4,
                "replay_capacity": 1_000_000 // SHRINK,
                "learning_starts": 20_000 // SHRINK,
                "target_every": 8_000 // SHRINK,
            }
        },
    ),
)
