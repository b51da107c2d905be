import json
import math
from pathlib import Path

import pytest

from harness.api import EnvironmentSpec
from harness.contract.specs import AlgorithmSpec
from harness.measuring.description import TrialDescription
from harness.running.describe import ConfigRequest, describe_targets

GOOD = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    learning_rate: float = 1
    steps: int = 10

def train(trial, config):
    pass
"""
MODULES = {
    "fine": GOOD,
    "prints": "print('hello')\nimport sys; print('hello', file=sys.stderr)\n" + GOOD,
    "raises": "raise RuntimeError('not today')",
    "exits": "import sys; sys.exit('bye')",
    "vanishes": "import os; os._exit(0)",
    "segfaults": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "import time; time.sleep(600)",
    "no_train": "Config = None",
    "no_config": "def train(trial, config): pass",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    for name, text in MODULES.items():
        (tmp_path / f"described_{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


def request(name: str, *layers: dict[str, object]) -> ConfigRequest:
    return ConfigRequest(name, AlgorithmSpec(name, f"described_{name}", "1"), layers)


def test_one_bad_module_loses_no_other(modules, capfd):
    names = ["fine", "raises", "exits", "vanishes", "prints", "segfaults", "no_train", "no_config", "fine"]
    configs = describe_targets([request(name) for name in names]).configs
    assert [description.id for description in configs] == names
    found = {description.id: description for description in configs}
    for name in ("fine", "prints"):
        assert found[name].config == {"learning_rate": 1.0, "steps": 10}
        assert found[name].error == ""
    assert found["raises"].error == "RuntimeError: not today"
    assert found["exits"].error == "SystemExit: bye"
    assert "exit code 0" in found["vanishes"].error
    assert "SIGSEGV" in found["segfaults"].error
    assert "no train" in found["no_train"].error
    assert "no Config" in found["no_config"].error
    assert capfd.readouterr() == ("", "")


def test_a_module_that_hangs_is_given_up(modules):
    assert "longer than 1 s" in describe_targets([request("hangs")], time_limit=1).configs[0].error


def test_layers_are_applied_and_mistakes_named(modules):
    good, bad = describe_targets([request("fine", {"steps": 3}, {"steps": 4}), request("fine", {"stps": 3})]).configs
    assert good.config == {"learning_rate": 1.0, "steps": 4}
    assert "did you mean 'steps'?" in bad.error


def test_environments_are_made_and_their_spaces_named():
    environments = describe_targets(
        [],
        {
            "cartpole": EnvironmentSpec("cartpole", "CartPole-v1"),
            "cliff": EnvironmentSpec("cliff", "CliffWalking-v1", max_episode_steps=200),
            "typo": EnvironmentSpec("typo", "CartPol-v1"),
            "argument": EnvironmentSpec("argument", "CartPole-v1", kwargs={"nonsense": 1}),
            "absent": EnvironmentSpec("absent", "Absent-v0", imports=("described_nowhere",)),
        },
    ).environments
    found = {description.id: description for description in environments}
    assert (found["cartpole"].observation_space, found["cartpole"].action_space) == ("Box", "Discrete")
    assert (found["cliff"].observation_space, found["cliff"].action_space) == ("Discrete", "Discrete")
    assert "CartPole" in found["typo"].error
    assert "nonsense" in found["argument"].error
    assert "described_nowhere" in found["absent"].error


def test_nothing_asked_starts_no_process(monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)
    assert describe_targets([]) == ([], [])


def test_a_subclass_of_a_space_counts_as_that_space(modules, tmp_path):
    (tmp_path / "described_spaces.py").write_text("""
import gymnasium
class Angle(gymnasium.spaces.Box):
    pass
class Env(gymnasium.Env):
    observation_space = Angle(-1, 1)
    action_space = gymnasium.spaces.Discrete(2)
gymnasium.register("Angle-v0", "described_spaces:Env", max_episode_steps=5)
""")
    spec = EnvironmentSpec("angle", "Angle-v0", imports=("described_spaces",))
    assert describe_targets([], {"angle": spec}).environments[0].observation_space == "Box"


def test_a_slow_request_behind_others_is_not_called_hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    code = "import dataclasses, time\ntime.sleep(1)\n@dataclasses.dataclass(frozen=True)\nclass Config: x: int = 1\n"
    for i in range(4):
        (tmp_path / f"slow_module_{i}.py").write_text(code + "def train(trial, config): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    requests = [ConfigRequest(f"slow-{i}", AlgorithmSpec("slow", f"slow_module_{i}", "1")) for i in range(4)]
    answers = describe_targets(requests, time_limit=3.5).configs
    assert [answer.error for answer in answers] == [""] * 4


def test_the_process_that_makes_an_environment_is_told_its_arguments_exactly(tmp_path, monkeypatch):
    (tmp_path / "described_arguments.py").write_text("""
import gymnasium
class Env(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1)
    action_space = gymnasium.spaces.Discrete(2)
    def __init__(self, **given):
        raise ValueError(repr(given))
gymnasium.register("Arguments-v0", Env, max_episode_steps=5)
""")
    monkeypatch.syspath_prepend(tmp_path)
    given = {"tiles": {0: "floor", 1: "wall"}, "range": (0.7, float("inf"))}

    (found,) = describe_targets(
        [], {"it": EnvironmentSpec("it", "Arguments-v0", imports=("described_arguments",), kwargs=given)}
    ).environments

    assert repr(given) in found.error


def test_presets_are_told_as_they_are_and_keys_that_are_no_text_refused_by_name(modules):
    right, wrong, endless = describe_targets(
        [
            request("fine", {"steps": 3}),
            request("fine", {"steps": {1: 2}}),
            request("fine", {"learning_rate": math.inf}),
        ]
    ).configs

    assert right.config == {"learning_rate": 1.0, "steps": 3}
    assert "key 1 must be text" in wrong.error
    assert "learning_rate: inf has no form in JSON" in endless.error


def test_the_job_of_a_trial_is_told_its_environment_exactly():
    spec = EnvironmentSpec("it", "Arguments-v0", kwargs={"tiles": {0: "floor"}, "range": (0.7, math.inf)})
    told = TrialDescription(spec, config={"sizes": [1, 2]})

    assert TrialDescription.from_json(json.loads(json.dumps(told.to_json(), allow_nan=False))) == told
