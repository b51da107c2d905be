"""Measure the uniformly random policy with the harness's own meter, and write ``random_scores.json``.

    python plugins/environments/measure_random_scores.py            # every environment
    python plugins/environments/measure_random_scores.py maze taxi  # these only; the others keep their scores
    python plugins/environments/measure_random_scores.py --of harness_mujoco  # those of that plugin

Takes about ten minutes on one core. The same Gymnasium gives the same numbers.
"""

import importlib
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import gymnasium
import numpy as np

from harness.api import EnvironmentSpec, Score
from harness.measuring.description import TrialDescription
from harness.measuring.environments import make
from harness.measuring.trial import LocalTrial

EPISODES = 10_000
OTHER_EPISODES = {
    **dict.fromkeys(("mountaincar-plus10", "mountaincar-long", "mountaincar-distance"), 1_000),  # of some 10,000 steps
    **dict.fromkeys(("half-cheetah", "half-cheetah-position"), 1_000),
    **dict.fromkeys(("connect-four-mcts-50", "hex-5-mcts-50", "hex-7-mcts-50", "othello-6-mcts-50"), 1_000),
    **dict.fromkeys(("connect-four-mcts-200", "hex-5-mcts-200", "hex-7-mcts-200"), 1_000),
    "blind-cliffwalk-13": 200_000,  # because one in 8,192 is paid
    "blind-cliffwalk-13-onehot": 200_000,
}


def random_returns(spec: EnvironmentSpec, episodes: int) -> list[float]:
    """Undiscounted returns of the uniformly random policy in ``episodes`` successive episodes of run seed 0."""
    plain = make(spec)
    trial = LocalTrial(TrialDescription(spec, budget=episodes * plain.spec.max_episode_steps))
    trial.policy = lambda obs: np.stack([plain.action_space.sample() for _ in obs])
    env = trial.make_env()
    recorded = trial.runs[0].episodes
    while len(recorded) < episodes:
        env.reset()
        ended = False
        while not ended:
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            ended = terminated or truncated
    trial.close()
    return [episode.value for episode in recorded]


def score(returns: Sequence[float]) -> Score:
    """Mean and its standard error."""
    error = statistics.stdev(returns) / math.sqrt(len(returns))
    source = f"uniformly random policy, measure_random_scores.py, Gymnasium {gymnasium.__version__}"
    return Score(statistics.fmean(returns), error, len(returns), source)


def main(arguments: Sequence[str]) -> None:
    """Measure the environments named, or all, of a plugin; its file is complete after each of them."""
    other = arguments[:1] == ["--of"]
    plugin = importlib.import_module(arguments[1] if other else "harness_environments")
    names = arguments[2:] if other else arguments
    path = Path(plugin.__file__).with_name("random_scores.json")
    scores = {name: asdict(kept) for name, kept in plugin.random_scores().items()}
    for spec in plugin.SPECS:
        if not names or spec.name in names:
            returns = random_returns(spec, OTHER_EPISODES.get(spec.name, EPISODES))
            scores[spec.name] = asdict(score(returns))
            path.write_text(json.dumps(scores, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            print(spec.name, scores[spec.name], file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
