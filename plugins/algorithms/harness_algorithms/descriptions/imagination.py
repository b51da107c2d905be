"""Agents that look at what they imagine before they act."""

from harness.api import AlgorithmSpec

SPECS = (
    AlgorithmSpec(
        "i2a",
        "harness_algorithms.i2a",
        version="1",
        summary="A2C that sees, encoded, what a learned model says would come of every action",
        reference="Racanière et al., 2017, arXiv:1707.06203",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.convolutions:unfit",
        presets={
            "model-free": {"imagination": "none"},
            "copy-model": {"imagination": "copy"},
            "corrupted": {"corruption": 0.1},
            "planning": {"act_by": "planning"},
            "planning-corrupted": {"act_by": "planning", "corruption": 0.1},
        },
    ),
)
