"""n-step Sarsa (Sutton & Barto, 2018, section 7.2).

Sarsa that waits: n rewards are seen before the rest is taken from the table. n = 1 is Sarsa; n beyond the
longest episode is Monte-Carlo control.

    Q(sₜ, aₜ) ← Q(sₜ, aₜ) + α [rₜ + γ rₜ₊₁ + … + γⁿ⁻¹ rₜ₊ₙ₋₁ + γⁿ Q(sₜ₊ₙ, aₜ₊ₙ) − Q(sₜ, aₜ)]

Where an episode terminates the sum ends there; where a time limit cuts it, what would follow is taken from
the table after fewer than n rewards.

Departures from the book: the updates that an episode's end releases all take the same Q(s_T, a_T), where the
book would read it afresh for each, a difference only where (s_T, a_T) is itself among the updated pairs.
"""

from dataclasses import dataclass

from harness.api import Fraction, Trial
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Transition, epsilon_greedy, move_, returns, zero_table


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of n-step Sarsa."""

    discount: Fraction = 0.99  # γ, per step
    learning_rate: Fraction = 0.1  # α, share of the error removed by one update
    n: int = 4  # rewards seen before the table is asked, 1 or more
    epsilon: Linear = Linear(0.1, 0.1)  # probability of a random action

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be 1 or more, not {self.n!r}")


def train(trial: Trial, config: Config) -> None:
    """One update per step, n − 1 steps late; the end of an episode brings those still due."""
    env = trial.make_env()
    q = zero_table(env)
    trial.policy = Greedy(q)

    def choose(obs: int) -> int:
        return epsilon_greedy(q[obs], config.epsilon(trial.progress), trial.rng)

    while trial.within_budget:
        window: list[Transition] = []  # steps not yet learnt from, at most n
        obs, _ = env.reset()
        action = choose(obs)
        ended = False
        while not ended:
            next_obs, reward, terminated, truncated, _ = env.step(action)
            next_action = choose(next_obs)  # once: what is learnt from is what is done
            window.append(Transition(obs, action, float(reward), 0.0 if terminated else 1.0, next_obs))
            ended = terminated or truncated
            if ended or len(window) == config.n:
                targets = returns(window, q[next_obs][next_action], config.discount)
                due = len(window) if ended else 1
                for step, target in zip(window[:due], targets[:due], strict=True):
                    move_(q, step, target, config.learning_rate)
                del window[:due]
            obs, action = next_obs, next_action
