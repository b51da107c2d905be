"""Algorithms that plan in a model, given or learned."""

from harness.api import AlgorithmSpec

# Random shooting as in MBMF (arXiv:1708.02596); true dynamics need no learning, so a budget of one step is enough.
SHOOTING = {"optimiser": "shooting", "horizon": 20, "candidates": 1000}
TRUE_MODEL = {**SHOOTING, "model": "true"}
# Of mbrl-lib (arXiv:2104.10159), conf/overrides/pets_cartpole.yaml; its networks have three layers of 200 units.
CEM = {"optimiser": "cem", "horizon": 15, "candidates": 350, "iterations": 5, "elite": 0.1, "momentum": 0.1}
PETS = {**CEM, "members": 5, "particles": 20, "gaussian": True, "hidden": (200, 200, 200)}

SPECS = (
    AlgorithmSpec(
        "mpc",
        "harness_algorithms.mpc",
        version="1",
        summary="Plans at every step, in the true model or a learned one, and takes the first action",
        reference="Chua et al., 2018, arXiv:1805.12114",
        observation_spaces=("Box",),
        action_spaces=("Discrete", "Box"),
        lockstep=True,
        devices=("cpu", "cuda"),
        needs="harness_algorithms.mpc:needs",
        fits="harness_algorithms.blocks.vectors:unfit_to_plan",
        known=("reward_fn", "termination_fn"),
        presets={"true-model": TRUE_MODEL, "shooting": SHOOTING, "cem": CEM, "pets": PETS},
    ),
)
