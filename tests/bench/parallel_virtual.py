"""Steps per second of A3C's eight workers in virtual time beside Stable-Baselines3's A2C with eight copies; one core.

    python tests/bench/parallel_virtual.py

In steps of all seeds per second of processor time; every round runs ours with one seed, ours with ten, and theirs,
since the speed of a machine drifts; a first round does not count. The two learn by the same settings, but not alike:
theirs acts for eight copies at once, and takes one gradient where ours takes eight, each of another θ. Nothing is
evaluated.
"""

from collections.abc import Callable
from functools import partial
from statistics import median
from time import process_time

import torch
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env

from harness.contract.specs import EnvironmentSpec
from harness.measuring.description import TrialDescription
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import a3c

STEPS, ROUNDS = 8_000, 5
CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1", array="harness_environments.arrays.cartpole")
CONFIG = a3c.Config(workers=8, rollout_length=5, entropy_weight=0.0)


def ours(num_seeds: int, steps: int) -> None:
    """A run of so many seeds."""
    description = TrialDescription(CARTPOLE, tuple(range(num_seeds)), steps, lockstep=True)
    run_training(LocalTrial(description, at_mark=lambda trial: None), a3c.train, CONFIG)


def theirs(steps: int) -> None:
    """A run of theirs."""
    A2C(
        "MlpPolicy",
        make_vec_env("CartPole-v1", CONFIG.workers),
        n_steps=CONFIG.rollout_length,
        gamma=CONFIG.discount,
        ent_coef=0.0,
        vf_coef=CONFIG.value_weight,
        rms_prop_eps=CONFIG.rms_epsilon,
        policy_kwargs={"net_arch": list(CONFIG.hidden)},
        device="cpu",
    ).learn(steps)


def main(steps: int = STEPS, rounds: int = ROUNDS) -> None:
    """Print medians and ratios."""
    torch.set_num_threads(1)
    sides: dict[str, tuple[int, Callable[[int], None]]] = {
        "A3C, 1 seed": (1, partial(ours, 1)),
        "A3C, 10 seeds at once": (10, partial(ours, 10)),
        "A2C of Stable-Baselines3": (1, theirs),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, (num_seeds, run) in sides.items():
            began = process_time()
            run(steps)
            if number:
                rates[name].append(num_seeds * steps / (process_time() - began))
    *_, their_rates = rates.values()
    print(f"{steps:,} steps of every seed, {rounds} rounds")
    print("                           steps/s   median ratio   least to most")
    for name, found in rates.items():
        ratios = sorted(x / y for x, y in zip(found, their_rates, strict=True))
        print(f"{name:25}{median(found):9,.0f}{median(ratios):15.2f}{ratios[0]:9.2f} to {ratios[-1]:.2f}")


if __name__ == "__main__":
    main()
