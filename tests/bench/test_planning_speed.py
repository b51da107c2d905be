"""Plans per second of CEM beside those of TorchRL's `CEMPlanner`; ensembles fitted in lockstep beside one by one.

Bars: 350 candidates, 15 steps, 5 iterations, a model of 64-64 units: as many plans per second of processor time on one
core at one seed 2 times, at ten seeds 8 times. An ensemble of 5 (200-200) on 10,000 transitions: ten seeds in lockstep
3 times as fast as one after the other. Ratios are taken within one run of this file.
"""

import contextlib
from collections.abc import Callable, Iterator
from statistics import median
from time import process_time
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from harness_algorithms.blocks.dynamics import Fitting, fit, make_dynamics
from harness_algorithms.blocks.planning import CEM, BoxActions, Draw, Planner, Task, trajectory_sampling

HORIZON, CANDIDATES, ITERATIONS, ELITE = 15, 350, 5, 35
OBS, ACTION, UNITS = 4, 1, 64
PLANS = 10
CPU = torch.device("cpu")
SPACE = gymnasium.spaces.Box(-1.0, 1.0, (ACTION,), np.float32)


class Uncounted:
    """What a planner asks of a trial."""

    device = CPU

    def simulated(self, steps: int) -> None:
        pass

    def planning(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def generators(num_seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(num_seeds)]


def ours(num_seeds: int) -> Callable[[], None]:
    dynamics = make_dynamics(OBS, ACTION, (UNITS, UNITS), generators(num_seeds))
    actions = BoxActions(SPACE, CPU)
    model = trajectory_sampling(dynamics, actions, generators(num_seeds))
    task = Task(model, lambda s, a, n: -n[..., 0].square(), lambda s, a, n: n[..., 0].abs() > 1e6, actions)
    optimiser = CEM(CANDIDATES, ITERATIONS, ELITE / CANDIDATES, 0.1)
    planner = Planner(Uncounted(), task, optimiser, HORIZON, Draw(generators(num_seeds), CANDIDATES))
    planner.reset(torch.ones(num_seeds, 1, dtype=torch.bool))
    obs = torch.zeros(num_seeds, 1, OBS)

    def plan() -> None:
        for _ in range(PLANS):
            planner.act(obs)

    return plan


def theirs() -> Callable[[], None]:
    pytest.importorskip("torchrl")
    from tensordict import TensorDict
    from tensordict.nn import TensorDictModule
    from torchrl.data import Composite, Unbounded
    from torchrl.envs import ModelBasedEnvBase
    from torchrl.modules import CEMPlanner, WorldModelWrapper

    layers: list[torch.nn.Module] = [torch.nn.Linear(OBS + ACTION, UNITS), torch.nn.ReLU()]
    layers += [torch.nn.Linear(UNITS, UNITS), torch.nn.ReLU(), torch.nn.Linear(UNITS, OBS)]
    network = torch.nn.Sequential(*layers)

    class Transition(torch.nn.Module):
        def forward(self, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return obs + network(torch.cat((obs, action), -1))

    class Reward(torch.nn.Module):
        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            return -obs[..., :1].square()

    class Model(ModelBasedEnvBase):  # type: ignore[misc]
        def __init__(self, world: Any) -> None:
            super().__init__(world, device="cpu", batch_size=torch.Size([]))
            self.observation_spec = Composite(obs=Unbounded((OBS,)))
            self.state_spec = Composite(obs=Unbounded((OBS,)))
            self.action_spec = Unbounded((ACTION,))
            self.reward_spec = Unbounded((1,))

        def _reset(self, tensordict: Any, **kwargs: Any) -> Any:
            return TensorDict({"obs": torch.zeros(OBS)}, [])

    world = WorldModelWrapper(
        TensorDictModule(Transition(), in_keys=["obs", "action"], out_keys=["obs"]),
        TensorDictModule(Reward(), in_keys=["obs"], out_keys=["reward"]),
    )
    planner = CEMPlanner(
        Model(world), planning_horizon=HORIZON, optim_steps=ITERATIONS, num_candidates=CANDIDATES, top_k=ELITE
    )
    start = TensorDict({"obs": torch.zeros(1, OBS)}, [1])

    def plan() -> None:
        with torch.no_grad():
            for _ in range(PLANS):
                planner(start.clone())

    return plan


@pytest.mark.benchmark(timer=process_time)
@pytest.mark.parametrize("num_seeds", [1, 10])
def test_plans_per_second_beside_torchrl(benchmark, num_seeds):
    plan, their_plan, baselines = ours(num_seeds), theirs(), []

    def baseline() -> None:
        began = process_time()
        their_plan()
        baselines.append(process_time() - began)

    benchmark.pedantic(plan, setup=baseline, rounds=3, warmup_rounds=1)

    if benchmark.enabled:
        benchmark.extra_info["speed_ratio"] = num_seeds * median(baselines[1:]) / benchmark.stats.stats.median


def fitted(num_seeds: int, transitions: int, epochs: int) -> None:
    obs, action = torch.randn(num_seeds, transitions, OBS), torch.randn(num_seeds, transitions, ACTION)
    dynamics = make_dynamics(OBS, ACTION, (200, 200), generators(num_seeds), members=5)
    fitting = Fitting(epochs=epochs, batch_size=256, persistency=1.0)
    fit(dynamics, obs, action, obs + obs.sin(), generators(num_seeds), fitting)


@pytest.mark.benchmark(timer=process_time)
def test_fitting_in_lockstep_beside_one_by_one(benchmark):
    size = (10_000, 1) if benchmark.enabled else (300, 1)
    baselines = []

    def baseline() -> None:
        began = process_time()
        for _ in range(10):
            fitted(1, *size)
        baselines.append(process_time() - began)

    benchmark.pedantic(fitted, (10, *size), setup=baseline, rounds=1, warmup_rounds=0)

    if benchmark.enabled:
        benchmark.extra_info["speed_ratio"] = median(baselines) / benchmark.stats.stats.median
