"""Actor-critics that learn from imagined steps, too."""

from harness.api import AlgorithmSpec
from harness_algorithms.descriptions.continuous import PENDULUM

MBVE_PENDULUM = {**PENDULUM, "horizon": 3, "model_hidden": (64, 64)}

# Of the authors' program, https://github.com/vlad17/mve, experiments/hc5.yaml, for 1.5 · 10⁶ steps: models of 8 layers,
# 400 batches of 512 transitions every 100 steps, which are at most so many epochs of a full memory. Its noise is in the
# parameters of the actor, scaled to a deviation of 0.2 of the actions, and its networks have layer normalisation.
MBVE_PAPER = {
    "horizon": 5,
    "noise_scale": {"start": 0.2, "end": 0.2},
    "hidden": (64, 64),
    "actor_learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
    "tau": 0.01,
    "batch_size": 64,
    "learning_starts": 10_000,
    "updates": 4,
    "model_hidden": (128,) * 8,
    "fit_every": 100,
    "fitting": {"epochs": 20, "batch_size": 512, "learning_rate": 1e-3},
}

SPECS: tuple[AlgorithmSpec, ...] = (
    AlgorithmSpec(
        "mbve",
        "harness_algorithms.mbve",
        version="1",
        summary="DDPG whose targets look several imagined steps ahead",
        reference="Feinberg et al., 2018, arXiv:1803.00101",
        observation_spaces=("Box",),
        action_spaces=("Box",),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.vectors:unfit",
        known=("reward_fn", "termination_fn"),
        presets={"paper": MBVE_PAPER, "pendulum": MBVE_PENDULUM},
    ),
)
