"""Agents that look at what they imagine before they act."""

from harness.api import AlgorithmSpec

PUSH_BOX = {
    "model_units": 16,
    "discount": 0.95,
    "lambda_": 0.9,
    "features": 128,
    "code_units": 32,
    "learning_rate": {"start": 2e-3, "end": 2e-3},
}
CORRUPTED = {"corruption": 0.1}
PLANNING = {"act_by": "planning"}

SPECS = (
    AlgorithmSpec(
        "i2a",
        "harness_algorithms.i2a",
        version="2",
        summary="A2C that sees, encoded, what a learned model says would come of every action",
        reference="Racanière et al., 2017, arXiv:1707.06203",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.convolutions:unfit",
        presets={
            "push-box": PUSH_BOX,
            "model-free": PUSH_BOX | {"imagination": "none"},
            "copy-model": PUSH_BOX | {"imagination": "copy"},
            "corrupted": PUSH_BOX | CORRUPTED,
            "planning": PUSH_BOX | PLANNING,
            "planning-corrupted": PUSH_BOX | PLANNING | CORRUPTED,
        },
    ),
)
