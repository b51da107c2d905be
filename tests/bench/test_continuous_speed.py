"""Updates per second of DDPG, TD3 and SAC beside Stable-Baselines3's, on one core with the same hyper-parameters.

Bars, in steps of all seeds per second of processor time: 1.0 times at one seed, 1.2 times at ten in lockstep. Products
of matrices bound both: ``gemm_share`` is the share of the rate of `torch.bmm` alone, at the shapes of the largest
layers, that training reaches. Ratios are taken within one run of this file, since machines differ.
"""

from collections.abc import Iterator
from statistics import median
from time import process_time
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from harness.contract.specs import EnvironmentSpec
from harness.measuring.description import TrialDescription
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import ddpg, sac, td3

STEPS = 250
STARTS = 100
UNITS = 256
BATCH = 256
PENDULUM = EnvironmentSpec("pendulum", "Pendulum-v1", array="harness_environments.arrays.pendulum")
COMMON = {"hidden": (UNITS, UNITS), "batch_size": BATCH, "learning_starts": STARTS, "replay_capacity": 10_000}
CONFIGS = {ddpg: ddpg.Config(**COMMON), td3: td3.Config(**COMMON), sac: sac.Config(**COMMON)}

# Products [U, U] x [U, B] of an update's forward and backward passes; TD3's actor learns in every other one.
PRODUCTS = {ddpg: 10, td3: 9 + 5 / 2, sac: 16}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ours(algorithm: Any, num_seeds: int, steps: int) -> LocalTrial:
    # Only training, as the other side does.
    description = TrialDescription(PENDULUM, tuple(range(num_seeds)), steps, lockstep=True)
    trial = LocalTrial(description, at_mark=lambda trial: None)
    run_training(trial, algorithm.train, CONFIGS[algorithm])
    return trial


def theirs(algorithm: Any, steps: int) -> None:
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    config = CONFIGS[algorithm]
    noise = stable_baselines3.common.noise.NormalActionNoise(np.zeros(1), np.full(1, 0.1))
    model = getattr(stable_baselines3, algorithm.__name__.rpartition(".")[2].upper())(
        "MlpPolicy",
        gymnasium.make("Pendulum-v1"),
        learning_rate=config.actor_learning_rate,
        buffer_size=config.replay_capacity,
        learning_starts=STARTS,
        batch_size=BATCH,
        tau=config.tau,
        gamma=config.discount,
        train_freq=config.train_every,
        gradient_steps=config.updates,
        action_noise=None if algorithm is sac else noise,
        policy_kwargs={"net_arch": list(config.hidden)},
        device="cpu",
    )
    model.learn(steps)


def product_rate(num_seeds: int) -> float:
    """Products [S, U, U] x [S, U, B] per second of processor time."""
    left, right = torch.randn(num_seeds, UNITS, UNITS), torch.randn(num_seeds, UNITS, BATCH)
    out = torch.empty(num_seeds, UNITS, BATCH)
    number = 100 // num_seeds
    began = process_time()
    for _ in range(number):
        torch.bmm(left, right, out=out)
    return number / (process_time() - began)


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("num_seeds", [1, 10])
@pytest.mark.parametrize("algorithm", CONFIGS, ids=["ddpg", "td3", "sac"])
def test_updates_per_second_beside_stable_baselines3(benchmark, algorithm, num_seeds):
    steps = STEPS if benchmark.enabled else STARTS + 2  # a test that it runs wants no more
    baselines, rates = [], []

    def baseline() -> tuple[tuple[Any, int, int], dict[str, object]]:
        rates.append(product_rate(num_seeds))
        began = process_time()
        theirs(algorithm, steps)
        baselines.append(process_time() - began)
        return (algorithm, num_seeds, steps), {}

    trial = benchmark.pedantic(ours, setup=baseline, rounds=3, warmup_rounds=1)

    if benchmark.enabled:
        seconds = benchmark.stats.stats.median
        benchmark.extra_info["speed_ratio"] = num_seeds * median(baselines) / seconds
        products = PRODUCTS[algorithm] * (STEPS - STARTS)
        benchmark.extra_info["gemm_share"] = products / seconds / median(rates)
    assert trial.steps == steps
