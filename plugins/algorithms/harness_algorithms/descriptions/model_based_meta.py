"""Policies learned in imagination."""

from harness.api import AlgorithmSpec

SPECS = (
    AlgorithmSpec(
        "mb_mpo",
        "harness_algorithms.mb_mpo",
        version="1",
        summary="A policy that one step of policy gradient adapts to any of several learned models",
        reference="Clavera et al., 2018, arXiv:1809.05214",
        observation_spaces=("Box",),
        action_spaces=("Box",),
        lockstep=True,
        devices=("cpu", "cuda"),
        known=("reward_fn", "termination_fn", "initial_fn"),
        presets={},
    ),
)
