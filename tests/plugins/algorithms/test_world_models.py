"""World models: what the controller sees, when memory is emptied, persistent random rollouts, and what is counted."""

from dataclasses import replace

import pytest
import torch

import harness_environments
from harness.measuring.training import run_training
from harness_algorithms import world_models
from harness_algorithms.blocks.mdn_lstm import mdn_lstm
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
QUICK = world_models.Config(
    random_steps=256, units=4, mixtures=2, model_updates=2, sequences=4, sequence_length=8, generations=2,
    population=4, rollouts=2, window=16,
)  # fmt: skip


def trained(config, budget=600, seeds=(100, 101)):
    spec = ENVIRONMENTS["cartpole-position"]
    trial = local_trial(spec, seeds, budget=budget, episodes=1, points=1, lockstep=True)
    run_training(trial, world_models.train, config)
    return trial


def agent(memory=True, candidates=1):
    m = mdn_lstm(2, 2, 3, 2, [torch.Generator().manual_seed(0)])
    width = 2 * (2 + 3 * memory + 1)
    weights = torch.randn(1, candidates, width, generator=torch.Generator().manual_seed(1))
    return world_models.Agent(world_models.Standard(), m, 2, memory, weights)


def test_the_controller_sees_the_memory_before_the_action():
    acting, obs = agent(), torch.randn(1, 6, 2, generator=torch.Generator().manual_seed(2))
    acting.act(obs)
    h, c = acting.state
    action = acting.act(-obs)
    weights = acting.weights.view(2, 6)
    expected = (torch.cat([-obs, h], 2) @ weights[:, :-1].T + weights[:, -1]).argmax(2)
    assert torch.equal(action, expected)
    taken = torch.nn.functional.one_hot(action, 2).float()
    assert torch.equal(acting.state[0], acting.m.step(-obs, taken, (h, c))[0])


def test_without_memory_the_controller_sees_z_alone():
    acting, obs = agent(memory=False), torch.randn(1, 6, 2, generator=torch.Generator().manual_seed(2))
    first = acting.act(obs)
    acting.act(-obs)
    assert torch.equal(acting.act(obs), first)


def test_the_memory_is_reset_where_an_episode_is_done_and_nowhere_else():
    acting = agent()
    acting.act(torch.ones(1, 3, 2))
    before = acting.state[0].clone()
    acting.reset(torch.tensor([[False, True, False]]))
    assert acting.state[0][0, 1].eq(0).all()
    assert torch.equal(acting.state[0][0, ::2], before[0, ::2])


def test_every_candidate_acts_in_copies_of_its_own():
    acting, z = agent(candidates=2), torch.randn(1, 6, 2, generator=torch.Generator().manual_seed(2))
    h = torch.zeros(1, 6, 3)
    together = acting.choose(z, h)
    for index in range(2):
        alone = agent()
        alone.weights = acting.weights[:, index : index + 1]
        part = slice(3 * index, 3 * index + 3)
        assert torch.equal(alone.choose(z[:, part], h[:, part]), together[:, part])


@pytest.mark.parametrize(("persistence", "share"), [(0.0, 0.5), (0.8, 0.9), (1.0, 1.0)])
def test_the_random_policy_repeats_itself_as_often_as_it_should(persistence, share, monkeypatch):
    kept = []
    original = world_models.random_rollouts
    monkeypatch.setattr(world_models, "random_rollouts", lambda *a: kept.append(original(*a)) or kept[0])
    trained(replace(QUICK, persistence=persistence, random_steps=4_000), budget=4_200)
    data = kept[0][0]
    same = (data.action[1:] == data.action[:-1]).all(3)[~data.ended[:-1]]
    assert same.float().mean().item() == pytest.approx(share, abs=0.02)


def test_a_search_in_reality_takes_all_of_the_budget_and_simulates_nothing(monkeypatch):
    counted = []
    trial = local_trial(ENVIRONMENTS["cartpole-position"], (100,), budget=600, episodes=1, points=1, lockstep=True)
    monkeypatch.setattr(trial, "simulated", counted.append)
    run_training(trial, world_models.train, QUICK)
    assert trial.steps == 600
    assert counted == []


def test_a_dream_takes_no_real_step_and_counts_its_own(monkeypatch):
    counted = []
    trial = local_trial(ENVIRONMENTS["cartpole-position"], (100,), budget=400, episodes=1, points=1, lockstep=True)
    monkeypatch.setattr(trial, "simulated", counted.append)
    run_training(trial, world_models.train, replace(QUICK, dream=True))
    assert trial.steps == 400
    assert counted == [8 * 16] * 3  # two generations, and what was found once more


def test_a_seed_learns_as_if_it_were_alone():
    both, alone = (trained(QUICK, seeds=seeds) for seeds in ((100, 101), (101,)))
    assert torch.equal(both.policy.weights[1], alone.policy.weights[0])
    assert torch.equal(both.policy.m.memory.flat[1], alone.policy.m.memory.flat[0])
