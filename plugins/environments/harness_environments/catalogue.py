"""The descriptions, without random scores: those are measured, and kept in ``random_scores.json``.

A reference score is the optimum, exact or planned, where that is known, else the return at which Gymnasium calls
the task solved.
"""

from harness.api import EnvironmentSpec, Score

REWARD_THRESHOLD = "reward_threshold of the id in Gymnasium's registry"
PARKED = "climbs, then waits beside the flag, which ends what pays: test_tutorial_environments.py, Gymnasium 1.4.0"
WORST_SWING = -3_255.0  # 200 steps at a cost of at most π² + 0.1 · 8² + 0.001 · 2² each, rounded down
PLANNED = "near-optimum: planner on a 400 x 401 grid, measure_pendulum_reference.py, Gymnasium 1.4.0"

GYMNASIUM_TASKS = (
    EnvironmentSpec(
        "cartpole",
        "CartPole-v1",
        array="harness_environments.arrays.cartpole",
        known="harness_environments.known.cartpole",
        reference_score=Score(500.0, source="upper bound: reward 1 per step, at most 500 steps"),
        threshold=475.0,
        lowest_return=0.0,
        highest_return=500.0,
        summary="Keep a pole upright on a cart; reward 1 per step",
    ),
    EnvironmentSpec(
        "mountaincar",
        "MountainCar-v0",
        array="harness_environments.arrays.mountain_car",
        reference_score=Score(-110.0, source=REWARD_THRESHOLD),
        threshold=-110.0,
        lowest_return=-200.0,
        highest_return=-1.0,
        summary="Swing a car out of a valley; reward −1 per step until the flag, at most 200 steps",
    ),
    EnvironmentSpec(
        "acrobot",
        "Acrobot-v1",
        array="harness_environments.arrays.acrobot",
        known="harness_environments.known.acrobot",
        reference_score=Score(-100.0, source=REWARD_THRESHOLD),
        threshold=-100.0,
        lowest_return=-500.0,
        highest_return=0.0,
        summary="Swing the tip of a two-link arm above the bar; reward −1 per step",
    ),
    EnvironmentSpec(
        "pendulum",
        "Pendulum-v1",
        array="harness_environments.arrays.pendulum",
        known="harness_environments.known.pendulum",
        reference_score=Score(-137.52, 0.74, 10_000, PLANNED),
        threshold=-200.0,
        lowest_return=WORST_SWING,
        highest_return=0.0,
        summary="Swing a pendulum up and hold it, continuous torque; never terminates",
    ),
    EnvironmentSpec(
        "mountaincar-continuous",
        "MountainCarContinuous-v0",
        array="harness_environments.arrays.mountain_car_continuous",
        known="harness_environments.known.mountain_car_continuous",
        reference_score=Score(90.0, source=REWARD_THRESHOLD),
        threshold=90.0,
        highest_return=100.0,
        summary="Mountain car with a continuous force; 100 at the flag, force costs",
    ),
    EnvironmentSpec(
        "frozen-lake",
        "FrozenLake-v1",
        kwargs={"map_name": "4x4", "is_slippery": True},
        reference_score=Score(0.7441902878292697, source="exact: backward induction over the 100 steps"),
        threshold=0.7,
        lowest_return=0.0,
        highest_return=1.0,
        summary="Cross slippery ice, 4x4; reward 1 at the goal, holes end the episode",
    ),
    EnvironmentSpec(
        "cliff-walking",
        "CliffWalking-v1",
        max_episode_steps=200,  # because Gymnasium sets none, and a fall does not terminate
        reference_score=Score(-13.0, source="exact: the shortest path, along the edge"),
        threshold=-17.0,  # the path farthest from the cliff
        lowest_return=-20_000.0,
        highest_return=-13.0,
        summary="Walk along a cliff; reward −1 per step, −100 and back to the start for a fall",
    ),
    EnvironmentSpec(
        "taxi",
        "Taxi-v4",
        reference_score=Score(7.93, source="exact: backward induction, mean over the 300 starts"),
        threshold=7.0,  # Gymnasium's 8 is above the optimum
        lowest_return=-2_000.0,
        highest_return=20.0,
        summary="Fetch and deliver a passenger; −1 per step, −10 for a mistake, 20 at the end",
    ),
)

TEACHING_WORLDS = (
    EnvironmentSpec(
        "treasure",
        "harness_environments/Treasure-v0",
        imports=("harness_environments.treasure",),
        reference_score=Score(1.0, source="exact: the treasure, in 5 steps"),
        threshold=1.0,
        lowest_return=0.0,
        highest_return=1.0,
        summary="Six cells in a row, `-o---T`; reward 1 at the right end",
    ),
    EnvironmentSpec(
        "maze",
        "harness_environments/Maze-v0",
        imports=("harness_environments.mazes",),
        reference_score=Score(1.0, source="exact: the goal, in 6 steps"),
        threshold=1.0,
        lowest_return=-1.0,
        highest_return=1.0,
        summary="4x4 maze with two hells (−1) around the goal (1); observes the cell",
    ),
    EnvironmentSpec(
        "maze-features",
        "harness_environments/FeatureMaze-v0",
        imports=("harness_environments.mazes",),
        reference_score=Score(1.0, source="exact: the goal, in 4 steps"),
        threshold=1.0,
        lowest_return=-1.0,
        highest_return=1.0,
        summary="4x4 maze with one hell (−1) and a goal (1); observes the offset from the goal",
    ),
    EnvironmentSpec(
        "dyna-maze",
        "harness_environments/DynaMaze-v0",
        imports=("harness_environments.mazes",),
        reference_score=Score(1.0, source="exact: the goal, in 14 steps"),
        threshold=1.0,
        lowest_return=0.0,
        highest_return=1.0,
        summary="6x9 maze with walls (Sutton & Barto, figure 8.2); reward 1 at the goal",
    ),
    EnvironmentSpec(
        "mountaincar-plus10",
        "harness_environments/MountainCarPlus10-v0",
        imports=("harness_environments.mountain_car",),
        reference_score=Score(-99.0, source=f"MountainCar-v0's {REWARD_THRESHOLD}, and 10 for −1 at the flag"),
        threshold=-99.0,
        lowest_return=-10_000.0,
        highest_return=10.0,
        summary="Mountain car with reward 10 at the flag, −1 elsewhere, at most 10,000 steps",
    ),
    EnvironmentSpec(
        "pendulum-11",
        "harness_environments/DiscretePendulum-v0",
        imports=("harness_environments.pendulum",),
        kwargs={"torques": 11},
        reference_score=Score(-137.55, 0.74, 10_000, PLANNED),
        threshold=-200.0,
        lowest_return=WORST_SWING,
        highest_return=0.0,
        summary="Pendulum with 11 discrete torques",
    ),
    EnvironmentSpec(
        "pendulum-25",
        "harness_environments/DiscretePendulum-v0",
        imports=("harness_environments.pendulum",),
        kwargs={"torques": 25},
        reference_score=Score(-137.52, 0.74, 10_000, PLANNED),
        threshold=-200.0,
        lowest_return=WORST_SWING,
        highest_return=0.0,
        summary="Pendulum with 25 discrete torques",
    ),
    EnvironmentSpec(
        "pendulum-tenth",
        "Pendulum-v1",
        wrappers=(("harness_environments.pendulum:ScaledReward", {"factor": 0.1}),),
        reference_score=Score(-13.752, 0.074, 10_000, f"a tenth of pendulum's, {PLANNED}"),
        threshold=-20.0,
        lowest_return=WORST_SWING / 10,
        highest_return=0.0,
        summary="Pendulum with continuous torque, rewards divided by 10",
    ),
    EnvironmentSpec(
        "pendulum-11-tenth",
        "harness_environments/DiscretePendulum-v0",
        imports=("harness_environments.pendulum",),
        kwargs={"torques": 11, "reward_scale": 0.1},
        reference_score=Score(-13.755, 0.074, 10_000, f"a tenth of pendulum-11's, {PLANNED}"),
        threshold=-20.0,
        lowest_return=WORST_SWING / 10,
        highest_return=0.0,
        summary="Pendulum with 11 discrete torques, rewards divided by 10",
    ),
    EnvironmentSpec(
        "pendulum-25-tenth",
        "harness_environments/DiscretePendulum-v0",
        imports=("harness_environments.pendulum",),
        kwargs={"torques": 25, "reward_scale": 0.1},
        reference_score=Score(-13.752, 0.074, 10_000, f"a tenth of pendulum-25's, {PLANNED}"),
        threshold=-20.0,
        lowest_return=WORST_SWING / 10,
        highest_return=0.0,
        summary="Pendulum with 25 discrete torques, rewards divided by 10",
    ),
    EnvironmentSpec(
        "pendulum-shifted",
        "harness_environments/ShiftedPendulum-v0",
        imports=("harness_environments.pendulum",),
        array="harness_environments.arrays.pendulum_shifted",
        reference_score=Score(182.81, 0.0925, 10_000, f"(r + 8) / 8 of pendulum's, {PLANNED}"),
        threshold=175.0,
        lowest_return=(WORST_SWING + 1_600) / 8,
        highest_return=200.0,
        summary="Pendulum with continuous torque, rewards (r + 8) / 8",
    ),
    EnvironmentSpec(
        "mountaincar-long",
        "MountainCar-v0",
        array="harness_environments.arrays.mountain_car",
        max_episode_steps=10_000,
        reference_score=Score(-110.0, source=REWARD_THRESHOLD),
        threshold=-110.0,
        lowest_return=-10_000.0,
        highest_return=-1.0,
        summary="Mountain car with at most 10,000 steps, so that chance finds the flag",
    ),
    EnvironmentSpec(
        "mountaincar-distance",
        "harness_environments/MountainCarDistance-v0",
        imports=("harness_environments.mountain_car",),
        array="harness_environments.arrays.mountain_car_distance",
        reference_score=Score(9_911.8, source=PARKED),
        threshold=9_000.0,
        lowest_return=0.0,
        highest_return=10_000.07,  # 1 before the flag, 1.07 past it
        summary="Mountain car with reward |position + 0.5|, at most 10,000 steps",
    ),
    EnvironmentSpec(
        "cartpole-fall",
        "harness_environments/CartPoleFall-v0",
        imports=("harness_environments.cartpole",),
        array="harness_environments.arrays.cartpole_fall",
        reference_score=Score(1_000.0, source="upper bound: reward 1 per step, at most 1,000 steps"),
        threshold=200.0,  # above which the tutorial's script shows the pole
        lowest_return=-13.0,  # no pole falls in fewer than 8 steps
        highest_return=1_000.0,
        summary="CartPole with reward −20 at the fall, at most 1,000 steps",
    ),
    EnvironmentSpec(
        "cartpole-fall-only",
        "harness_environments/CartPoleFallOnly-v0",
        imports=("harness_environments.cartpole",),
        array="harness_environments.arrays.cartpole_fall_only",
        reference_score=Score(0.0, source="upper bound: no fall within 500 steps"),
        threshold=-1.1,  # nine of ten poles stand
        lowest_return=-11.0,
        highest_return=0.0,
        summary="CartPole with reward −11 at the fall and 0 otherwise, at most 500 steps",
    ),
    EnvironmentSpec(
        "cartpole-shaped",
        "harness_environments/CartPoleShaped-v0",
        imports=("harness_environments.cartpole",),
        array="harness_environments.arrays.cartpole_shaped",
        reference_score=Score(350.0, source="upper bound: reward 0.7 per step, at most 500 steps"),
        threshold=175.0,  # half of that, for which a pole stands 250 steps or more
        lowest_return=-651.0,  # 500 steps at the edges, −1.3 each, and less than 1 beyond
        highest_return=350.0,
        summary="CartPole paid by how near the middle and how upright it is, at most 500 steps",
    ),
)

WITHOUT_VELOCITIES = (
    EnvironmentSpec(
        "cartpole-position",
        "harness_environments/CartPolePosition-v0",
        imports=("harness_environments.cartpole",),
        array="harness_environments.arrays.cartpole_position",
        reference_score=Score(500.0, source="upper bound: reward 1 per step, at most 500 steps"),
        threshold=475.0,
        lowest_return=0.0,
        highest_return=500.0,
        summary="CartPole that shows position and angle only: velocities must be remembered",
    ),
    EnvironmentSpec(
        "cartpole-position-pixels",
        "harness_environments/CartPolePixels-v0",
        imports=("harness_environments.cartpole",),
        array="harness_environments.arrays.cartpole_position_pixels",
        reference_score=Score(500.0, source="upper bound: reward 1 per step, at most 500 steps"),
        threshold=475.0,
        lowest_return=0.0,
        highest_return=500.0,
        summary="CartPole seen as an image of 16x16: velocities must be remembered",
    ),
)

POINT_MASS = EnvironmentSpec(
    "point-mass",
    "harness_environments/PointMass-v0",
    imports=("harness_environments.point_mass",),
    array="harness_environments.arrays.point_mass",
    known="harness_environments.known.point_mass",
    reference_score=Score(-8.7732, source="exact: the linear-quadratic regulator, which clipping never touches"),
    threshold=-10.0,
    lowest_return=-112_352.0,  # pushed outwards from a corner
    highest_return=0.0,
    summary="Push a point over a plane to the origin; reward −(|p|² + |a|²), 100 steps",
)

PUSH_BOX = EnvironmentSpec(
    "push-box",
    "harness_environments/PushBox-v0",
    imports=("harness_environments.push_box",),
    array="harness_environments.arrays.push_box",
    reference_score=Score(
        11.1754, 0.0029, 10_000, "shortest solutions, found by search: measure_push_box_reference.py"
    ),
    threshold=6.0,
    lowest_return=-5.0,  # 50 steps; no box starts on a goal
    highest_return=12.0,
    version="2",
    summary="Push two boxes onto goals, 5x5, never pulling; every level is another and can be solved",
)
PUSH_ONE_BOX = EnvironmentSpec(
    "push-one-box",
    "harness_environments/PushBox-v0",
    imports=("harness_environments.push_box",),
    kwargs={"boxes": 1},
    array="harness_environments.arrays.push_one_box",
    reference_score=Score(
        10.5072, 0.0024, 10_000, "shortest solutions, found by search: measure_push_box_reference.py --boxes 1"
    ),
    threshold=6.0,
    lowest_return=-5.0,
    highest_return=11.0,
    version="2",
    summary="Push a box onto its goal, 5x5, never pulling; every level is another and can be solved",
)

# One specification each, because a claim about growth needs several sizes.
CLIFFWALKS = tuple(
    EnvironmentSpec(
        f"blind-cliffwalk-{states}{suffix}",
        "harness_environments/BlindCliffwalk-v0",
        imports=("harness_environments.chains",),
        kwargs={"states": states, "one_hot": bool(suffix)},
        reference_score=Score(1.0, source=f"exact: right {states} times"),
        threshold=1.0,
        lowest_return=0.0,
        highest_return=1.0,
        summary=f"{states} states in a row, one right action of two in each, reward 1 past the last{note}",
    )
    for suffix, note in (("", ""), ("-onehot", "; one-hot"))
    for states in (8, 10, 13)
)

CORRIDORS = tuple(
    EnvironmentSpec(
        f"corridor-{actions}",
        "harness_environments/Corridor-v0",
        imports=("harness_environments.corridor",),
        kwargs={"actions": actions},
        reference_score=Score(1.0, source="exact: the top right, in 60 steps"),
        threshold=1.0,
        lowest_return=0.0,
        highest_return=1.0,
        summary=f"70 cells of three corridors, reward 0.1 near and 1 far; {actions} actions, 4 of them move",
    )
    for actions in (5, 10, 20)
)

BIASES = tuple(
    EnvironmentSpec(
        f"maximisation-bias{suffix}",
        "harness_environments/MaximisationBias-v0",
        imports=("harness_environments.chains",),
        kwargs={"one_hot": bool(suffix)},
        reference_score=Score(0.0, source="exact: right, at once"),
        threshold=0.0,
        summary=f"Right ends with 0, left leads to 10 gambles of mean −0.1 and deviation 1{note}",
    )
    for suffix, note in (("", ""), ("-onehot", "; one-hot"))
)

BIMODAL_CHAIN = EnvironmentSpec(
    "bimodal-chain",
    "harness_environments/BimodalChain-v0",
    imports=("harness_environments.chains",),
    reference_score=Score(0.5, source="exact: to the end, where −1 and 2 are equally likely"),
    threshold=0.25,  # half of the optimum, because no mean of a few episodes is near it
    lowest_return=-1.0,
    highest_return=2.0,
    summary="Five states in a row, reward −1 or 2 past the last: a return with two modes",
)

# Where no action matters, random is optimal: such a probe has no reference to be normalised by.
PROBES = (
    EnvironmentSpec(
        "probe-1-constant",
        "harness_environments/ProbeConstant-v0",
        imports=("harness_environments.probes",),
        summary="One step, reward 1: value 1",
    ),
    EnvironmentSpec(
        "probe-2-observation",
        "harness_environments/ProbeObservationDependent-v0",
        imports=("harness_environments.probes",),
        summary="One step, the reward is the observation, −1 or 1: so is the value",
    ),
    EnvironmentSpec(
        "probe-3-discounting",
        "harness_environments/ProbeDiscounting-v0",
        imports=("harness_environments.probes",),
        summary="Two steps, reward 1 at the end: values γ and 1",
    ),
    EnvironmentSpec(
        "probe-4-action",
        "harness_environments/ProbeActionDependent-v0",
        imports=("harness_environments.probes",),
        reference_score=Score(1.0, source="exact"),
        threshold=1.0,
        summary="One step, action 1 gives 1 and action 0 gives −1",
    ),
    EnvironmentSpec(
        "probe-5-both",
        "harness_environments/ProbeObservationAndActionDependent-v0",
        imports=("harness_environments.probes",),
        reference_score=Score(1.0, source="exact"),
        threshold=1.0,
        summary="One step, reward 1 where action and observation agree, −1 where not",
    ),
    EnvironmentSpec(
        "probe-truncation",
        "harness_environments/ProbeTruncation-v0",
        imports=("harness_environments.probes",),
        summary="Reward 1 for ever, truncated after 10 steps: value 1 / (1 − γ)",
    ),
)

CONTINUOUS_PROBES = (
    EnvironmentSpec(
        "probe-1-constant-continuous",
        "harness_environments/ProbeConstant-v0",
        imports=("harness_environments.probes",),
        kwargs={"continuous": True},
        summary="One step, reward 1 for any number: value 1",
    ),
    EnvironmentSpec(
        "probe-2-observation-continuous",
        "harness_environments/ProbeObservationDependent-v0",
        imports=("harness_environments.probes",),
        kwargs={"continuous": True},
        summary="One step, the reward is the observation, −1 or 1, for any number",
    ),
    EnvironmentSpec(
        "probe-3-discounting-continuous",
        "harness_environments/ProbeDiscounting-v0",
        imports=("harness_environments.probes",),
        kwargs={"continuous": True},
        summary="Two steps, reward 1 at the end for any numbers: values γ and 1",
    ),
    EnvironmentSpec(
        "probe-4-action-continuous",
        "harness_environments/ProbeActionDependent-v0",
        imports=("harness_environments.probes",),
        kwargs={"continuous": True},
        reference_score=Score(1.0, source="exact"),
        threshold=1.0,
        summary="One step, the number a gives 1 − (2a − 1)²",
    ),
    EnvironmentSpec(
        "probe-5-both-continuous",
        "harness_environments/ProbeObservationAndActionDependent-v0",
        imports=("harness_environments.probes",),
        kwargs={"continuous": True},
        reference_score=Score(1.0, source="exact"),
        threshold=1.0,
        summary="One step, the number a gives 1 − (2a − observation)²",
    ),
    EnvironmentSpec(
        "probe-truncation-continuous",
        "harness_environments/ProbeTruncation-v0",
        imports=("harness_environments.probes",),
        kwargs={"continuous": True},
        summary="Reward 1 for ever for any number, truncated after 10 steps: value 1 / (1 − γ)",
    ),
)

PIXELS = (
    EnvironmentSpec(
        "pixel-motion",
        "harness_environments/PixelMotion-v0",
        imports=("harness_environments.pixels",),
        reference_score=Score(1.0, source="exact"),
        threshold=0.9,
        lowest_return=-1.0,
        highest_return=1.0,
        summary="Two frames of 10x10: say which way a cell moved, left or right, four times",
    ),
    EnvironmentSpec(
        "pixel-motion-continuous",
        "harness_environments/PixelMotion-v0",
        imports=("harness_environments.pixels",),
        kwargs={"continuous": True},
        reference_score=Score(1.0, source="exact"),
        threshold=0.9,
        lowest_return=-8.0,
        highest_return=1.0,
        summary="Two frames of 10x10: say which way a cell moved, −½ or ½, four times",
    ),
    EnvironmentSpec(
        "pixel-catch",
        "harness_environments/PixelCatch-v0",
        imports=("harness_environments.pixels",),
        reference_score=Score(1.0, source="exact"),
        threshold=0.9,
        lowest_return=-1.0,
        highest_return=1.0,
        summary="Two frames of 10x10: catch a falling ball (1) or miss it (−1) in four steps",
    ),
    EnvironmentSpec(
        "pixel-catch-continuous",
        "harness_environments/PixelCatch-v0",
        imports=("harness_environments.pixels",),
        kwargs={"continuous": True},
        reference_score=Score(1.0, source="exact"),
        threshold=0.9,
        lowest_return=-1.0,
        highest_return=1.0,
        summary="Two frames of 10x10: catch a falling ball, moving by a number from −1 to 1, rounded",
    ),
)

SPECS = (
    GYMNASIUM_TASKS
    + TEACHING_WORLDS
    + WITHOUT_VELOCITIES
    + (POINT_MASS, PUSH_BOX, PUSH_ONE_BOX)
    + CLIFFWALKS
    + CORRIDORS
    + BIASES
    + (BIMODAL_CHAIN,)
    + PROBES
    + CONTINUOUS_PROBES
    + PIXELS
)
