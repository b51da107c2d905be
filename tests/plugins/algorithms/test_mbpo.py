"""MBPO: where rollouts begin and whom they follow, who is asked, what is kept, what is counted, SAC digit for digit."""

from dataclasses import fields, replace
from types import SimpleNamespace

import gymnasium
import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness_algorithms import mbpo, sac
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.critics import stacked_critic
from harness_algorithms.blocks.distributions import TanhGaussian
from harness_algorithms.blocks.dynamics import Fitting, fit, make_dynamics
from harness_algorithms.blocks.imagination import Imagined
from harness_algorithms.blocks.streams import Normals, Uniforms
from harness_environments.known import pendulum
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
SPECS = {spec.name: spec for spec in harness_algorithms.harness_algorithms()}
SEEDS, ELITES, ROLLOUTS, OBS, ACTIONS = 2, 3, 4, 2, 1
ALL = ELITES * ROLLOUTS
QUICK = mbpo.Config(
    models=3,
    elites=2,
    model_hidden=(8,),
    fit_every=15,
    fitting=Fitting(epochs=2, batch_size=16),
    rollouts=6,
    length=mbpo.Length(2, 2),
    retained=2,
    real_share=0.25,
    hidden=(16,),
    batch_size=8,
    learning_starts=20,
    updates=2,
)


def generators(number=SEEDS, first=0):
    return [torch.Generator().manual_seed(first + seed) for seed in range(number)]


def chance(rollouts=ROLLOUTS):
    number = ELITES * rollouts
    return mbpo.Chance(
        Uniforms(generators(first=10), number),
        Uniforms(generators(first=20), number),
        Normals(generators(first=30), number, ACTIONS),
        Normals(generators(first=40), ELITES, rollouts, OBS),
    )


def knowledge(end=lambda next_obs: torch.zeros_like(next_obs[..., 0], dtype=torch.bool)):
    return SimpleNamespace(
        reward_fn=lambda obs, action, next_obs: obs[..., 0] + 10 * action[..., 0] + 100 * next_obs[..., 0],
        termination_fn=lambda obs, action, next_obs: end(next_obs),
    )


class Counting:
    """E models: member e adds e + 1 to the first number of a state, and its own number replaces the second."""

    members = ELITES

    def sample(self, obs, action, noise):
        e = torch.arange(ELITES).view(1, -1, 1).expand(obs.shape[:3]).float()
        return torch.stack((obs[..., 0] + e + 1, e), -1)


def sharp(mean):
    """A policy without noise to speak of: actions are tanh of ``mean`` of observations."""
    one = torch.ones(())
    return lambda obs: TanhGaussian(mean(obs), torch.full_like(mean(obs), -20.0), -one, one)


def branched(elites, pi=None, known=None, real=None, length=3, rollouts=ROLLOUTS):
    pi = pi or sharp(lambda obs: 0 * obs[..., :1])
    real = torch.randn(SEEDS, 50, OBS, generator=generators()[0]) if real is None else real
    return mbpo.branched(elites, pi, known or knowledge(), lambda a: 2 * a, real, length, chance(rollouts))


# Rollouts


def test_rollouts_branch_off_from_states_of_the_real_replay_of_the_same_seed():
    real = torch.arange(SEEDS * 50.0).view(SEEDS, 50, 1).expand(-1, -1, OBS)
    starts = branched(Counting(), real=real, rollouts=300).obs[..., 0, 0].flatten(1)
    for s in range(SEEDS):
        assert set(starts[s].tolist()) == set(real[s, :, 0].tolist())  # all of them, and no others
    assert starts.shape == (SEEDS, ELITES * 300)


def test_rollouts_follow_the_policy_and_rewards_are_those_known_in_the_environments_units():
    imagined = branched(Counting(), pi=sharp(lambda obs: obs[..., :1] / 5 - obs[..., 1:]))
    torch.testing.assert_close(imagined.action, (imagined.obs[..., :1] / 5 - imagined.obs[..., 1:]).tanh())
    reward = imagined.obs[..., 0] + 20 * imagined.action[..., 0] + 100 * imagined.next_obs[..., 0]
    torch.testing.assert_close(imagined.reward, reward)
    assert torch.equal(imagined.obs[..., 1:, :], imagined.next_obs[..., :-1, :])


def test_every_step_goes_to_a_random_elite_and_as_many_steps_to_each():
    imagined = branched(Counting(), rollouts=200, length=4)
    asked = imagined.next_obs[..., 1].flatten(1, 2)  # [S, E·R, k]
    torch.testing.assert_close(imagined.next_obs[..., 0] - imagined.obs[..., 0], imagined.next_obs[..., 1] + 1)
    for e in range(ELITES):
        assert ((asked == e).sum(1) == 200).all()
    for t in range(3):
        pairs = (asked[..., t] * ELITES + asked[..., t + 1]).flatten().long().bincount(minlength=ELITES**2)
        assert (pairs - SEEDS * 200 / ELITES).abs().max() < 40  # about 3.5 deviations: who was asked says nothing


def test_an_imagined_termination_stops_a_rollout():
    imagined = branched(Counting(), known=knowledge(lambda next_obs: next_obs[..., 1] == 0), length=5, rollouts=100)
    ended = (imagined.next_obs[..., 1] == 0).long().cumsum(3)
    assert torch.equal(imagined.alive[..., 1:], ended[..., :-1] == 0)
    assert torch.equal(imagined.discount == 0, imagined.next_obs[..., 1] == 0)
    dreams = mbpo.Dreams(1, 20_000, generators())
    dreams.add(imagined)
    kept = dreams.sample()
    happened = [imagined.obs[s][imagined.alive[s]] for s in range(SEEDS)]
    assert 0 < len(happened[0]) < imagined.alive[0].numel()
    for s in range(SEEDS):
        assert {tuple(x) for x in kept.obs[s].tolist()} == {tuple(x) for x in happened[s].tolist()}
        assert (kept.discount[s] == 0).any() and (kept.discount[s] == 1).any()


def test_the_length_grows_in_a_straight_line_rounded_down():
    length = mbpo.Length(1, 15, 20_000, 150_000)  # the paper's for Hopper
    assert [length(step) for step in (0, 20_000, 29_285, 29_286, 85_000, 149_999, 150_000, 10**6)] == [
        *(1, 1, 1, 2, 8, 14, 15, 15)
    ]
    assert {mbpo.Length(3, 3)(step) for step in (0, 1, 9)} == {3}
    with pytest.raises(ValueError, match="start and end"):
        mbpo.Length(1, 2, 5, 5)


# What is kept


def generation(number, steps=3, alive=True):
    """A generation whose numbers are all its own."""
    shape = (SEEDS, ELITES, ROLLOUTS, steps)
    whole = torch.full(shape, float(number))
    seen = whole.unsqueeze(4).expand(*shape, OBS)
    return Imagined(seen, whole.unsqueeze(4), whole, torch.ones(shape), seen, torch.full(shape, alive))


def test_dreams_forget_generations_that_are_too_old_and_none_sooner():
    dreams = mbpo.Dreams(2, 400, generators())
    for number, kept in enumerate(({0}, {0, 1}, {1, 2}, {2, 3})):
        dreams.add(generation(number, steps=1 + number))
        batch = dreams.sample()
        assert set(batch.reward.flatten().tolist()) == kept
        assert torch.equal(batch.reward, batch.obs[..., 0]) and torch.equal(batch.reward, batch.action[..., 0])


def test_every_step_that_happened_is_sampled_alike_whatever_seed_has_more_of_them():
    imagined = generation(0)
    reward = torch.arange(36.0).view(1, *imagined.reward.shape[1:]).repeat(SEEDS, 1, 1, 1)
    alive = torch.ones_like(imagined.alive)
    alive[1].view(-1)[4:] = False
    dreams = mbpo.Dreams(1, 18_000, generators())
    dreams.add(imagined._replace(reward=reward, alive=alive))
    counts = [row.long().bincount(minlength=36) for row in dreams.sample().reward]
    assert (counts[0] - 500).abs().max() < 100 and (counts[1][:4] - 4_500).abs().max() < 250
    assert counts[1][4:].sum() == 0


# Elites


def test_elites_are_the_members_whose_validation_loss_is_least_and_predict_as_they_do():
    g = generators(1)[0]
    obs, action = torch.randn(SEEDS, 60, OBS, generator=g), torch.rand(SEEDS, 60, ACTIONS, generator=g)
    models = make_dynamics(OBS, ACTIONS, (6,), generators(), members=4, gaussian=True)
    assert models.validation_loss.isinf().all()
    told = fit(models, obs, action, obs.roll(1, 2) * action, generators(), Fitting(epochs=3, batch_size=16))
    assert models.validation_loss.shape == (SEEDS, 4)
    torch.testing.assert_close(models.validation_loss.mean(1), told["model_validation_loss"])

    best = models.best(2)
    given = [x.unsqueeze(1).expand(-1, 4, -1, -1) for x in (obs, action)]
    every, ours = models.law(*given), best.law(*(x[:, :2] for x in given))
    orders = set()
    for s in range(SEEDS):
        order = sorted(range(4), key=models.validation_loss[s].tolist().__getitem__)[:2]
        orders.add(tuple(order))
        for all_of_them, of_elites in zip(every, ours, strict=True):
            torch.testing.assert_close(of_elites[s], all_of_them[s, order])
        assert best.validation_loss[s].tolist() == models.validation_loss[s, order].tolist()
    assert orders != {(0, 1)}  # else the first two would do


def test_only_elites_are_asked_and_all_of_them(monkeypatch):
    """Members that are not elites are made to answer with states that would be seen."""
    best, told = mbpo.Dynamics.best, []

    def poisoned(models, number):
        worst = models.validation_loss.argsort(1)[:, number:]
        rows = (torch.arange(len(worst)).unsqueeze(1) * models.members + worst).flatten()
        models.parameters[0][rows] = float("nan")
        models.refresh()
        return best(models, number)

    def add(dreams, imagined):
        told.append(imagined)

    monkeypatch.setattr(mbpo.Dynamics, "best", poisoned)
    monkeypatch.setattr(mbpo.Dreams, "add", add)
    monkeypatch.setattr(mbpo.Dreams, "sample", lambda dreams: pytest.fail("learning is not wanted here"))
    trained(QUICK, budget=20)
    assert told[0].next_obs.isfinite().all() and told[0].obs.shape[1] == QUICK.elites


# Training


def trained(config, module=mbpo, budget=70, seeds=(0, 1)):
    trial = local_trial(ENVIRONMENTS["pendulum"], seeds, budget, 2, lockstep=True, views=("array", "known"))
    run_training(trial, module.train, config)
    return trial


def test_a_rollout_begins_where_the_run_has_been_and_follows_the_policy_of_that_moment(monkeypatch):
    seen, of_now, branch, update = [], [], mbpo.branched, mbpo.update

    def kept(elites, pi, known, scaled, real_obs, length, chance):
        before = pi(real_obs).mode
        imagined = branch(elites, pi, known, scaled, real_obs, length, chance)
        seen.append((real_obs.clone(), imagined, before, updates[0]))
        return imagined

    def counted(agent, *rest):
        updates[0] += 1
        logged = update(agent, *rest)
        of_now.append(sac.policy(agent.actor(seen[0][0])).mode.detach())
        return logged

    updates = [0]
    monkeypatch.setattr(mbpo, "branched", kept)
    monkeypatch.setattr(mbpo, "update", counted)
    trained(QUICK, budget=52)
    assert [real.shape[1] for real, *_ in seen] == [20, 35, 50]
    assert [number for *_, number in seen] == [0, 28, 58]  # what was imagined at step 35 is replayed by its update
    for real, imagined, *_ in seen:
        starts = imagined.obs[:, :, :, 0].flatten(1, 2)
        assert (starts.unsqueeze(2) == real.unsqueeze(1)).all(3).any(2).all()
    torch.testing.assert_close(seen[1][2][:, :20], of_now[27])  # the policy after 28 updates, and of no other moment
    assert not torch.allclose(of_now[27], of_now[26], atol=1e-5)


def test_the_real_share_of_a_batch_is_exact_and_the_rest_imagined(monkeypatch):
    batches, update = [], mbpo.update

    def imagined(self):
        batch = sample(self)
        return batch._replace(reward=torch.full_like(batch.reward, 77.0))

    sample = mbpo.Dreams.sample
    monkeypatch.setattr(mbpo.Dreams, "sample", imagined)
    monkeypatch.setattr(mbpo, "update", lambda agent, b, *rest: batches.append(b) or update(agent, b, *rest))
    for share, real in ((0.0, 0), (0.25, 2), (0.8, 6), (0.05, 0)):
        batches.clear()
        trained(replace(QUICK, real_share=share), budget=23)
        assert len(batches) == 3 * QUICK.updates
        for batch in batches:
            assert batch.obs.shape[:2] == (SEEDS, QUICK.batch_size)
            assert torch.equal(batch.reward == 77, (torch.arange(QUICK.batch_size) >= real).expand(SEEDS, -1))


@pytest.mark.parametrize("rollouts", [6, 7])
def test_every_imagined_step_is_counted(rollouts):
    config = replace(QUICK, rollouts=rollouts, length=mbpo.Length(1, 4, 20, 50))
    trial = trained(config)
    lengths = [config.length(step) for step in (20, 35, 50, 65)]
    assert lengths == [1, 2, 4, 4]
    assert [run.simulated for run in trial.runs] == [sum(lengths) * config.elites * rollouts] * 2
    told = [value for _, name, value in trial.runs[0].diagnostics if name == "rollout_length"]
    assert told == lengths


def test_with_real_steps_alone_training_is_that_of_sac_bit_for_bit_and_nothing_is_simulated():
    config = replace(QUICK, real_share=1.0, target_every=2, train_every=3)
    shared = {f.name: getattr(config, f.name) for f in fields(sac.Config)}
    ours, theirs = trained(config), trained(sac.Config(**shared), sac)
    for mine, other in zip(ours.runs, theirs.runs, strict=True):
        assert mine.simulated == 0
        assert [episode[3:] for episode in mine.episodes] == [episode[3:] for episode in other.episodes]
        assert [episode[3:] for episode in mine.evaluations] == [episode[3:] for episode in other.evaluations]
        assert mine.diagnostics == other.diagnostics
        assert any(name == "actor_loss" for _, name, _ in mine.diagnostics)


def test_sacs_networks_are_drawn_from_each_seeds_generator_the_actor_first():
    space = gymnasium.spaces.Box(-1, 1, (OBS,))
    agent = sac.make_agent(space, ACTIONS, (5,), 0.5, (0.01, 0.02, 0.03), generators())
    drawn = generators()
    actor = stacked_network(space, (5,), 2 * ACTIONS, drawn)
    critic = stacked_critic(space, ACTIONS, (5,), drawn, members=2)
    pairs = ((agent.actor, actor), (agent.critic, critic), (agent.frozen_critic, critic))
    for ours, theirs in pairs:
        assert all(torch.equal(*both) for both in zip(ours.parameters, theirs.parameters, strict=True))
    torch.testing.assert_close(agent.log_temperature.exp(), torch.full((SEEDS,), 0.5))
    rates = (agent.actor_optimizer, agent.critic_optimizer, agent.temperature_optimizer)
    assert [o.param_groups[0]["lr"] for o in rates] == [0.01, 0.02, 0.03]
    learning = (agent.actor.parameters[0], agent.critic.parameters[0], agent.log_temperature)
    assert all(o.param_groups[0]["params"][0] is leaf for o, leaf in zip(rates, learning, strict=True))


def test_the_models_learn_the_environments_own_units(monkeypatch):
    """Torques up to 2, as the environment takes them, and not the actor's numbers up to 1."""
    seen, fit = [], mbpo.fit
    monkeypatch.setattr(mbpo, "fit", lambda *given: seen.append(given[1:4]) or fit(*given))
    trained(QUICK, budget=50)
    obs, action, next_obs = seen[-1]
    assert action.abs().max() > 1.5
    torch.testing.assert_close(pendulum.dynamics_fn(obs, action), next_obs, atol=1e-4, rtol=1e-4)


def test_more_elites_than_models_are_refused():
    with pytest.raises(ValueError, match="elites"):
        mbpo.Config(models=2, elites=3)


@pytest.mark.parametrize("preset", SPECS["mbpo"].presets)
def test_presets_are_configurations(preset):
    assert resolve_config(mbpo.Config, SPECS["mbpo"].presets[preset]) != mbpo.Config()
