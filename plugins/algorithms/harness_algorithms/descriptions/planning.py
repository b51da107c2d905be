"""Planners: in the true model of an environment, or in one that is learned."""

from harness.api import AlgorithmSpec

# Random shooting as in Nagabandi et al., 2018, arXiv:1708.02596: N = 1,000 sequences of 20 steps.
SHOOTING = {"optimiser": "shooting", "horizon": 20, "candidates": 1_000}

# Of mbrl-lib 0.2's configuration pets_cartpole are the horizon, the optimiser's numbers and the 200 first steps. Its 7
# members of 4 layers of 200 units, followed by 20 particles, are 5 of 2 layers of 64, followed by one particle each.
CEM = {"optimiser": "cem", "horizon": 15, "candidates": 350, "iterations": 5, "elite": 0.1, "momentum": 0.1}
PETS = {**CEM, "members": 5, "particles": 5, "gaussian": True, "fitting": {"bootstrap": True}}

SPECS: tuple[AlgorithmSpec, ...] = (
    AlgorithmSpec(
        "mpc",
        "harness_algorithms.mpc",
        version="1",
        summary="model-predictive control: plans at every step, in the true model or a learned one",
        reference="Chua et al., 2018, arXiv:1805.12114; Nagabandi et al., 2018, arXiv:1708.02596",
        observation_spaces=("Box",),
        action_spaces=("Box", "Discrete"),
        lockstep=True,
        devices=("cpu", "cuda"),
        needs="harness_algorithms.mpc:needs",
        fits="harness_algorithms.blocks.planning:unfit",
        known=("reward_fn", "termination_fn"),
        presets={"true-model": {"model": "true", **SHOOTING}, "shooting": SHOOTING, "cem": CEM, "pets": PETS},
    ),
)
