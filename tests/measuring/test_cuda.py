"""Every algorithm that declares a GPU trains on one, where there is one."""

import importlib

import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
DEEP = [spec for spec in harness_algorithms.harness_algorithms() if "cuda" in spec.devices]
STEPS = 200
SHORT = {"learning_starts": 20, "rollout_length": 16, "minibatches": 2, "value_minibatches": 2, "batch_size": 16}
SHORT |= {"random_steps": 50, "horizon": 3, "meta_steps": 1, "rollouts": 2, "candidates": 10}
SHORT |= {"fitting": {"epochs": 2}, "model_updates": 5}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("environment", ["cartpole", "pendulum", "pixel-catch"])
@pytest.mark.parametrize("spec", DEEP, ids=lambda spec: spec.name)
def test_an_algorithm_trains_on_a_gpu_and_the_same_twice(spec, environment):
    acts = "Box" if environment == "pendulum" else "Discrete"
    if acts not in spec.action_spaces:
        pytest.skip(f"{spec.name} does not act in {acts}")
    if spec.known and ENVIRONMENTS[environment].known is None:
        pytest.skip(f"{spec.name} has to know more of {environment}")
    module = importlib.import_module(spec.target)
    known = {name: value for name, value in SHORT.items() if name in module.Config.__dataclass_fields__}
    returns = []
    for _ in range(2):
        trial = local_trial(ENVIRONMENTS[environment], (0, 1), STEPS, device="cuda", views=spec.views)
        run_training(trial, module.train, resolve_config(module.Config, known))
        assert trial.steps == STEPS
        returns.append([[episode.value for episode in run.evaluations] for run in trial.runs])
    assert returns[0] == returns[1]
