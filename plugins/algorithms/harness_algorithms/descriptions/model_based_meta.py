"""Policies learned in imagination."""

from harness.api import AlgorithmSpec

# Of the authors' program (https://github.com/jonasrothfuss/model_ensemble_meta_learning, revision 8b1351d,
# experiments/run_scripts/mb_comparison/mb_mpo_train.py), for MuJoCo's tasks with episodes of 200 steps.
PAPER = {
    "adaptation_rate": 1e-3,
    "curvature_every": 1,
    "meta_steps": 30,
    "models": 5,
    "tasks_per_model": 4,
    "rollouts": 50,
    "horizon": 200,
    "observation_limit": 1_000.0,
    "random_steps": 5_000,
    "hidden": (32, 32),
    "model_hidden": (512, 512),
    "weight_norm": True,
    "fitting": {"epochs": 500, "batch_size": 500, "learning_rate": 1e-3, "validation": 0.2, "persistency": 0.99},
}

# Small networks, and Hessians of every tenth step only, as in TRPO's paper (appendix C): enough for `pendulum`. An α
# larger than the authors' wants more damping. Where imagined speeds are not kept below the fastest, 8 rad/s, models
# that have seen slow ones diverge, and few episodes make up most of the return. With α = 0.03, seeds 103 to 106 are at
# −147 after 4,000 steps and lost again (−582) after 5,000, though adaptation still helps in imagination.
PENDULUM = {
    "adaptation_rate": 0.01,
    "damping": 0.1,
    "curvature_every": 10,
    "meta_steps": 15,
    "models": 5,
    "tasks_per_model": 1,
    "rollouts": 30,
    "observation_limit": 8.0,
    "random_steps": 1_000,
    "model_hidden": (64, 64),
    "fitting": {"epochs": 60, "batch_size": 128},
}

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
        fits="harness_algorithms.blocks.imagination:unfit",
        known=("reward_fn", "termination_fn", "initial_fn"),
        presets={"paper": PAPER, "pendulum": PENDULUM, "me-trpo": {**PENDULUM, "adaptation_rate": 0.0}},
    ),
)
