"""What a seed's luck on one task says about another, and what a gate makes of it: real runs of Q-learning.

    python tests/simulations/shared_luck.py

writes `docs/seeds-and-luck.md`. Both sides of every gate are equal: seeds drawn from the same runs, none on both sides.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from harness.contract.specs import EnvironmentSpec
from harness.measuring import seeding
from harness.measuring.description import TrialDescription
from harness.measuring.training import Training
from harness.statistics.decision import Verdict
from harness.statistics.sequential import decide, usual_rule
from harness_algorithms import q_learning

OUTPUT = Path(__file__).parents[2] / "docs" / "seeds-and-luck.md"
RUNS, STEPS, POINTS, EPISODES = 160, 4_000, 4, 10
GATES = 400
RANDOM = 0.0139  # score of a random policy
LIMITS = (100, 95, 90, 85, 80)  # steps of an episode: tasks that are nearly the same
RATES = (0.08, 0.09, 0.1, 0.11, 0.12)  # settings that are nearly the same

Floats = NDArray[np.float64]


def score(limit: int, rate: float, seed: int) -> float:
    """The mean score of a run's evaluations after the first, as the area under its curve."""
    place = EnvironmentSpec(f"lake-{limit}", "FrozenLake-v1", max_episode_steps=limit)
    asked = TrialDescription(
        place, (seed,), STEPS, POINTS, EPISODES, target=q_learning.__name__, config={"learning_rate": rate}
    )
    training = Training(asked)
    training.run()
    (run,) = training.trial.runs
    return float(np.mean([episode.value for episode in run.evaluations if episode.evaluation]))


def by_seed_alone(seed: int, name: str) -> int:
    """What streams were derived from before they depended on the environment."""
    return seeding.integer(seed, "run")


def scores(asked: Sequence[tuple[int, float]], derived: Callable[[int, str], int]) -> Floats:
    """Scores [N, M] less the random policy's, of runs whose streams come from what ``derived`` says."""
    with mock.patch.object(seeding, "of_environment", derived):
        return np.array([[score(limit, rate, seed) for limit, rate in asked] for seed in range(RUNS)]) - RANDOM


def correlation(of: Floats) -> float:
    """The mean correlation of a seed's scores on two tasks."""
    matrix = np.corrcoef(of.T)
    return float(matrix[np.triu_indices(len(matrix), 1)].mean())


def alarms(of: Floats, blocks: Sequence[int], paired: bool) -> float:
    """The share of gates between equal sides that say regressed, within tolerance or not."""
    rng = np.random.default_rng(0)
    rule = usual_rule(of.shape[1], len({*blocks}))
    bad = 0
    for _ in range(GATES):
        first, second = np.split(of[rng.permutation(RUNS)[: 2 * rule.looks[-1]]], 2)
        found = decide(first, second, rule, paired=paired, blocks=blocks, random=1_000)
        bad += found.verdict in (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE)
    return bad / GATES


def page() -> str:
    """Train, judge and write it down."""
    tasks, settings = [(limit, 0.1) for limit in LIMITS], [(100, rate) for rate in RATES]
    apart, together = range(5), [0] * 5
    cases = [
        ("five related environments", "seed alone", scores(tasks, by_seed_alone), (apart, together)),
        ("five related environments", "seed and environment", scores(tasks, seeding.of_environment), (apart,)),
        (
            "five settings on one environment",
            "seed and environment",
            scores(settings, seeding.of_environment),
            (apart, together),
        ),
    ]
    lines = []
    for what, derived, of, ways in cases:
        for blocks in ways:
            found = [f"{100 * alarms(of, blocks, paired):.1f}" for paired in (False, True)]
            way = "together" if len({*blocks}) == 1 else "each on its own"
            lines.append(f"| {what} | {derived} | {correlation(of):.2f} | {way} | {' | '.join(found)} |")
    return PREFACE.format(runs=RUNS, steps=STEPS, gates=GATES) + "\n".join(lines) + "\n\n" + READING


PREFACE = """# A seed's luck, on one task and on another

`python tests/simulations/shared_luck.py` made this page. Q-learning was trained with {runs} seeds for {steps:,} steps
on five environments that are nearly the same (FrozenLake with 80 to 100 steps an episode), and with five nearly equal
settings on one. Once streams came from the seed alone, as they did until runs were `independent`, and once from seed
and environment, as they do. The score is the mean of the evaluations. Then {gates} gates compared equal sides: runs of
seeds drawn at random, none on both sides. Shares that say *regressed*, within tolerance or not, are in percent; 5 are
promised, and 2 standard errors are 2.2.

| runs | streams come from | correlation | tasks are permuted | regressed, unpaired | paired |
|---|---|--:|---|--:|--:|
"""
READING = """Permuting each task on its own takes luck that a seed has on all of them for a change of the code. Where
streams depend on the environment, that luck is gone, and each environment counts for itself. Settings of one algorithm
on one environment keep their seeds' luck, by design: that is what makes them pair. They are permuted together, and so
are all tasks of older runs.
"""


def main() -> None:
    """Train, judge, and write the page."""
    OUTPUT.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
