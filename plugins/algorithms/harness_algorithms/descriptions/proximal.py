"""Synchronous actor-critics with several copies, to proximal policy optimisation."""

from harness.api import AlgorithmSpec
from harness_algorithms.descriptions import proximal_presets

SPECS = (
    AlgorithmSpec(
        "a2c",
        "harness_algorithms.a2c",
        version="2",
        summary="Actor and critic, one step of descent per short rollout of many copies",
        reference="Mnih et al., 2016, arXiv:1602.01783",
        observation_spaces=("Box",),
        action_spaces=("Discrete", "Box"),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.convolutions:unfit",
        presets=proximal_presets.A2C,
    ),
    AlgorithmSpec(
        "ppo",
        "harness_algorithms.ppo",
        version="2",
        summary="Actor and critic, many steps of descent per rollout with a clipped probability ratio",
        reference="Schulman et al., 2017, arXiv:1707.06347",
        observation_spaces=("Box",),
        action_spaces=("Discrete", "Box"),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.convolutions:unfit",
        presets=proximal_presets.PPO,
    ),
    AlgorithmSpec(
        "ppo_kl",
        "harness_algorithms.ppo_kl",
        version="2",
        summary="PPO with an adaptive penalty on the divergence from the old policy instead of clipping",
        reference="Schulman et al., 2017, arXiv:1707.06347, section 4",
        observation_spaces=("Box",),
        action_spaces=("Discrete", "Box"),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.convolutions:unfit",
        presets=proximal_presets.PPO_KL,
    ),
)
