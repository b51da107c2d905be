"""DPPO by data: batches are exact, nothing is thrown away, a quick worker makes more of a batch than a slow one."""

import multiprocessing
import os
import signal
from dataclasses import replace

import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import ConfigError, resolve_config
from harness.measuring.training import run_training
from harness_algorithms import dppo_data
from harness_algorithms.parallel.cluster import Cluster
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
QUICK = dppo_data.Config(workers=2, batch_size=32, fragments=4, passes=2, hidden=(8,))


def learned_from(monkeypatch, budget=160, **changes):
    """The batches of a run on CartPole, and the trial."""
    batches, batch_of = [], dppo_data.ppo.batch_of

    def kept(rollout, policy, v, config):
        batches.append((rollout, batch_of(rollout, policy, v, config), v))
        return batches[-1][1]

    monkeypatch.setattr(dppo_data.ppo, "batch_of", kept)
    trial = local_trial(ENVIRONMENTS["cartpole"], (0, 1), budget, lockstep=True)
    run_training(trial, dppo_data.train, replace(QUICK, **changes))
    return batches, trial


@pytest.mark.parametrize("slow", [(), ((1, 5.0),)])
def test_counts_are_exact_and_nothing_is_thrown_away_at_a_pause(slow, monkeypatch):
    batches, trial = learned_from(monkeypatch, cluster=Cluster(slow=slow))

    assert trial.steps == 160
    assert [batch.obs.shape[1] for _, batch, _ in batches] == [32] * 5


def test_a_quick_worker_makes_more_fragments_than_a_slow_one(monkeypatch):
    def most(**changes):
        _, trial = learned_from(monkeypatch, **changes)
        return [value for _, name, value in trial.runs[0].diagnostics if name == "most_fragments"][-1]

    assert most() == 2
    assert most(cluster=Cluster(slow=((1, 5.0),))) == 3


def test_a_fragment_that_is_cut_is_followed_by_the_value_of_where_it_was_cut(monkeypatch):
    batches, _ = learned_from(monkeypatch, 32, passes=1, learning_rate=dppo_data.Linear(0.0, 0.0))
    rollout, batch, v = batches[0]
    with torch.no_grad():
        after = v(rollout.next_obs[-1]).squeeze(2)  # [S, 4]
    expected = rollout.reward[-1] + QUICK.discount * rollout.discount[-1] * after

    torch.testing.assert_close(batch.target[:, -4:], expected)


def in_processes(tmp_path, budget=256):
    trial = local_trial(ENVIRONMENTS["cartpole"], (0,), budget, episodes=2, lockstep=False, shared=tmp_path)
    run_training(trial, dppo_data.train, replace(QUICK, backend="processes"))
    return trial


def test_in_processes_the_same_roles_learn_and_end_at_the_budget(tmp_path, monkeypatch):
    sizes, batch_of = multiprocessing.get_context("fork").SimpleQueue(), dppo_data.ppo.batch_of

    def counted(rollout, policy, v, config):
        sizes.put(rollout.reward.numel())
        return batch_of(rollout, policy, v, config)

    monkeypatch.setattr(dppo_data.ppo, "batch_of", counted)
    trial = in_processes(tmp_path)

    assert trial.steps == 256
    assert [sizes.get() for _ in range(8)] == [32] * 8
    assert sizes.empty()
    assert max(value for _, name, value in trial.runs[0].diagnostics if name == "value_loss") > 0
    assert trial.runs[0].evaluations


def test_in_processes_a_worker_that_dies_ends_the_run_with_one_clear_error(tmp_path, monkeypatch):
    def dies(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(dppo_data, "Fragment", dies)
    with pytest.raises(RuntimeError, match=r"the process of node [01] was killed by SIGKILL"):
        in_processes(tmp_path)


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"batch_size": 30}, "batch_size.*fragments"),
        ({"minibatches": 3}, "batch_size.*minibatches"),
        ({"workers": 9}, "fragments.*workers"),
    ],
)
def test_what_does_not_divide_is_refused_by_name(told, named):
    with pytest.raises(ConfigError, match=named):
        resolve_config(dppo_data.Config, told)


(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "dppo_data"]


@pytest.mark.parametrize("preset", SPEC.presets)
def test_presets_are_configurations(preset):
    assert resolve_config(dppo_data.Config, SPEC.presets[preset]) != dppo_data.Config()
