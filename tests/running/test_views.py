"""What else an environment may show of itself: knowledge, a game, a data set. And needs that follow from settings."""

import importlib
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import harness
from harness.contract.specs import INTERPRETING, INTERPRETIVE, VIEWS, AlgorithmSpec, EnvironmentSpec, Score, as_json
from harness.contract.trial import BudgetExhausted, ContractBroken
from harness.discovery.registry import Registry
from harness.measuring.description import TrialOutcome
from harness.measuring.training import run_training
from harness.running.keys import task_hash
from harness.running.manifest import Session, now, planned_row, run_row
from harness.running.plan import Cell, TrialPlan, make_cell, make_plan
from harness.suite.reading import load_suite
from support.hostile import write_suite
from support.paths import FIXTURES
from support.trial import local_trial

VIEWS_PLUGIN = FIXTURES / "views"


@pytest.fixture
def registry(monkeypatch) -> Registry:
    monkeypatch.syspath_prepend(str(VIEWS_PLUGIN))
    return Registry.load(only={"views"})


def environment(registry: Registry, name: str) -> EnvironmentSpec:
    return registry.resolve("environment", name).spec


def run(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    variables = {**os.environ, "PYTHONPATH": str(VIEWS_PLUGIN), "HARNESS_PLUGINS": "views"}
    line = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=280)


# The key of a run


CHANGED = {
    "name": "other",
    "id": "Other-v0",
    "imports": ("other",),
    "kwargs": {"gravity": 9.0},
    "wrappers": ("other:Wrapper",),
    "max_episode_steps": 7,
    "random_score": Score(1.0),
    "reference_score": Score(2.0),
    "threshold": 3.0,
    "lowest_return": 0.0,
    "highest_return": 4.0,
    "array": "other.array",
    "known": "other.known",
    "game": "other.game",
    "dataset": "other.data",
    "requires": ("other",),
    "version": "2",
    "summary": "another",
    "waived": {"passes_check_env": "it is known"},
}
PLAIN = {"name": "plain", "id": "Plain-v0"}


def test_every_field_of_an_environment_is_tried_here():
    assert set(CHANGED) == set(EnvironmentSpec.__dataclass_fields__)


@pytest.mark.parametrize("field", CHANGED)
def test_every_field_counts_in_the_task_but_those_that_interpret_and_other_views(field):
    plain = as_json(EnvironmentSpec(**PLAIN))
    other = as_json(EnvironmentSpec(**PLAIN | {field: CHANGED[field]}))

    same = task_hash(plain, 100, 1, 1) == task_hash(other, 100, 1, 1)

    assert same == (field in (*INTERPRETIVE, *VIEWS))


def test_a_field_that_comes_to_be_added_counts_as_soon_as_it_says_something():
    plain = as_json(EnvironmentSpec(**PLAIN))

    assert task_hash({**plain, "mood": None}, 100, 1, 1) == task_hash(plain, 100, 1, 1)
    assert task_hash({**plain, "mood": "gay"}, 100, 1, 1) != task_hash(plain, 100, 1, 1)


def test_keys_made_before_fields_were_added_stay_what_they_were():
    cartpole = as_json(EnvironmentSpec("cartpole", "CartPole-v1", threshold=475.0))

    assert task_hash(cartpole, 10_000, 10, 10) == "c25a37349e58e20b8972"


def planned(**told: object) -> Cell:
    """A cell whose environment's description says this."""
    from harness.discovery.plugins import Plugin
    from harness.discovery.registry import Entry
    from harness.running.plan import Contestant
    from harness.suite.reading import TaskSettings

    plugin = Plugin("plain", "plain", "1", "plain")
    entry = Entry("plain/plain", EnvironmentSpec(**PLAIN, **told), plugin)
    contestant = Contestant(Entry("plain/any", AlgorithmSpec("any", "any", "1"), plugin), "any", {})
    return make_cell(contestant, entry, "cpu", TaskSettings(100, 1, 1), [0])


def keys_with(arguments: object) -> str:
    """The hash of a task whose environment has such an argument, as a plan finds it."""
    return planned(kwargs={"it": arguments}).task_hash


def test_a_task_with_tuples_keeps_the_key_it_had_when_they_were_told_as_lists():
    as_lists = {**as_json(EnvironmentSpec(**PLAIN)), "kwargs": {"it": [0.7, [1]]}}

    assert keys_with((0.7, (1,))) == keys_with([0.7, [1]]) == task_hash(as_lists, 100, 1, 1)


def test_infinite_numbers_and_integer_keys_are_part_of_the_key_of_a_task():
    arguments = [{0: 1}, {"0": 1}, {True: 1}, math.inf, -math.inf, "inf", [math.inf]]

    assert len({keys_with(each) for each in arguments}) == len(arguments)


def test_what_can_be_returned_is_stored_with_a_run_and_changes_no_key():
    cell = planned(lowest_return=-7.0, threshold=2.0)
    session = Session("suite", "1", "question", jobs=1, git={})

    row = run_row(planned_row(session, TrialPlan(cell, (0,)), 0, now()), None, TrialOutcome())

    assert [row[name] for name in INTERPRETING] == [2.0, -7.0, None]
    assert row["key"] == planned().keys[0]


@pytest.mark.parametrize(
    ("algorithm", "view", "counts"),
    [
        ("planner", "known", True),
        ("planner", "array", True),
        ("planner", "game", False),
        ("player", "game", True),
        ("player", "known", False),
        ("cloner", "dataset", True),
        ("actors", "known", False),
        ("actors", "array", False),
    ],
)
def test_another_view_is_part_of_the_key_of_those_who_train_on_it(registry, algorithm, view, counts):
    from dataclasses import replace

    from harness.discovery.registry import Entry
    from harness.running.plan import Contestant
    from harness.suite.reading import TaskSettings

    entry = registry.resolve("environment", "line")
    other = Entry(entry.id, replace(entry.spec, **{view: "other.module"}), entry.plugin)
    contestant = Contestant(registry.resolve("algorithm", algorithm), algorithm, {})
    keys = [make_cell(contestant, each, "cpu", TaskSettings(10, 1, 1), [0]).keys[0] for each in (entry, other)]

    assert (keys[0] != keys[1]) == counts


# Needs


def test_needs_follow_from_the_configuration(registry, tmp_path):
    suite = write_suite(tmp_path, ["views/actors", "views/actors[actors=3]", "views/planner"], ["views/line"])

    plan = make_plan(load_suite(Path(suite)), registry)

    needs = [cell.contestant.needs for cell in plan.cells]
    assert [(each.cpus, each.processes, each.deterministic) for each in needs] == [
        (1, "one", True),
        (3, "many", False),
        (1, "one", True),
    ]


def test_a_trial_with_several_actors_meters_all_of_them_exactly(tmp_path):
    suite = write_suite(tmp_path, ["views/actors", "views/actors[actors=3]"], ["views/cartpole"], steps=300)

    ended = run(tmp_path, "run", suite)

    assert ended.returncode == 0, ended.stderr
    runs = harness.load(tmp_path / "results").runs
    assert list(runs["steps"]) == [300, 300]
    assert sorted(runs["threads"]) == [1, 3]
    assert runs.set_index("threads")["environment_seconds"].isna().to_dict() == {1: False, 3: True}


def test_what_needs_returns_must_be_needs(registry, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("views_actors"), "needs", lambda config: {"cpus": 2})
    from harness.discovery.config import ConfigError
    from harness.running.describe import needs_of

    with pytest.raises(ConfigError, match=r"views_actors:needs must return harness\.api\.Needs, not dict"):
        needs_of(registry.resolve("algorithm", "actors").spec, None, "actors")


# Known


def test_a_planner_is_skipped_where_it_lacks_knowledge_before_anything_runs(registry, tmp_path):
    suite = write_suite(tmp_path, ["views/planner"], ["views/line", "views/cartpole"])

    reasons = [cell.reason for cell in make_plan(load_suite(Path(suite)), registry).cells]

    assert reasons == ["", "planner plans with reward_fn, dynamics_fn, which cartpole does not give"]


def test_simulated_steps_and_planning_are_in_the_table_and_are_no_sample_use(tmp_path):
    suite = write_suite(tmp_path, ["views/planner"], ["views/line"], seeds=2, steps=60)

    ended = run(tmp_path, "run", suite)

    assert ended.returncode == 0, ended.stderr
    runs = harness.load(tmp_path / "results").runs
    assert list(runs["steps"]) == [60, 60]
    assert list(runs["simulated_steps"]) == [30 * 6, 30 * 6]
    assert (runs["planning_seconds"] > 0).all()
    assert (runs["planning_seconds"] <= runs["learning_seconds"]).all()


def test_knowledge_is_refused_to_who_has_not_declared_it(registry):
    trial = local_trial(environment(registry, "line"))

    with pytest.raises(ContractBroken, match="must declare known"):
        _ = trial.known


@pytest.mark.parametrize("steps", [3, np.int64(3), np.array(3), torch.tensor(3)])
def test_simulated_steps_are_kept_as_a_whole_number_whatever_integer_tells_them(registry, steps):
    trial = local_trial(environment(registry, "line"))
    trial.simulated(steps)

    assert json.dumps(trial.runs[0].simulated) == "3"


@pytest.mark.parametrize("steps", [-1, 2.0, np.float64(2), "2", torch.ones(2, dtype=torch.int64), None])
def test_what_is_no_number_of_simulated_steps_breaks_the_contract(registry, steps):
    trial = local_trial(environment(registry, "line"))

    with pytest.raises(ContractBroken, match=r"trial\.simulated wants a whole number"):
        trial.simulated(steps)
    assert trial.runs[0].simulated == 0


def test_what_an_evaluation_simulates_is_not_trainings(registry):
    trial = local_trial(environment(registry, "line"), budget=10, points=5, episodes=2, views=("known",))

    def train(trial, _):
        def plan(obs):
            trial.simulated(100)
            return np.full(len(obs), 2)

        trial.policy = plan
        env = trial.make_env()
        env.reset()
        while trial.within_budget:
            trial.simulated(1)
            if any(env.step(2)[2:4]):
                env.reset()

    run_training(trial, train, None)

    assert trial.runs[0].simulated == 10


# Games


def play(registry, copies, budget, seeds=(0, 1)):
    trial = local_trial(environment(registry, "take-away"), seeds, budget, points=1, lockstep=True, views=("game",))
    trial.policy = lambda obs: torch.zeros(obs.shape[:2], dtype=torch.int64)
    return trial, trial.make_game(copies)


def test_every_ply_of_self_play_is_a_step_and_every_game_an_episode(registry):
    trial, game = play(registry, copies=2, budget=100)
    state = game.reset()
    assert state.shape == (2, 2, 2)
    first = game.step(torch.zeros(2, 2, dtype=torch.int64))
    assert first.state[..., 0].tolist() == [[3, 3], [3, 3]]
    game.step(torch.ones(2, 2, dtype=torch.int64))  # one stone is left
    last = game.step(torch.zeros(2, 2, dtype=torch.int64))

    assert trial.steps == 6
    assert last.ended.all()
    assert (last.outcome == 1).all()  # the first player took the last stone
    assert last.next_state[..., 0].tolist() == [[0, 0], [0, 0]]
    assert last.state.tolist() == state.tolist()
    assert [(e.copy, e.value, e.length, e.terminated) for e in trial.runs[1].episodes] == [
        (0, 1.0, 3, True),
        (1, 1.0, 3, True),
    ]


def test_an_illegal_move_is_refused_by_name(registry):
    _, game = play(registry, copies=1, budget=100)
    game.reset()
    game.step(torch.ones(2, 1, dtype=torch.int64))
    game.step(torch.zeros(2, 1, dtype=torch.int64))

    with pytest.raises(ContractBroken, match="2 moves are illegal"):
        game.step(torch.ones(2, 1, dtype=torch.int64))


def test_what_an_algorithm_does_to_its_positions_changes_no_game(registry):
    trial, game = play(registry, copies=1, budget=12)
    state, one = game.reset(), torch.zeros(2, 1, dtype=torch.int64)
    for _ in range(12):
        state[...] = 1
        ply = game.step(one)
        ply.next_state[...] = ply.outcome[...] = 9
        ply.ended[...] = True
        state = ply.state

    assert [(e.value, e.length) for e in trial.runs[0].episodes] == [(-1.0, 4)] * 3


def test_beginning_all_games_again_is_refused(registry):
    _, game = play(registry, copies=1, budget=12)
    game.reset()

    with pytest.raises(ContractBroken, match=r"reset\(\) is called once"):
        game.reset()


def test_the_last_ply_is_made_only_in_the_games_that_the_budget_holds(registry):
    trial, game = play(registry, copies=2, budget=3)
    game.reset()
    game.step(torch.zeros(2, 2, dtype=torch.int64))

    with pytest.raises(BudgetExhausted):
        game.step(torch.zeros(2, 2, dtype=torch.int64))

    assert trial.steps == 3


# Data sets


def test_recorded_episodes_become_transitions_whose_last_one_ends_even_if_it_was_cut_off(registry):
    trial = local_trial(environment(registry, "line"), views=("dataset",))

    data = trial.dataset()

    assert data.obs[:, 0].tolist() == [7, 8, 9, 0, 1]
    assert data.next_obs[:, 0].tolist() == [8, 9, 10, 1, 0]
    assert data.reward.tolist() == [-1, -1, 0, -1, -1]
    assert data.discount.tolist() == [1, 1, 0, 1, 1]
    assert data.ended.tolist() == [False, False, True, False, True]
    assert data.action.dtype == torch.int64
    assert trial.dataset() is data


def test_the_budget_of_who_learns_from_data_counts_updates_and_holds_them_exactly(registry):
    trial = local_trial(environment(registry, "line"), budget=5, points=5, views=("dataset",))
    updates = []

    def train(trial, _):
        trial.policy = lambda obs: np.full(len(obs), 2)
        while True:
            trial.update()
            updates.append(trial.steps)

    run_training(trial, train, None)

    assert updates == [1, 2, 3, 4, 5]
    assert [e.step for e in trial.runs[0].evaluations] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "make",
    [
        lambda trial: trial.make_env(),
        lambda trial: trial.make_lockstep_env(),
        lambda trial: trial.make_game(),
        lambda trial: trial.make_vector_env(2),
        lambda trial: trial.make_vector_env(2, "native"),
        lambda trial: trial.env_factory(3),
    ],
)
def test_who_learns_from_data_takes_no_steps(registry, make):
    spec = replace(environment(registry, "take-away"), id="CartPole-v1", max_episode_steps=9)
    trial = local_trial(spec, views=("dataset", "game"))

    with pytest.raises(ContractBroken, match="takes no steps"):
        make(trial)


def test_updates_are_refused_to_who_has_not_declared_a_data_set(registry):
    with pytest.raises(ContractBroken, match="must declare dataset"):
        local_trial(environment(registry, "line")).update()


# All of them through the command line


def test_views_are_run_stored_and_told_apart(tmp_path):
    suite = write_suite(
        tmp_path,
        ["views/planner", "views/player", "views/cloner"],
        ["views/line", "views/take-away"],
        seeds=2,
        steps=60,
    )

    ended = run(tmp_path, "run", suite)

    assert ended.returncode == 0, ended.stderr
    runs = harness.load(tmp_path / "results").runs
    done = runs[runs["status"] == "done"]
    assert set(zip(done["algorithm"], done["environment_name"], done["budget_unit"], strict=True)) == {
        ("planner", "line", "step"),
        ("player", "take-away", "ply"),
        ("cloner", "line", "update"),
    }
    assert done.groupby("environment_name")["task_hash"].nunique().to_dict() == {"line": 2, "take-away": 1}


@pytest.mark.parametrize("name", ["planner", "player", "cloner", "line", "take-away"])
def test_what_uses_or_gives_a_view_passes_the_conformance_checks(tmp_path, name):
    ended = run(tmp_path, "check", name, "--json")

    failed = [(o["check"], o["reason"]) for o in json.loads(ended.stdout) if o["status"] == "fail"]
    assert not failed
