"""Steps per second of PPO and A2C beside Stable-Baselines3's, on one core with the same hyper-parameters.

Bars, in steps of all seeds per second of processor time: PPO 1.8 times at one seed and 5 times at ten in lockstep, A2C
1.5 and 5 times. The ratio is taken within one run of this file, since machines differ; it is recorded as
``speed_ratio``. Neither side evaluates while it trains, save ours once before and once after.
"""

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import process_time
from typing import Any

import pytest
import torch

from harness.contract.specs import EnvironmentSpec
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import a2c, ppo
from support.trial import local_trial

CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1", array="harness_environments.arrays.cartpole")
PPO = ppo.Config(copies=8, rollout_length=128, passes=4, minibatches=4, hidden=(64, 64), entropy_weight=0.01)
A2C = a2c.Config(copies=16, rollout_length=5, hidden=(64, 64), entropy_weight=0.0)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ours(algorithm: Any, config: Any, num_seeds: int, steps: int) -> LocalTrial:
    trial = local_trial(CARTPOLE, range(num_seeds), steps, lockstep=True)
    run_training(trial, algorithm.train, config)
    return trial


def shared(config: ppo.Config | a2c.Config) -> dict[str, Any]:
    """What both of the library's algorithms are told."""
    return {
        "n_steps": config.rollout_length,
        "gamma": config.discount,
        "gae_lambda": config.lambda_,
        "ent_coef": config.entropy_weight,
        "vf_coef": config.value_weight,
        "max_grad_norm": config.max_gradient_norm,
        "learning_rate": lambda remaining: config.learning_rate(1 - remaining),
        "policy_kwargs": {"net_arch": list(config.hidden)},
        "device": "cpu",
    }


def their_ppo(steps: int) -> None:
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_util import make_vec_env

    stable_baselines3.PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", PPO.copies),
        batch_size=PPO.copies * PPO.rollout_length // PPO.minibatches,
        n_epochs=PPO.passes,
        clip_range=PPO.clip.start,
        **shared(PPO),
    ).learn(steps)


def their_a2c(steps: int) -> None:
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_util import make_vec_env

    stable_baselines3.A2C(
        "MlpPolicy", make_vec_env("CartPole-v1", A2C.copies), rms_prop_eps=A2C.rms_epsilon, **shared(A2C)
    ).learn(steps)


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("num_seeds", [1, 10])
@pytest.mark.parametrize(
    ("algorithm", "config", "theirs", "steps"),
    [(ppo, PPO, their_ppo, 8_192), (a2c, A2C, their_a2c, 8_000)],
    ids=["ppo", "a2c"],
)
def test_steps_per_second_beside_stable_baselines3(
    benchmark: Any, algorithm: Any, config: Any, theirs: Callable[[int], None], steps: int, num_seeds: int
) -> None:
    baselines = []
    if not benchmark.enabled:
        steps = config.copies * config.rollout_length

    def baseline() -> None:
        began = process_time()
        theirs(steps)
        baselines.append(process_time() - began)

    trial = benchmark.pedantic(
        partial(ours, algorithm, config, num_seeds, steps), setup=baseline, rounds=3, warmup_rounds=1
    )

    if benchmark.enabled:
        ratio = num_seeds * median(baselines[1:]) / benchmark.stats.stats.median
        benchmark.extra_info["speed_ratio"] = ratio
    assert trial.steps == steps
