"""Sarsa (Rummery & Niranjan, 1994, CUED/F-INFENG/TR 166; named by Sutton, 1996).

Learns the value of what it does, exploration included: a successor is worth what the action that will really
be taken there is worth. Beside a cliff it therefore keeps its distance where Q-learning walks the edge.

    Q(s, a) ← Q(s, a) + α [r + γ d Q(s′, a′) − Q(s, a)],   d = 0 where the MDP terminated, else 1

Departures from the paper: a table for the paper's neural network, and ε-greedy for its Boltzmann exploration.
Evaluation is greedy although the table holds values of the ε-greedy policy.
"""

from dataclasses import dataclass

from harness.api import Fraction, Trial
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Table, Transition, epsilon_greedy, move_, td_target, zero_table


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Sarsa."""

    discount: Fraction = 0.99  # γ, per step
    learning_rate: Fraction = 0.1  # α, share of the error removed by one update
    epsilon: Linear = Linear(0.1, 0.1)  # probability of a random action


def target(q: Table, step: Transition, next_action: int, discount: float) -> float:
    """R + γ d Q(s′, a′)."""
    return td_target(step, q[step.next_obs][next_action], discount)


def train(trial: Trial, config: Config) -> None:
    """One update per step, once the next action is known."""
    env = trial.make_env()
    q = zero_table(env)
    trial.policy = Greedy(q)

    def choose(obs: int) -> int:
        return epsilon_greedy(q[obs], config.epsilon(trial.progress), trial.rng)

    while trial.within_budget:
        obs, _ = env.reset()
        action = choose(obs)
        ended = False
        while not ended:
            next_obs, reward, terminated, truncated, _ = env.step(action)
            next_action = choose(next_obs)  # once: what is learnt from is what is done
            step = Transition(obs, action, float(reward), 0.0 if terminated else 1.0, next_obs)
            move_(q, step, target(q, step, next_action, config.discount), config.learning_rate)
            obs, action, ended = next_obs, next_action, terminated or truncated
