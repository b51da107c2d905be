"""The descriptions, without random scores: those are measured, and kept in ``random_scores.json``.

A reference score is the exact optimum where it is known, else the return at which Gymnasium calls the task solved.
"""

from harness.api import EnvironmentSpec, Score

REWARD_THRESHOLD = "reward_threshold of the id in Gymnasium's registry"

GYMNASIUM_TASKS = (
    EnvironmentSpec(
        "cartpole",
        "CartPole-v1",
        reference_score=Score(500.0, source="upper bound: reward 1 per step, at most 500 steps"),
        threshold=475.0,
        summary="Keep a pole upright on a cart; reward 1 per step",
    ),
    EnvironmentSpec(
        "mountaincar",
        "MountainCar-v0",
        reference_score=Score(-110.0, source=REWARD_THRESHOLD),
        threshold=-110.0,
        summary="Swing a car out of a valley; reward −1 per step until the flag, at most 200 steps",
    ),
    EnvironmentSpec(
        "acrobot",
        "Acrobot-v1",
        reference_score=Score(-100.0, source=REWARD_THRESHOLD),
        threshold=-100.0,
        summary="Swing the tip of a two-link arm above the bar; reward −1 per step",
    ),
    EnvironmentSpec(
        "pendulum",
        "Pendulum-v1",
        reference_score=Score(-152.1, source="DDPG in rl-baselines3-zoo's benchmark.md, one run"),
        threshold=-200.0,
        summary="Swing a pendulum up and hold it, continuous torque; never terminates",
    ),
    EnvironmentSpec(
        "mountaincar-continuous",
        "MountainCarContinuous-v0",
        reference_score=Score(90.0, source=REWARD_THRESHOLD),
        threshold=90.0,
        summary="Mountain car with a continuous force; 100 at the flag, force costs",
    ),
    EnvironmentSpec(
        "frozen-lake",
        "FrozenLake-v1",
        kwargs={"map_name": "4x4", "is_slippery": True},
        reference_score=Score(0.7441902878292697, source="exact: backward induction over the 100 steps"),
        threshold=0.7,
        summary="Cross slippery ice, 4x4; reward 1 at the goal, holes end the episode",
    ),
    EnvironmentSpec(
        "cliff-walking",
        "CliffWalking-v1",
        max_episode_steps=200,  # because Gymnasium sets none, and a fall does not terminate
        reference_score=Score(-13.0, source="exact: the shortest path, along the edge"),
        threshold=-17.0,  # the path farthest from the cliff
        summary="Walk along a cliff; reward −1 per step, −100 and back to the start for a fall",
    ),
    EnvironmentSpec(
        "taxi",
        "Taxi-v4",
        reference_score=Score(7.93, source="exact: backward induction, mean over the 300 starts"),
        threshold=7.0,  # Gymnasium's 8 is above the optimum
        summary="Fetch and deliver a passenger; −1 per step, −10 for a mistake, 20 at the end",
    ),
)

SPECS = GYMNASIUM_TASKS
