"""The example plugin: its tutorial shows the files as they are, and what it publishes learns."""

import re
from pathlib import Path

import gymnasium
import numpy as np

import harness
import harness_example
import harness_example_hill_climbing as hill_climbing
from harness.api import EnvironmentSpec
from harness.discovery.registry import Registry
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness.reporting.report import write_report
from support.paths import ROOT
from support.results import realistic_suite, write_runs
from support.trial import local_trial

FOLDER = ROOT / "plugins" / "example"
CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1")
BUDGET = 3_000


def trained(seed: int) -> LocalTrial:
    trial = local_trial(CARTPOLE, (seed,), budget=BUDGET, points=2, episodes=10)
    run_training(trial, hill_climbing.train, hill_climbing.Config())
    return trial


def test_the_tutorial_shows_every_file_as_it_is() -> None:
    shown = re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", (FOLDER / "README.md").read_text("utf-8"), re.M | re.S)

    assert [name for name, _ in shown] == [
        "pyproject.toml",
        "harness_example.py",
        "harness_example_hill_climbing.py",
        "harness_example_figures.py",
    ]
    for name, content in shown:
        assert content == (FOLDER / name).read_text("utf-8"), name


def test_the_algorithm_fits_on_a_page() -> None:
    assert len((FOLDER / "harness_example_hill_climbing.py").read_text("utf-8").splitlines()) <= 45


def test_its_description_stands() -> None:
    (spec,) = harness_example.harness_algorithms()

    assert (spec.name, spec.target) == ("hill-climbing", hill_climbing.__name__)


def test_the_harness_finds_it_without_a_complaint() -> None:
    registry = Registry.load(only={"example"})
    entry = registry.resolve("algorithm", "hill-climbing")

    assert entry.id == "example/hill-climbing"
    assert entry.plugin.status == "ok"
    assert entry.plugin.warnings == []
    assert registry.missing_requirements(entry) == []


def test_it_is_no_part_of_the_first_installation() -> None:
    assert "example" not in (FOLDER.parents[1] / "requirements.txt").read_text("utf-8")


def test_its_figure_stands_in_the_section_of_every_environment(tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "suite", realistic_suite(seeds=1))
    page = write_report(harness.load(runs), Registry.load(only={"example"}), tmp_path / "report")
    text = page.read_text("utf-8")

    assert "example/training-returns could not be drawn" not in text
    for environment in ("acrobot", "cartpole", "pendulum"):
        assert f'id="example-training-returns-{environment}-title"' in text
        assert (page.parent / "figures" / f"example-training-returns-{environment}.svg").exists()
    assert "q_learning (n = 1 runs, 63 episodes)" in text


def test_it_takes_exactly_the_budget_and_beats_random_on_cartpole() -> None:
    trials = [trained(seed) for seed in range(3)]
    final = [np.mean([e.value for e in t.runs[0].evaluations if e.step == BUDGET]) for t in trials]

    assert [t.steps for t in trials] == [BUDGET] * 3
    assert np.mean(final) > 3 * random_return()


def test_one_seed_gives_one_result() -> None:
    first, second = ([e[3:] for e in trained(0).runs[0].episodes] for _ in range(2))

    assert first == second


def test_actions_count_from_where_their_space_does() -> None:
    policy = hill_climbing.linear(np.array([[1.0, -1.0]]), gymnasium.spaces.Discrete(2, start=5))

    np.testing.assert_array_equal(policy(np.array([[2.0], [-2.0]])), [5, 6])


def random_return() -> float:
    """Mean return of the random policy on CartPole, over 100 episodes."""
    env = gymnasium.make("CartPole-v1")
    env.action_space.seed(0)
    total = 0
    for episode in range(100):
        env.reset(seed=episode)
        ended = False
        while not ended:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            total, ended = total + 1, terminated or truncated
    return total / 100
