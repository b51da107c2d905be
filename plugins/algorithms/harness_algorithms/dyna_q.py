"""Dyna-Q (Sutton, 1990, doi:10.1016/B978-1-55860-141-3.50030-4; Sutton & Barto, 2018, section 8.2).

Remembers what every pair last led to, and applies Q-learning to remembered steps between real ones: planning
and learning are one update. Without planning steps it is Q-learning.

    Q(s, a) ← Q(s, a) + α [r + γ d maxₐ′ Q(s′, a′) − Q(s, a)]   for the real step, then for k remembered ones

Departures from the paper: remembered pairs are drawn uniformly, where the book draws a state and then one of
its actions. As in the paper the model is deterministic: in a stochastic environment it plans with the latest
outcome only.
"""

from dataclasses import dataclass, field

import numpy as np

from harness.api import Fraction, Trial
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Table, Transition, epsilon_greedy, move_, td_target, zero_table


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Dyna-Q."""

    discount: Fraction = 0.99  # γ, per step
    learning_rate: Fraction = 0.1  # α, share of the error removed by one update
    planning_steps: int = 10  # remembered steps learnt from per real step; 0 or more
    epsilon: Linear = Linear(0.1, 0.1)  # probability of a random action


@dataclass(frozen=True)
class Model:
    """The latest step of every pair (s, a) met so far.

    Attributes:
        steps: in the order in which the pairs were first met.
        places: of the pairs in ``steps``.
    """

    steps: list[Transition] = field(default_factory=list)
    places: dict[tuple[int, int], int] = field(default_factory=dict)

    def remember(self, step: Transition) -> None:
        """Keep a step in place of the last one of its pair."""
        place = self.places.setdefault((step.obs, step.action), len(self.steps))
        self.steps[place : place + 1] = [step]

    def recall(self, count: int, rng: np.random.Generator) -> list[Transition]:
        """``count`` steps, drawn uniformly with replacement."""
        return [self.steps[int(share * len(self.steps))] for share in rng.random(count).tolist()]


def learn_(q: Table, steps: list[Transition], config: Config) -> None:
    """Q-learning from each of these steps in turn, in place."""
    for step in steps:
        target = td_target(step, max(q[step.next_obs]), config.discount)
        move_(q, step, target, config.learning_rate)


def train(trial: Trial, config: Config) -> None:
    """One real and ``planning_steps`` remembered updates per step."""
    env = trial.make_env()
    q = zero_table(env)
    model = Model()
    trial.policy = Greedy(q)
    while trial.within_budget:
        obs, _ = env.reset()
        ended = False
        while not ended:
            action = epsilon_greedy(q[obs], config.epsilon(trial.progress), trial.rng)
            next_obs, reward, terminated, truncated, _ = env.step(action)
            step = Transition(obs, action, float(reward), 0.0 if terminated else 1.0, next_obs)
            model.remember(step)
            learn_(q, [step, *model.recall(config.planning_steps, trial.rng)], config)
            obs, ended = next_obs, terminated or truncated
