"""Steps per second of DQN and Double DQN beside Stable-Baselines3's DQN, on one core with the same hyper-parameters.

Bars, in steps of all seeds per second of processor time: 1.5 times at one seed, 4 times at ten in lockstep.
The ratio is taken within one run of this file, since machines differ; it is recorded as ``speed_ratio``.
"""

from collections.abc import Iterator
from statistics import median
from time import process_time
from types import ModuleType

import gymnasium
import pytest
import torch

from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import double_dqn, dqn
from harness_environments.catalogue import GYMNASIUM_TASKS
from support.trial import local_trial

STEPS = 1_000
(CARTPOLE,) = [task for task in GYMNASIUM_TASKS if task.name == "cartpole"]  # an array in lockstep
SETTINGS = dict(
    hidden=(120, 84),
    learning_rate=2.5e-4,
    batch_size=128,
    replay_capacity=10_000,
    learning_starts=100,
    train_every=1,
    updates=1,
    target_every=500,
    max_gradient_norm=10.0,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ours(algorithm: ModuleType, num_seeds: int) -> LocalTrial:
    trial = local_trial(CARTPOLE, range(num_seeds), STEPS, lockstep=True)
    run_training(trial, algorithm.train, algorithm.Config(**SETTINGS))
    return trial


def theirs() -> None:
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    config = dqn.Config(**SETTINGS)
    model = stable_baselines3.DQN(
        "MlpPolicy",
        gymnasium.make("CartPole-v1"),
        learning_rate=config.learning_rate,
        buffer_size=config.replay_capacity,
        learning_starts=config.learning_starts,
        batch_size=config.batch_size,
        gamma=config.discount,
        train_freq=config.train_every,
        gradient_steps=config.updates,
        target_update_interval=config.target_every,
        max_grad_norm=config.max_gradient_norm,
        exploration_fraction=config.epsilon.until,
        exploration_final_eps=config.epsilon.end,
        policy_kwargs={"net_arch": list(config.hidden)},
        device="cpu",
    )
    model.learn(STEPS)


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("num_seeds", [1, 10])
@pytest.mark.parametrize("algorithm", [dqn, double_dqn], ids=["dqn", "double_dqn"])
def test_steps_per_second_beside_stable_baselines3(benchmark, algorithm, num_seeds):
    baselines = []

    def baseline() -> tuple[tuple[ModuleType, int], dict[str, object]]:
        began = process_time()
        theirs()
        baselines.append(process_time() - began)
        return (algorithm, num_seeds), {}

    trial = benchmark.pedantic(ours, setup=baseline, rounds=3)

    if benchmark.enabled:
        benchmark.extra_info["speed_ratio"] = num_seeds * median(baselines) / benchmark.stats.stats.median
    assert trial.steps == STEPS
