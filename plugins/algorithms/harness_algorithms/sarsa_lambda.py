"""Sarsa(λ) with replacing traces (Rummery & Niranjan, 1994; Singh & Sutton, 1996, doi:10.1007/BF00114726).

One error teaches every pair that led to it, the more recent the more: λ = 0 is Sarsa, and λ = 1 comes near to
Monte Carlo. After each step with error δ = r + γ d Q(s′, a′) − Q(s, a):

    E(s, a) ← 1,  E(s, other) ← 0;    Q ← Q + α δ E;    E ← γ λ E

Departures from the paper: a table for its tile coding. Evaluation is greedy although the table holds values of
the ε-greedy policy.
"""

from dataclasses import dataclass

from harness.api import Fraction, Trial
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Table, Transition, epsilon_greedy, td_target, zero_table

Traces = dict[int, tuple[int, float]]
"""For every state of the episode its latest action and that pair's eligibility; all other pairs have none."""


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Sarsa(λ)."""

    discount: Fraction = 0.99  # γ, per step
    learning_rate: Fraction = 0.1  # α, share of the error removed by one update
    lambda_: Fraction = 0.9  # λ, eligibility kept per step, besides γ
    epsilon: Linear = Linear(0.1, 0.1)  # probability of a random action


def learn_(q: Table, traces: Traces, step: Transition, next_action: int, config: Config) -> None:
    """One step's update of the table and then of the traces, both in place.

    Args:
        q: table, [O][A].
        traces: of the episode so far.
        step: the transition.
        next_action: a′, the action to be taken next.
        config: γ, α and λ.
    """
    target = td_target(step, q[step.next_obs][next_action], config.discount)
    correction = config.learning_rate * (target - q[step.obs][step.action])
    decay = config.discount * config.lambda_
    traces[step.obs] = step.action, 1.0
    for obs, (action, eligibility) in traces.items():
        q[obs][action] += correction * eligibility
        traces[obs] = action, decay * eligibility


def train(trial: Trial, config: Config) -> None:
    """One update per step, of every state of the episode; a new episode starts without traces."""
    env = trial.make_env()
    q = zero_table(env)
    trial.policy = Greedy(q)

    def choose(obs: int) -> int:
        return epsilon_greedy(q[obs], config.epsilon(trial.progress), trial.rng)

    while trial.within_budget:
        traces: Traces = {}
        obs, _ = env.reset()
        action = choose(obs)
        ended = False
        while not ended:
            next_obs, reward, terminated, truncated, _ = env.step(action)
            next_action = choose(next_obs)  # once: what is learnt from is what is done
            step = Transition(obs, action, float(reward), 0.0 if terminated else 1.0, next_obs)
            learn_(q, traces, step, next_action, config)
            obs, action, ended = next_obs, next_action, terminated or truncated
