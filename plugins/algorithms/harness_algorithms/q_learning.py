"""Q-learning (Watkins, 1989; Watkins & Dayan, 1992, doi:10.1007/BF00992698).

Learns the value of acting greedily while acting otherwise: a successor is worth what the best action there is
worth, whichever action is taken next. That makes it off-policy.

    Q(s, a) ← Q(s, a) + α [r + γ d maxₐ′ Q(s′, a′) − Q(s, a)],   d = 0 where the MDP terminated, else 1

Departures from the paper: the learning rate is constant, so in a stochastic environment Q hovers around Q*
instead of converging to it; exploration, which the paper leaves open, is ε-greedy.
"""

from dataclasses import dataclass

from harness.api import Fraction, Trial
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Table, Transition, epsilon_greedy, move_, td_target, zero_table


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Q-learning."""

    discount: Fraction = 0.99  # γ, per step
    learning_rate: Fraction = 0.1  # α, share of the error removed by one update
    epsilon: Linear = Linear(0.1, 0.1)  # probability of a random action


def target(q: Table, step: Transition, discount: float) -> float:
    """R + γ d maxₐ′ Q(s′, a′)."""
    return td_target(step, max(q[step.next_obs]), discount)


def train(trial: Trial, config: Config) -> None:
    """One update per step."""
    env = trial.make_env()
    q = zero_table(env)
    trial.policy = Greedy(q)
    while trial.within_budget:
        obs, _ = env.reset()
        ended = False
        while not ended:
            action = epsilon_greedy(q[obs], config.epsilon(trial.progress), trial.rng)
            next_obs, reward, terminated, truncated, _ = env.step(action)
            step = Transition(obs, action, float(reward), 0.0 if terminated else 1.0, next_obs)
            move_(q, step, target(q, step, config.discount), config.learning_rate)
            obs, ended = next_obs, terminated or truncated
