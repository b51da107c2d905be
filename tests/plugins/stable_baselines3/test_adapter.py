"""The Stable-Baselines3 plugin: exact budgets, pairing seeds, evaluation without side effects, honest declarations."""

import functools
import importlib
import importlib.metadata
import inspect
import pkgutil
import subprocess
import sys
import tempfile
from dataclasses import fields
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

import harness_algorithms
import harness_stable_baselines3 as plugin
from harness.api import AlgorithmSpec, EnvironmentSpec
from harness.contract.errors import MissingPlugin
from harness.discovery.config import resolve_config
from harness.discovery.registry import Registry
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import ppo
from harness_algorithms.blocks.schedules import Linear
from harness_stable_baselines3.adapter import POLICY_ARGUMENTS
from support.trial import local_trial

SPECS = {spec.name: spec for spec in plugin.harness_algorithms()}
CONTRIB = ("trpo", "qrdqn")
BUDGET = 131  # prime, so that no rollout length divides it

CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1")
PENDULUM = EnvironmentSpec("pendulum", "Pendulum-v1", max_episode_steps=17)

OFF_POLICY = {"net_arch": [8], "buffer_size": 500, "learning_starts": 20, "batch_size": 8}
CASES: dict[str, tuple[str, EnvironmentSpec, dict[str, Any]]] = {
    "dqn": ("dqn", CARTPOLE, {**OFF_POLICY, "target_update_interval": 10}),
    "dqn of 3 copies": ("dqn", CARTPOLE, {**OFF_POLICY, "copies": 3, "n_steps": 2}),
    "qrdqn": ("qrdqn", CARTPOLE, {**OFF_POLICY, "n_quantiles": 5}),
    "a2c": ("a2c", CARTPOLE, {"net_arch": [8], "n_steps": 7}),
    "a2c of 4 copies": ("a2c", PENDULUM, {"net_arch": [8], "copies": 4, "normalize": True}),
    "ppo": ("ppo", CARTPOLE, {"net_arch": [8], "n_steps": 32, "batch_size": 16, "n_epochs": 2}),
    "ppo, normalized": (
        "ppo",
        PENDULUM,
        {"net_arch": [8], "copies": 3, "n_steps": 10, "batch_size": 15, "normalize": True, "use_sde": True},
    ),
    "trpo": ("trpo", CARTPOLE, {"net_arch": [8], "n_steps": 32, "batch_size": 16}),
    "ddpg": ("ddpg", PENDULUM, {**OFF_POLICY, "train_freq": 4, "noise_std": 0.1}),
    "td3": ("td3", PENDULUM, {**OFF_POLICY, "train_freq": 4, "noise_type": "ornstein-uhlenbeck", "noise_std": 0.5}),
    "sac": ("sac", PENDULUM, {**OFF_POLICY, "train_freq": 4}),
    "sac, state-dependent": ("sac", PENDULUM, {**OFF_POLICY, "train_freq": 4, "use_sde": True}),
}


class Trained(NamedTuple):
    trial: LocalTrial
    model: BaseAlgorithm

    @property
    def stream(self) -> list[tuple[Any, ...]]:
        """Training episodes without their times."""
        return [e._replace(train_seconds=0.0) for e in self.trial.runs[0].episodes]

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        return self.model.policy.state_dict()


def adapter(name: str) -> Any:
    if name in CONTRIB:
        pytest.importorskip("sb3_contrib", reason="only these two need it")
    return importlib.import_module(SPECS[name].target)


def train(name: str, environment: EnvironmentSpec, overrides: dict[str, Any], **trial_kwargs: Any) -> Trained:
    """Train one algorithm and get hold of the model inside."""
    module = adapter(name)
    trial = local_trial(environment, **{"budget": BUDGET, "points": 4, "episodes": 2, **trial_kwargs})
    models: list[BaseAlgorithm] = []
    original = BaseAlgorithm._setup_learn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            BaseAlgorithm, "_setup_learn", lambda self, *a, **k: (models.append(self), original(self, *a, **k))[1]
        )
        run_training(trial, module.train, resolve_config(module.Config, overrides))
    return Trained(trial, models[0])


@functools.cache
def trained(case: str, seed: int = 0, repetition: int = 0) -> Trained:
    name, environment, overrides = CASES[case]
    return train(name, environment, overrides, seeds=(seed,))


@pytest.mark.parametrize("case", CASES)
class TestEveryAlgorithm:
    def test_takes_exactly_the_budget(self, case: str) -> None:
        assert trained(case).trial.steps == BUDGET

    def test_is_told_the_true_budget(self, case: str) -> None:
        assert trained(case).model._total_timesteps == BUDGET

    def test_is_evaluated_at_0_at_the_marks_and_at_the_end(self, case: str) -> None:
        evaluations = trained(case).trial.runs[0].evaluations

        assert [e.step for e in evaluations] == [0, 0, 33, 33, 66, 66, 98, 98, BUDGET, BUDGET]

    def test_one_seed_gives_one_result(self, case: str) -> None:
        first, second = trained(case), trained(case, repetition=1)

        assert first.stream
        assert first.stream == second.stream
        assert_equal(first.parameters, second.parameters)

    def test_another_seed_gives_another_result(self, case: str) -> None:
        assert trained(case).stream != trained(case, seed=1).stream

    def test_evaluation_leaves_training_bit_identical(self, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("harness.measuring.trial.evaluate", lambda make, policy, seeds, *_: [[] for _ in seeds])
        name, environment, overrides = CASES[case]
        unseen = train(name, environment, overrides)

        assert not unseen.trial.runs[0].evaluations
        assert unseen.stream == trained(case).stream
        assert_equal(unseen.parameters, trained(case).parameters)


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_last_rollout_that_fits_the_budget_is_learnt_from() -> None:
    overrides = {"net_arch": [8], "copies": 2, "n_steps": 16, "batch_size": 32, "n_epochs": 1}
    done = train("ppo", CARTPOLE, overrides, budget=64)

    assert done.trial.steps == 64
    assert done.model._n_updates == 2


def test_a_last_rollout_cut_by_the_budget_is_not() -> None:
    overrides = {"net_arch": [8], "copies": 2, "n_steps": 16, "batch_size": 32, "n_epochs": 1}
    done = train("ppo", CARTPOLE, overrides, budget=63)

    assert done.trial.steps == 63
    assert done.model._n_updates == 1


def test_exploration_of_dqn_falls_over_its_share_of_the_budget() -> None:
    falling = {**OFF_POLICY, "exploration_fraction": 1.0, "exploration_final_eps": 0.5}

    assert train("dqn", CARTPOLE, falling, budget=50).model.exploration_rate == pytest.approx(0.5)


def test_annealed_values_reach_0_with_the_budget() -> None:
    annealed = {
        "net_arch": [8],
        "n_steps": 10,
        "batch_size": 10,
        "learning_rate": 0.1,
        "anneal_learning_rate": True,
        "anneal_clip_range": True,
    }
    model = train("ppo", CARTPOLE, annealed, budget=50).model

    assert model.lr_schedule(1.0) == 0.1
    assert model.clip_range(0.5) == 0.1
    assert model.policy.optimizer.param_groups[0]["lr"] == 0.0  # the last update came at the budget


def test_the_normalized_policy_reads_statistics_and_changes_none() -> None:
    done = trained("ppo, normalized")
    statistics = done.model.get_vec_normalize_env().obs_rms
    before = statistics.count, statistics.mean.copy(), statistics.var.copy()
    obs = np.array([[1.0, 0.0, 8.0], [-1.0, 0.0, -8.0]], np.float32)
    scaled = np.clip((obs - before[1]) / np.sqrt(before[2] + 1e-8), -10, 10).astype(np.float32)

    np.testing.assert_array_equal(done.trial.policy(obs), done.model.predict(scaled, deterministic=True)[0])
    assert statistics.count == before[0]
    np.testing.assert_array_equal(statistics.mean, before[1])
    np.testing.assert_array_equal(statistics.var, before[2])


def test_losses_become_diagnostics() -> None:
    logged = {name for _, name, _ in trained("ppo").trial.runs[0].diagnostics}

    assert {"loss", "value_loss", "entropy_loss", "approx_kl"} <= logged


def test_nothing_is_printed_and_no_file_is_written(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for case in ("ppo", "dqn"):
        train(*CASES[case])

    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


# Declarations


class Echo(gymnasium.Env[Any, Any]):
    """Pays nothing and shows random observations of any space."""

    def __init__(self, observation: str, action: str) -> None:
        self.observation_space = OBSERVATIONS[observation]
        self.action_space = ACTIONS[action]

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        return self.observation_space.sample(), 0.0, False, False, {}


SPACES = gymnasium.spaces
OBSERVATIONS = {
    "Box": SPACES.Box(-1, 1, (2, 3)),
    "image": SPACES.Box(0, 255, (36, 36, 3), np.uint8),
    "image of 3 rows": SPACES.Box(0, 255, (36, 3, 36), np.uint8),
    "image of equal sides": SPACES.Box(0, 255, (36, 36, 36), np.uint8),
    "image of few pixels": SPACES.Box(0, 255, (36, 35, 3), np.uint8),
    "Discrete": SPACES.Discrete(5),
    "MultiBinary": SPACES.MultiBinary(4),
    "MultiDiscrete": SPACES.MultiDiscrete([3, 2]),
    "Dict": SPACES.Dict({"here": SPACES.Box(-1, 1, (2,)), "there": SPACES.Discrete(3)}),
}
ACTIONS = {
    "Box": SPACES.Box(-2, 2, (2,)),
    "Discrete": SPACES.Discrete(3),
    "Discrete from 1": SPACES.Discrete(3, start=1),
    "MultiBinary": SPACES.MultiBinary(2),
    "MultiDiscrete": SPACES.MultiDiscrete([3, 2]),
}
SMALL = {name: overrides for case, (name, _, overrides) in CASES.items() if case == name}

if "harness_tests/Echo-v0" not in gymnasium.registry:
    gymnasium.register("harness_tests/Echo-v0", Echo, max_episode_steps=5)


def learns_in(name: str, observation: str, action: str) -> None:
    environment = EnvironmentSpec(
        "echo", "harness_tests/Echo-v0", kwargs={"observation": observation, "action": action}
    )
    done = train(name, environment, {**SMALL[name], "copies": 2}, budget=71, points=1)

    assert done.trial.steps == 71


@pytest.mark.parametrize(
    ("name", "action"), [(name, action) for name, spec in SPECS.items() for action in spec.action_spaces]
)
def test_acts_in_every_action_space_it_declares(name: str, action: str) -> None:
    learns_in(name, "Box", action)


@pytest.mark.parametrize("observation", [name for name in OBSERVATIONS if " of " not in name])
@pytest.mark.parametrize(("name", "action"), [("dqn", "Discrete"), ("ppo", "Discrete"), ("sac", "Box")])
def test_observes_every_space_it_declares(name: str, action: str, observation: str) -> None:
    learns_in(name, observation, action)


def test_spaces_that_do_not_count_from_0_are_refused_rather_than_misread() -> None:
    with pytest.raises(ValueError, match=r"count from 0, not Discrete\(3, start=1\)"):
        learns_in("dqn", "Box", "Discrete from 1")


@pytest.mark.parametrize("image", ["image of 3 rows", "image of equal sides", "image of few pixels"])
def test_images_whose_channels_cannot_be_told_are_refused_rather_than_misread(image: str) -> None:
    with pytest.raises(ValueError, match=r"shape \(36, .* neither \[C, H, W\] nor .* add a wrapper"):
        learns_in("dqn", image, "Discrete")
    for spec in SPECS.values():
        assert "add a wrapper" in pkgutil.resolve_name(spec.fits or "")(OBSERVATIONS[image], ACTIONS["Discrete"])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_configurations_repeat_the_library_s_names_and_defaults(spec: AlgorithmSpec) -> None:
    module = adapter(spec.name)
    algorithm: type[BaseAlgorithm] = getattr(module, spec.name.upper())
    arguments = inspect.signature(algorithm).parameters
    policy_arguments = inspect.signature(algorithm.policy_aliases["MlpPolicy"]).parameters
    own = {"copies": 1, "normalize": False, "noise_type": "normal", "noise_std": 0.0}

    for field in fields(module.Config):
        if field.name in own or field.name.startswith("anneal_"):
            assert field.default == own.get(field.name, False)
        else:
            source = policy_arguments if field.name in POLICY_ARGUMENTS else arguments
            assert field.default == source[field.name].default, field.name


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_presets_fit_their_configuration(spec: AlgorithmSpec) -> None:
    config_class = adapter(spec.name).Config

    assert all(resolve_config(config_class, preset) != config_class() for preset in spec.presets.values())


def test_presets_are_named_after_environments() -> None:
    registry = Registry.load(only={"environments"})
    environments = {entry.spec.name for entry in registry.environments.values()}
    names = {name for spec in SPECS.values() for name in spec.presets}

    assert {name.removeprefix("zoo-") for name in names} <= environments


def test_the_preset_of_the_quickstart_says_what_that_of_our_ppo_says() -> None:
    (ours,) = (spec for spec in harness_algorithms.harness_algorithms() if spec.name == "ppo")
    one = resolve_config(ppo.Config, ours.presets["cartpole"])
    other = resolve_config(adapter("ppo").Config, SPECS["ppo"].presets["cartpole"])

    assert (one.discount, one.lambda_) == (other.gamma, other.gae_lambda)
    assert (one.copies, one.rollout_length, one.passes) == (other.copies, other.n_steps, other.n_epochs)
    assert one.copies * one.rollout_length == one.minibatches * other.batch_size
    assert (one.clip, one.learning_rate) == (Linear(other.clip_range, 0), Linear(other.learning_rate, 0))
    assert (other.anneal_clip_range, other.anneal_learning_rate) == (True, True)
    assert (one.value_weight, one.entropy_weight) == (other.vf_coef, other.ent_coef)
    assert one.max_gradient_norm == other.max_grad_norm
    assert (one.hidden, one.activation, other.net_arch) == ((64, 64), "tanh", None)  # the library's: 64, 64, tanh
    assert (one.standardised_advantages, other.normalize_advantage, other.ortho_init) == (True, True, True)
    assert (other.clip_range_vf, other.target_kl) == (None, None)


def test_importing_the_plugin_imports_neither_torch_nor_the_library() -> None:
    program = (
        "import sys, harness_stable_baselines3 as p; list(p.harness_algorithms());"
        "print([m for m in ('torch', 'gymnasium', 'numpy', 'stable_baselines3') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


def test_versions_follow_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"stable-baselines3": "2.7.1"}[name])

    assert {spec.version for spec in plugin.harness_algorithms()} == {"2+sb3.2.7"}


def test_without_contrib_its_two_algorithms_are_listed_as_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = importlib.metadata.version

    def without_contrib(name: str) -> str:
        if name == "sb3-contrib":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    registry = Registry.load(only={"sb3"})
    monkeypatch.setattr(importlib.metadata, "version", without_contrib)
    lacking = {name for name in SPECS if registry.missing_requirements(registry.algorithms[f"sb3/{name}"])}

    assert lacking == set(CONTRIB)
    with pytest.raises(MissingPlugin, match=r"sb3/trpo needs sb3-contrib>=2\.7; try: .*pip install"):
        registry.check_requirements(registry.algorithms["sb3/trpo"])
