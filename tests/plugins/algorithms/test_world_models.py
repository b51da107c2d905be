"""World models: what the controller sees, when memory is emptied, persistent random rollouts, and what is counted."""

import math
from dataclasses import replace

import pytest
import torch

import harness_environments
from harness.contract.trial import Step
from harness.measuring.training import run_training
from harness_algorithms import world_models
from harness_algorithms.blocks.codes import Seeing, Standard
from harness_algorithms.blocks.mdn_lstm import mdn_lstm
from harness_algorithms.blocks.vae import Code
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
    return world_models.Agent(Standard(2), m, 2, memory, weights)


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


def test_a_dream_counts_its_own_steps_and_is_then_held_against_whole_real_episodes(monkeypatch):
    counted, logged = [], {}
    trial = local_trial(ENVIRONMENTS["cartpole-position"], (100,), budget=2_603, episodes=1, points=1, lockstep=True)
    monkeypatch.setattr(trial, "simulated", counted.append)
    monkeypatch.setattr(trial, "log", logged.update)
    original = world_models.proved
    given = []

    def watched(env, agent, obs, steps):
        began = trial.steps
        given.append((steps, began, original(env, agent, obs, steps)))
        return given[0][2]

    monkeypatch.setattr(world_models, "proved", watched)
    run_training(trial, world_models.train, replace(QUICK, dream=True, window=100))
    assert counted == [8 * 100] * 3  # two generations, and what was found once more
    ((steps, began, (real, _)),) = given
    assert (steps, began, trial.steps) == (293, 256, 2_603)
    assert torch.equal(logged["gap"], logged["dreamt_return"] - real)
    assert real.item() > 8  # steps for which any pole stands


def test_what_a_controller_proves_is_the_mean_of_the_episodes_that_begin_and_end_then():
    """Episodes of 3 steps in one copy, which has had 1, and of 5 in another; a step pays 1."""

    class Env:
        time = 0

        def step(self, action):
            self.time += 1
            ended = torch.tensor([[(self.time + 1) % 3 == 0, self.time % 5 == 0]])
            obs = torch.zeros(1, 2, 2)
            return Step(obs, torch.ones(1, 2), 1 - ended.float(), ended, obs)

    for steps, expected in ((10, (3 + 3 + 5) / 3), (7, 3.0), (1, math.nan)):
        assert world_models.proved(Env(), agent(), torch.zeros(1, 2, 2), steps)[0].tolist() == pytest.approx(
            [expected], nan_ok=True
        )


def test_a_dream_pays_no_more_and_no_less_than_was_ever_paid_and_ends_where_an_end_is_likelier_than_not():
    trial = local_trial(ENVIRONMENTS["cartpole-position"], (100,), lockstep=True)
    for end_logit, steps in ((-0.1, 16), (0.1, 1)):
        acting = agent()
        with torch.no_grad():
            acting.m.head.flat.zero_()
            bias = acting.m.head.biases[-1][0, :, 0]
            bias[-2], bias[-1] = 7.0, end_logit
        start = Code(torch.zeros(1, 4, 2), torch.ones(1, 4, 2))
        for paid, expected in ((torch.tensor([[[1.0, 1.0]]]), 1.0), (torch.tensor([[[-1.0, 3.0]]]), 3.0)):
            dream = world_models.Dream(trial, acting.m, start, torch.ones(1, 1, 2), paid, QUICK)
            assert dream.returns(acting).tolist() == [[expected * steps] * 4]


def test_codes_are_drawn_anew_for_every_batch():
    """M is given other codes in every update, all from the law that V gives of the same observations."""
    trial, seen = local_trial(ENVIRONMENTS["cartpole-position"], (100,), lockstep=True), []

    class V:
        size = 2

        def law(self, obs):
            return Code(obs, torch.tensor([0.5, 0.0]).expand(obs.shape))

    m = agent().m
    m.loss = lambda z, action, change, *rest: seen.append((z, change)) or m.head.flat.sum(1)
    obs, none = torch.arange(8.0)[:, None, None, None].expand(8, 1, 1, 2), torch.zeros(8, 1, 1)
    data = world_models.Transition(obs, torch.zeros(8, 1, 1, 2), obs + 1, none, none, none.bool())
    scale, _ = world_models.fit(trial, V(), m, data, replace(QUICK, model_updates=200))
    assert scale.flatten().tolist() == pytest.approx([0.5**0.5, 1e-6])
    z = torch.stack([z for z, _ in seen])  # [updates, T, S, B, Z]
    assert torch.equal(z[..., 1], obs[:, :, :, 1].expand(z.shape[:-1]))
    noise = z[..., 0] - obs[:, :, :, 0]
    assert noise.mean().abs() < 0.02
    assert noise.std(0).mean().item() == pytest.approx(0.5, abs=0.02)
    next_noise = torch.stack([c for _, c in seen])[..., 0] * scale[..., 0] + noise - 1
    assert next_noise.std().item() == pytest.approx(0.5, abs=0.02)
    assert (next_noise * noise).mean().abs() < 0.01


def test_a_seed_learns_as_if_it_were_alone():
    both, alone = (trained(QUICK, seeds=seeds) for seeds in ((100, 101), (101,)))
    assert torch.equal(both.policy.weights[1], alone.policy.weights[0])
    assert torch.equal(both.policy.m.memory.flat[1], alone.policy.m.memory.flat[0])


SEEN = Seeing(size=3, channels=2, updates=2, batch_size=4)


@pytest.mark.parametrize("wrappers", [(), ("support.images:Coloured",)])
def test_frames_are_learned_from_those_of_the_paper_too(wrappers):
    spec = replace(ENVIRONMENTS["cartpole-position-pixels"], wrappers=wrappers, array=None)
    trial = local_trial(spec, (100, 101), budget=200, episodes=1, points=1, lockstep=True)
    run_training(trial, world_models.train, replace(QUICK, random_steps=64, window=4, seeing=SEEN))
    assert trial.steps == 200
    assert trial.policy.v.network.encoder.frames.sides == ([64, 64] if wrappers else [16, 16])
    assert trial.policy.weights.any()


@pytest.mark.parametrize("how", [{"memory": False}, {"dream": True}, {"memory": False, "dream": True}])
def test_frames_do_without_a_memory_and_in_a_dream(how):
    spec = ENVIRONMENTS["cartpole-position-pixels"]
    trial = local_trial(spec, (100, 101), budget=200, episodes=1, points=1, lockstep=True)
    run_training(trial, world_models.train, replace(QUICK, random_steps=64, window=4, seeing=SEEN, **how))
    assert trial.steps == 200
    assert trial.policy.weights.any()
