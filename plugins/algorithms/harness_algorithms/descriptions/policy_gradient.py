"""Policy gradients that use every sample once, and their trust region."""

from harness.api import AlgorithmSpec


def policy_gradient(name: str, summary: str, reference: str, presets: dict[str, dict[str, object]]) -> AlgorithmSpec:
    """The description of a policy gradient for discrete and for continuous actions."""
    return AlgorithmSpec(
        name,
        f"harness_algorithms.{name}",
        version="2",
        summary=summary,
        reference=reference,
        observation_spaces=("Box",),
        action_spaces=("Discrete", "Box"),
        lockstep=True,
        devices=("cpu", "cuda"),
        fits="harness_algorithms.blocks.convolutions:unfit",
        presets=presets,
    )


# Of Morvan Zhou's tutorial, script 8, for `cartpole-fall` and `pendulum-tenth`. In the Pendulum's, mean and deviation
# are of layers, and the mean is bounded. Layers start as torch starts them.
TUTORIAL = {"discount": 0.9, "hidden": (20,), "activation": "relu", "learning_rate": 1e-3, "value_learning_rate": 1e-2}
TUTORIAL_PENDULUM = {**TUTORIAL, "hidden": (30,), "log_std": None, "entropy_weight": 0.01}

# Its script 7, for `cartpole` and `mountaincar-long`: whitened rewards to go. It takes a step per episode, ours one per
# rollout, whitened together. Of an episode that a rollout cuts only what follows the cut is used, so a rollout should
# hold several: on `mountaincar-long` one at random takes some 9,000 steps.
REINFORCE_TUTORIAL = {
    "weighting": "reward_to_go",
    "standardised_weights": True,
    "hidden": (10,),
    "learning_rate": 0.02,
    "discount": 0.99,
    "rollout_length": 1_000,
}
# OpenAI's Spinning Up, pg_math/1_simple_pg.py and 2_rtg_pg.py, and its VPG, for `cartpole` and 50 rollouts.
SIMPLE_GRADIENT = {"discount": 1.0, "hidden": (32,), "learning_rate": 1e-2, "rollout_length": 5_000}
VPG_TUTORIAL = {
    "discount": 0.99,
    "lambda_": 0.97,
    "copies": 1,
    "rollout_length": 4_000,
    "hidden": (64, 64),
    "learning_rate": 3e-4,
    "value_learning_rate": 1e-3,
    "value_updates": 80,
}

# Of rl_zoo3 2.9.2 (https://github.com/DLR-RM/rl-baselines3-zoo), hyperparams/trpo.yml; its noise that depends on the
# state (gSDE) and its normalisation of observations are left out, and the tasks that need the latter. Ours
# have after 102,400 steps, 10 seeds, a mean return of 430.6 on cartpole and −178.9 on pendulum, 10 episodes each.
ZOO_CARTPOLE = {
    "copies": 2,
    "rollout_length": 512,
    "lambda_": 0.98,
    "damping": 1e-3,
    "value_passes": 20,
    "value_minibatches": 2,
}
# The zoo's with rollouts twice as long, and eight times the updates of v for each: 491.9, likewise, on the seeds that
# it was chosen by.
TUNED_CARTPOLE = {**ZOO_CARTPOLE, "rollout_length": 1024, "value_minibatches": 16}
ZOO_PENDULUM = {"copies": 2, "rollout_length": 1024, "discount": 0.9, "value_passes": 15}

SPECS = (
    policy_gradient(
        "reinforce",
        "Scores of actions weighted by what followed them, without or with a baseline",
        "Williams, 1992, doi:10.1007/BF00992696",
        {
            "full-return": {"weighting": "full_return"},
            "reward-to-go": {"weighting": "reward_to_go"},
            "baseline": {"weighting": "baseline"},
            "tutorial": REINFORCE_TUTORIAL,
            "tutorial-mountaincar": {**REINFORCE_TUTORIAL, "discount": 0.995, "rollout_length": 20_000},
            "tutorial-full-return": {**SIMPLE_GRADIENT, "weighting": "full_return"},
            "tutorial-reward-to-go": {**SIMPLE_GRADIENT, "weighting": "reward_to_go"},
        },
    ),
    policy_gradient(
        "vpg",
        "Scores of actions weighted by generalised advantages",
        "Sutton et al., 2000, NIPS 12; Schulman et al., 2016, arXiv:1506.02438",
        {"tutorial": VPG_TUTORIAL},
    ),
    policy_gradient(
        "actor_critic",
        "Actor and critic learn from the TD error of every single step",
        "Konda & Tsitsiklis, 2000, NIPS 12",
        {"tutorial": TUTORIAL, "tutorial-pendulum": TUTORIAL_PENDULUM},
    ),
    policy_gradient(
        "trpo",
        "Natural gradient, with a step as long as a divergence allows",
        "Schulman et al., 2015, arXiv:1502.05477",
        {"zoo-cartpole": ZOO_CARTPOLE, "tuned-cartpole": TUNED_CARTPOLE, "zoo-pendulum": ZOO_PENDULUM},
    ),
)
