"""What the meter costs: a metered CartPole step beside ``gymnasium.make``'s. Bar: median ratio at most 1.05."""

from statistics import median
from time import perf_counter

import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.registration import EnvSpec

from harness.contract.specs import EnvironmentSpec
from support.trial import local_trial

STEPS = 20_000
ROUNDS = 21


class Uncounted(CartPoleEnv):
    """The steps of `CartPoleEnv` count while there is a trial; those of this class are as Gymnasium has them."""

    step = CartPoleEnv.step


def seconds(env: gymnasium.Env) -> float:
    """Time of so many steps; resets happen outside the clock."""
    total = 0.0
    env.reset(seed=0)
    taken = 0
    while taken < STEPS:
        ended = False
        began = perf_counter()
        while not ended:
            _, _, terminated, truncated, _ = env.step(taken & 1)
            taken += 1
            ended = terminated or truncated
        total += perf_counter() - began
        env.reset()
    return total


def test_metered_step_beside_a_plain_one(benchmark):
    plain = gymnasium.make(EnvSpec("Uncounted-v0", Uncounted, max_episode_steps=500))
    trial = local_trial(EnvironmentSpec("cartpole", "CartPole-v1"), budget=10**9)
    trial.policy = lambda obs: [0] * len(obs)
    metered = trial.make_env()
    ratios = []

    def pair() -> None:
        """One of each, the order swapped every time, since the machine's speed drifts."""
        if len(ratios) % 2:
            ours, theirs = seconds(metered), seconds(plain)
        else:
            theirs, ours = seconds(plain), seconds(metered)
        ratios.append(ours / theirs)

    benchmark.pedantic(pair, rounds=ROUNDS, warmup_rounds=1)

    benchmark.extra_info["median_ratio"] = median(ratios)
    assert trial.steps >= STEPS
