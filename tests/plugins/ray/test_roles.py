"""Roles of parallel algorithms on a Ray cluster of nodes that share nothing: the budget is exact, whoever is lost."""

import importlib
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

import harness_environments
from harness.measuring.training import run_training
from harness.testing import algorithm_checks
from harness_algorithms import a3c, dppo, dppo_data, gorila
from harness_algorithms.parallel import backends
from harness_algorithms.parallel.parameter_server import Shard
from support.trial import local_trial

pytest.importorskip("ray", reason="Ray is no part of the set-up")
on_ray = importlib.import_module("harness_algorithms.parallel.on_ray")
CARTPOLE = {spec.name: spec for spec in harness_environments.harness_environments()}["cartpole"]
GORILA = gorila.Config(
    backend="ray", actors=3, hidden=(16,), batch_size=8, learning_starts=30, target_every=10, replay_capacity=600
)
DPPO = dppo.Config(backend="ray", workers=2, batch_size=128, window=16, passes=2, hidden=(16,))


@pytest.fixture(scope="module")
def cluster():
    """Three nodes with a processor each."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        started.add_node(num_cpus=1)
    before, os.environ["RAY_ADDRESS"] = os.environ.get("RAY_ADDRESS"), started.address
    yield started
    os.environ.pop("RAY_ADDRESS") if before is None else os.environ.update(RAY_ADDRESS=before)
    ray.shutdown()
    started.shutdown()


def trial_of(folder: Path, budget: int):
    return local_trial(CARTPOLE, (0,), budget=budget, points=4, episodes=2, lockstep=False, shared=folder)


def logged(trial, name: str) -> list[float]:
    return [value for _, what, value in trial.runs[0].diagnostics if what == name]


def test_gorila_goes_on_to_the_exact_budget_when_a_node_with_a_learner_is_lost(tmp_path, cluster, monkeypatch):
    made = []
    monkeypatch.setattr(gorila, "Shard", lambda *given: made.append(Shard(*given)) or made[-1])
    trial, lost = trial_of(tmp_path, 3_000), cluster.worker_nodes.copy().pop()
    updates_then = []

    def lose() -> None:
        while not made or int(made[0].updates.sum()) < 300:
            if over.wait(0.05):
                return
        cluster.remove_node(lost, allow_graceful=False)
        updates_then.append(made[0].updates.clone())

    over = threading.Event()
    thread = threading.Thread(target=lose)
    thread.start()
    try:
        run_training(trial, gorila.train, GORILA)
    finally:
        over.set()
        thread.join()
        cluster.add_node(num_cpus=1)

    (run,), (shard,) = trial.runs, made
    assert updates_then, "the node was lost in mid-course"
    more = sorted((shard.updates - updates_then[0]).flatten().tolist())
    assert more[0] < 50 < more[1], "one learner is gone, two go on"
    assert trial.steps == 3_000
    assert sorted({evaluation.step for evaluation in run.evaluations}) == [0, 750, 1_500, 2_250, 3_000]
    assert 2_000 < sum(episode.length for episode in run.episodes) <= 3_000  # but for those that had not ended


def test_dppo_makes_batches_of_what_nodes_send(tmp_path, cluster):
    trial = trial_of(tmp_path, 1_280)
    run_training(trial, dppo.train, DPPO)

    assert trial.steps == 1_280
    assert {evaluation.step for evaluation in trial.runs[0].evaluations} == {0, 320, 640, 960, 1_280}
    assert logged(trial, "kl") and all(map(torch.isfinite, map(torch.tensor, logged(trial, "kl"))))


def test_learners_that_never_step_keep_no_steps_from_actors(tmp_path, cluster):
    trial = trial_of(tmp_path, 600)
    run_training(trial, gorila.train, replace(GORILA, actors=2, learners=2))  # more roles than processors

    assert trial.steps == 600
    assert logged(trial, "updates")[-1] > 100


@pytest.mark.parametrize("algorithm", [a3c, dppo_data], ids=["a3c", "dppo_data"])
def test_other_parallel_algorithms_run_there_too(algorithm, tmp_path, cluster):
    trial = trial_of(tmp_path, 640)
    run_training(trial, algorithm.train, algorithm.Config(backend="ray", workers=2))

    assert trial.steps == 640
    assert trial.runs[0].diagnostics


def test_a_node_with_other_code_is_refused_and_names_it(tmp_path, cluster, monkeypatch):
    told = {"versions": {"rl-harness": "0.0.9"}, "sources": {}}
    monkeypatch.setattr(on_ray, "code", lambda plugin: told)
    with pytest.raises(RuntimeError, match=r"other code than the trial: rl-harness is .* here and 0\.0\.9 there"):
        run_training(trial_of(tmp_path, 600), dppo.train, DPPO)


def test_roles_without_a_place_are_told(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(on_ray, "READY_SECONDS", 0.01)
    with pytest.raises(RuntimeError, match=r"Ray had no place after 0\.01 s for all of 3 roles"):
        run_training(trial_of(tmp_path, 600), dppo.train, DPPO)


def test_a_role_that_fails_ends_the_run_with_its_reason(tmp_path, cluster, monkeypatch):
    def failing(node, config, budget):
        yield backends  # no operation

    monkeypatch.setattr(gorila, "bundle", failing)
    with pytest.raises(RuntimeError, match=r"node [012]: [\s\S]*a role yields operations"):
        run_training(trial_of(tmp_path, 600), gorila.train, GORILA)


def test_without_an_address_the_harness_runs_it_on_a_cluster_of_this_machine_and_leaves_nothing(tmp_path):
    (tmp_path / "suite.toml").write_text(
        '[suite]\nname = "roles"\nversion = "1"\nquestion = "?"\nenvironments = ["cartpole"]\n'
        "algorithms = ['algorithms/dppo[backend=\"ray\", workers=2, batch_size=128, window=16]']\nseeds = 1\n"
        "[budget]\nsteps = 384\n[evaluation]\npoints = 2\nepisodes = 1\n"
    )
    variables = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    line = [sys.executable, "-m", "harness", "run", "suite.toml"]
    before = {process.pid for process in psutil.process_iter()}

    done = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=280)

    assert done.returncode == 0, done.stderr
    left = [p.name() for p in psutil.process_iter() if p.pid not in before and "ray" in p.name()]
    assert left == []


def test_what_is_true_of_real_asynchrony_holds_for_gorila_on_ray(cluster):
    wanted = {"spends_the_budget_exactly", "leaves_nothing_running", "process_is_left_as_found"}
    checks = [check for check in algorithm_checks('algorithms/gorila[backend="ray"]') if check.name in wanted]

    found = {check.name: check.outcome() for check in checks}

    assert {name: result.status for name, result in found.items()} == dict.fromkeys(wanted, "pass"), found


def test_a_machine_without_ray_says_what_to_install(monkeypatch):
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match="backend: 'ray' needs Ray, which is not installed; pip install -e plugins/ray"
    ):
        gorila.Config(backend="ray")
