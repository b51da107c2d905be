"""A run is a function of its own seed, bit for bit: whatever seeds train beside it, and in whichever row."""

import importlib
from typing import Any

import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness_algorithms.blocks.dynamics import Dynamics
from harness_algorithms.parallel.virtual import VirtualBackend
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
TASKS = {"Discrete": ("cartpole", "pixel-motion"), "Box": ("pendulum", "pixel-motion-continuous")}
QUICK = "dqn"  # the one that is asked with convolutions every time
LOCKSTEP = [spec for spec in harness_algorithms.harness_algorithms() if spec.lockstep]
CASES = [
    pytest.param(
        spec, task, id=f"{spec.name}-{task}", marks=[pytest.mark.slow] * ("pixel" in task and spec.name != QUICK)
    )
    for spec in LOCKSTEP
    for space in spec.action_spaces
    for task in TASKS[space]
    if (ENVIRONMENTS[task].known or not spec.known) and not spec.game
]
# Where an algorithm has such a setting: so small that learning begins within the steps of a test.
SMALL = {
    "learning_starts": 16,
    "batch_size": 24,
    "target_every": 10,
    "replay_capacity": 320,
    "random_steps": 30,
    "models": 3,
    "elites": 2,
    "model_hidden": (32, 35),
    "fitting": {"epochs": 3, "batch_size": 16},
    "rollouts": 3,
    "horizon": 8,
    "meta_steps": 2,
    "candidates": 20,
    "fit_every": 16,
    "model_updates": 5,
    "population": 4,
    "window": 4,
    "sequence_length": 2,
    "aggregations": 2,
    "aggregation_steps": 5,
    "expert_steps": 6,
    "relabelled_steps": 3,
    "model_epochs": 2,
    "imitation_epochs": 3,
    "seeing": {"size": 3, "channels": 4, "updates": 3, "batch_size": 24},
}
ROLLOUT = 16  # steps; a few updates of each fit into a budget
HIDDEN = (64, 70)  # one after the other is at no boundary of the memory's lines
WITHOUT_OPTIMISER = ("random", "mb_mpo")  # of parameters with a row per seed; the latter logs what its policy earns
SEED, BESIDE = 7, ((3, 5, 7), (7, 1, 2, 4, 6))


def learned(spec: Any, task: str, seeds: tuple[int, ...], patch: pytest.MonkeyPatch, **more: Any) -> dict[str, Any]:
    """What a run of `SEED` among others was: episodes, evaluations, what it logged, and all its parameters."""
    parameters: list[torch.Tensor] = []
    add = torch.optim.Optimizer.add_param_group

    def kept(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> None:
        add(optimizer, group)
        parameters.extend(optimizer.param_groups[-1]["params"])

    ensembles: list[Dynamics] = []
    refresh = Dynamics.refresh

    def kept_of_models(dynamics: Dynamics) -> None:  # what fitting works on holds fewer models whenever one stops
        refresh(dynamics)
        parameters[:] = [p for p in parameters if p.shape[1:] not in {own.shape[1:] for own in dynamics.parameters}]
        ensembles[:] = [each for each in ensembles if each is not dynamics] + [dynamics]

    run_roles = VirtualBackend.run

    def kept_of_stores(backend: VirtualBackend, roles: Any, stores: Any, policy: Any) -> None:
        columns = [value for store in stores.values() for value in vars(store).values()]
        parameters.extend(v for v in columns if isinstance(v, torch.Tensor) and v.is_floating_point() and v.dim() > 1)
        run_roles(backend, roles, stores, policy)

    module = importlib.import_module(spec.target)
    fields = module.Config.__dataclass_fields__
    policy = {"hidden": HIDDEN, "rollout_length": ROLLOUT}
    small = {**SMALL, **policy, "fine_tuning": policy, **more}
    config = resolve_config(module.Config, {name: value for name, value in small.items() if name in fields})
    copies = getattr(config, "copies", getattr(config, "workers", 1))
    budget = 60 + 2 * ROLLOUT * copies
    trial = local_trial(ENVIRONMENTS[task], seeds, budget, episodes=2, lockstep=True, views=spec.views)
    with patch.context() as patched:
        patched.setattr(torch.optim.Optimizer, "add_param_group", kept)
        patched.setattr(VirtualBackend, "run", kept_of_stores)
        patched.setattr(Dynamics, "refresh", kept_of_models)
        run_training(trial, module.train, config)
    row, run = seeds.index(SEED), trial.runs[seeds.index(SEED)]
    parameters += [p.unflatten(0, (len(seeds), -1)) for each in ensembles for p in each.parameters]
    return {
        "episodes": [episode[3:] for episode in run.episodes],
        "evaluations": [episode[3:] for episode in run.evaluations],
        "diagnostics": run.diagnostics,
        "parameters": [p.detach()[row].flatten().tolist() for p in parameters if len(p) == len(seeds)],
    }


@pytest.mark.parametrize(("spec", "task"), CASES)
def test_a_seed_trained_among_others_is_bit_for_bit_what_it_is_alone(spec, task, monkeypatch):
    compare(spec, task, monkeypatch)


def test_so_it_is_with_a_memory(monkeypatch):
    (spec,) = [spec for spec in LOCKSTEP if spec.name == "a3c"]
    compare(spec, "cartpole-position", monkeypatch, memory_units=HIDDEN[1])


def test_so_it_is_where_deviations_are_of_layers(monkeypatch):
    (spec,) = [spec for spec in LOCKSTEP if spec.name == "actor_critic"]
    compare(spec, "pendulum", monkeypatch, log_std=None)


def compare(spec, task, monkeypatch, **more):
    alone = learned(spec, task, (SEED,), monkeypatch, **more)
    assert alone["evaluations"]
    assert alone["parameters"] or spec.name in WITHOUT_OPTIMISER
    for seeds in BESIDE:
        among = learned(spec, task, seeds, monkeypatch, **more)
        assert [name for name in alone if among[name] != alone[name]] == [], f"beside {seeds}"
