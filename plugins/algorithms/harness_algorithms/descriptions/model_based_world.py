"""Controllers on the memory of a model."""

from harness.api import AlgorithmSpec

CARTPOLE = {"units": 16, "random_steps": 16_384}

SPECS = (
    AlgorithmSpec(
        "world_models",
        "harness_algorithms.world_models",
        version="1",
        summary="A linear controller, found by evolution, on the memory of a recurrent model",
        reference="Ha & Schmidhuber, 2018, arXiv:1803.10122",
        observation_spaces=("Box",),
        action_spaces=("Discrete",),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.vectors:unfit_observations",
        presets={
            "cartpole": CARTPOLE,
            "z-only": {**CARTPOLE, "memory": False},
            "dream": {**CARTPOLE, "dream": True},
        },
    ),
)
