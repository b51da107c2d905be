"""Expected Sarsa (van Seijen, van Hasselt, Whiteson & Wiering, 2009, doi:10.1109/ADPRL.2009.4927542).

Sarsa without the chance in its target: a successor is worth the mean over the actions that might be taken
there. It learns the same values with less variance, and with ε = 0 it is Q-learning.

    Q(s, a) ← Q(s, a) + α [r + γ d Σₐ′ π(a′|s′) Q(s′, a′) − Q(s, a)],   d = 0 where the MDP terminated, else 1

Departures from the paper: none. Evaluation is greedy although the table holds values of the ε-greedy policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.api import Fraction, Trial
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Table, Transition, epsilon_greedy, move_, td_target, zero_table


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Expected Sarsa."""

    discount: Fraction = 0.99  # γ, per step
    learning_rate: Fraction = 0.1  # α, share of the error removed by one update
    epsilon: Linear = Linear(0.1, 0.1)  # probability of a random action, also in the target


def expected_value(row: Sequence[float], epsilon: float) -> float:
    """Σₐ π(a) Q(a) = (1 − ε) maxₐ Q(a) + ε meanₐ Q(a) of the ε-greedy policy π, for action values [A]."""
    return (1 - epsilon) * max(row) + epsilon * (sum(row) / len(row))


def target(q: Table, step: Transition, epsilon: float, discount: float) -> float:
    """R + γ d Σₐ′ π(a′|s′) Q(s′, a′)."""
    return td_target(step, expected_value(q[step.next_obs], epsilon), discount)


def train(trial: Trial, config: Config) -> None:
    """One update per step."""
    env = trial.make_env()
    q = zero_table(env)
    trial.policy = Greedy(q)
    while trial.within_budget:
        obs, _ = env.reset()
        ended = False
        while not ended:
            epsilon = config.epsilon(trial.progress)
            action = epsilon_greedy(q[obs], epsilon, trial.rng)
            next_obs, reward, terminated, truncated, _ = env.step(action)
            step = Transition(obs, action, float(reward), 0.0 if terminated else 1.0, next_obs)
            move_(q, step, target(q, step, epsilon, config.discount), config.learning_rate)
            obs, ended = next_obs, terminated or truncated
