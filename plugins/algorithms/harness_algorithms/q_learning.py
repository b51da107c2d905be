"""Q-learning (Watkins, 1989; Watkins & Dayan, 1992, doi:10.1007/BF00992698).

Learns the value of acting greedily while acting otherwise: the successor is worth what the best action there
is worth, whichever action is taken next. That makes it off-policy.

    Q(s, a) ← Q(s, a) + α [r + γ maxₐ′ Q(s′, a′) − Q(s, a)]

Departures from the paper: the learning rate is constant, so in a stochastic environment Q hovers around Q*
instead of converging to it; exploration, which the paper leaves open, is ε-greedy.
"""

from dataclasses import dataclass

from harness.api import Trial
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Table, epsilon_greedy, td_error, zero_table


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; a preset names every field it changes."""

    discount: float = 0.99  # γ, per step
    learning_rate: float = 0.1  # α, share of the error removed by one update
    epsilon: Linear = Linear(0.1, 0.1)  # probability of a random action


def update_(
    q: Table, obs: int, action: int, reward: float, discount: float, next_obs: int, learning_rate: float
) -> None:
    """Q(s, a) ← Q(s, a) + α [r + γ maxₐ′ Q(s′, a′) − Q(s, a)], in place.

    Args:
        q: table, [O][A].
        obs: s.
        action: a.
        reward: r.
        discount: γ, or 0 where the MDP terminated.
        next_obs: s′.
        learning_rate: α.
    """
    row = q[obs]
    row[action] += learning_rate * td_error(row[action], reward, discount, max(q[next_obs]))


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
            discount = 0.0 if terminated else config.discount
            update_(q, obs, action, float(reward), discount, next_obs, config.learning_rate)
            obs, ended = next_obs, terminated or truncated
