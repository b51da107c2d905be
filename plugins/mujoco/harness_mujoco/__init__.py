"""Gymnasium's MuJoCo tasks, version 5, with frozen scores and what a planner may know of them."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from harness.api import EnvironmentSpec, Score, hookimpl

API = 1

REWARD_THRESHOLD = "reward_threshold of the id in Gymnasium's registry"

SPECS = (
    EnvironmentSpec(
        "inverted-pendulum",
        "InvertedPendulum-v5",
        known="harness_mujoco.known.inverted_pendulum",
        reference_score=Score(1_000.0, source="upper bound: reward 1 per step, at most 1,000 steps"),
        threshold=950.0,
        lowest_return=0.0,
        highest_return=1_000.0,
        summary="Keep a pole upright on a cart, continuous force; reward 1 per step that does not fail",
    ),
    EnvironmentSpec(
        "reacher",
        "Reacher-v5",
        known="harness_mujoco.known.reacher",
        reference_score=Score(-3.75, source=REWARD_THRESHOLD),
        threshold=-3.75,
        highest_return=0.0,
        summary="Bring the tip of a two-link arm to a target; pays for distance and torque, 50 steps",
    ),
    EnvironmentSpec(
        "half-cheetah",
        "HalfCheetah-v5",
        known="harness_mujoco.known.half_cheetah",
        reference_score=Score(4_800.0, source=REWARD_THRESHOLD),
        threshold=4_800.0,
        summary="Run with two legs in a plane, 1,000 steps; paid by distance, its position unseen",
    ),
    EnvironmentSpec(
        "half-cheetah-position",
        "HalfCheetah-v5",
        kwargs={"exclude_current_positions_from_observation": False},
        known="harness_mujoco.known.half_cheetah_position",
        reference_score=Score(4_800.0, source=REWARD_THRESHOLD),
        threshold=4_800.0,
        summary="HalfCheetah that sees the position by which it is paid, so that planners can know its reward",
    ),
)


def random_scores() -> dict[str, Score]:
    """What ``plugins/environments/measure_random_scores.py`` measured, by name of the environment."""
    text = Path(__file__).with_name("random_scores.json").read_text(encoding="utf-8")
    return {name: Score(**score) for name, score in json.loads(text).items()}


@hookimpl
def harness_environments() -> Iterable[EnvironmentSpec]:
    """Every environment, with its measured random score."""
    scores = random_scores()
    return [replace(spec, random_score=scores.get(spec.name)) for spec in SPECS]
