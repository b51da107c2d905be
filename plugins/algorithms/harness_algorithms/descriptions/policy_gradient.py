"""Policy gradients that use every sample once, and their trust region."""

from harness.api import AlgorithmSpec


def policy_gradient(
    name: str, summary: str, reference: str, presets: dict[str, dict[str, object]]
) -> AlgorithmSpec:
    """The description of a policy gradient for discrete and for continuous actions."""
    return AlgorithmSpec(
        name,
        f"harness_algorithms.{name}",
        version="1",
        summary=summary,
        reference=reference,
        observation_spaces=("Box",),
        action_spaces=("Discrete", "Box"),
        lockstep=True,
        devices=("cpu", "cuda"),
        presets=presets,
    )


SPECS = (
    policy_gradient(
        "reinforce",
        "Scores of actions weighted by what followed them, without or with a baseline",
        "Williams, 1992, doi:10.1007/BF00992696",
        {
            "full-return": {"weighting": "full_return"},
            "reward-to-go": {"weighting": "reward_to_go"},
            "baseline": {"weighting": "baseline"},
        },
    ),
    policy_gradient(
        "vpg",
        "Scores of actions weighted by generalised advantages",
        "Sutton et al., 2000, NIPS 12; Schulman et al., 2016, arXiv:1506.02438",
        {},
    ),
    policy_gradient(
        "actor_critic",
        "Actor and critic learn from the TD error of every single step",
        "Konda & Tsitsiklis, 2000, NIPS 12",
        {},
    ),
    policy_gradient(
        "trpo",
        "Natural gradient, with a step as long as a divergence allows",
        "Schulman et al., 2015, arXiv:1502.05477",
        {},
    ),
)
