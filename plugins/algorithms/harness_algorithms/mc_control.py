"""Monte-Carlo control: every-visit, on-policy, constant α (Sutton & Barto, 2018, sections 5.4 and 6.1).

Learns from what an episode really brought, at its end and from no estimate. Unbiased, and noisy in proportion
to the episode's length.

    Q(sₜ, aₜ) ← Q(sₜ, aₜ) + α [Gₜ − Q(sₜ, aₜ)],   Gₜ = rₜ + γ Gₜ₊₁

Departures from the book: a constant learning rate replaces the mean over all returns, so that early returns of
a worse policy are forgotten; a time limit is no end of the MDP, so the return it cuts off is estimated by
Q(s_T, a_T). An episode that the budget cuts off teaches nothing.
"""

from dataclasses import dataclass

from harness.api import Fraction, Trial
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.tabular import Greedy, Transition, epsilon_greedy, move_, returns, zero_table


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Monte-Carlo control."""

    discount: Fraction = 0.99  # γ, per step
    learning_rate: Fraction = 0.1  # α, share of the error removed by one update
    epsilon: Linear = Linear(0.1, 0.1)  # probability of a random action


def train(trial: Trial, config: Config) -> None:
    """As many updates as an episode had steps, at its end."""
    env = trial.make_env()
    q = zero_table(env)
    trial.policy = Greedy(q)

    def choose(obs: int) -> int:
        return epsilon_greedy(q[obs], config.epsilon(trial.progress), trial.rng)

    while trial.within_budget:
        episode: list[Transition] = []
        obs, _ = env.reset()
        ended = False
        while not ended:
            action = choose(obs)
            next_obs, reward, terminated, truncated, _ = env.step(action)
            episode.append(Transition(obs, action, float(reward), 0.0 if terminated else 1.0, next_obs))
            obs, ended = next_obs, terminated or truncated
        tail = q[obs][choose(obs)]  # without effect where the MDP terminated
        for step, target in zip(episode, returns(episode, tail, config.discount), strict=True):
            move_(q, step, target, config.learning_rate)
