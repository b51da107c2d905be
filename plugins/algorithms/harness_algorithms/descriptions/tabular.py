"""Algorithms whose values are a table, and the baseline that learns nothing."""

from harness.api import AlgorithmSpec


def tabular(name: str, summary: str, reference: str, presets: dict[str, dict[str, object]]) -> AlgorithmSpec:
    """The description of an algorithm whose values are a table."""
    return AlgorithmSpec(
        name,
        f"harness_algorithms.{name}",
        version="1",
        summary=summary,
        reference=reference,
        observation_spaces=("Discrete",),
        action_spaces=("Discrete",),
        presets=presets,
    )


# Of Morvan Zhou's tutorial, scripts 1 to 4 and 11. It writes ε for the probability of the greedy action: its 0.9 is 0.1
# here. Its Dyna-Q samples a remembered state, then an action tried there.
TREASURE = {"learning_rate": 0.1, "discount": 0.9, "epsilon": {"start": 0.1, "end": 0.1}}
MAZE = {**TREASURE, "learning_rate": 0.01}

SPECS = (
    AlgorithmSpec(
        "random",
        "harness_algorithms.random",
        version="1",
        summary="uniformly random actions, the zero of normalised scores",
        observation_spaces=("Box", "Discrete", "MultiBinary", "MultiDiscrete", "Dict", "Tuple", "Text"),
        action_spaces=("Box", "Discrete", "MultiBinary", "MultiDiscrete"),
    ),
    tabular(
        "q_learning",
        "off-policy control: bootstraps from the best next action",
        "Watkins & Dayan, 1992, doi:10.1007/BF00992698",
        {"tutorial": TREASURE, "tutorial-maze": MAZE},
    ),
    tabular(
        "sarsa",
        "on-policy control: bootstraps from the next action taken",
        "Rummery & Niranjan, 1994, CUED/F-INFENG/TR 166",
        {"tutorial": MAZE},
    ),
    tabular(
        "expected_sarsa",
        "Sarsa with the mean over next actions for the one taken",
        "van Seijen et al., 2009, doi:10.1109/ADPRL.2009.4927542",
        {"tutorial": MAZE},  # the notes do not have it: Sarsa's, to compare
    ),
    tabular(
        "sarsa_lambda",
        "Sarsa with replacing eligibility traces",
        "Singh & Sutton, 1996, doi:10.1007/BF00114726",
        {"tutorial": {**MAZE, "lambda_": 0.9}},
    ),
    tabular(
        "nstep_sarsa",
        "Sarsa that sees n rewards before it bootstraps",
        "Sutton & Barto, 2018, section 7.2",
        {"tutorial": MAZE},  # the notes name it without settings: Sarsa's, to compare
    ),
    tabular(
        "mc_control",
        "every-visit Monte-Carlo control with a constant learning rate",
        "Sutton & Barto, 2018, section 5.4",
        {"tutorial": MAZE},  # likewise
    ),
    tabular(
        "dyna_q",
        "Q-learning that also learns from remembered steps",
        "Sutton, 1990, doi:10.1016/B978-1-55860-141-3.50030-4",
        {"tutorial": {**MAZE, "planning_steps": 10}},
    ),
)
