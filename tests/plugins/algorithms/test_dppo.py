"""DPPO by gradients: it is PPO with a penalty whoever holds the data, and stragglers and the dead hold up nobody."""

import os
import signal
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import ConfigError, resolve_config
from harness.measuring.training import run_training
from harness_algorithms import dppo, ppo_kl
from harness_algorithms.blocks.moments import nothing
from harness_algorithms.blocks.optim import adam
from harness_algorithms.blocks.policies import CategoricalPolicy, GaussianPolicy
from harness_algorithms.blocks.rollouts import Rollout
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms
from harness_algorithms.parallel.cluster import Cluster
from support.parallel import played, rows
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
SEEDS, OBSERVED, SHARE = 2, 3, 8
BOX = gymnasium.spaces.Box(-1.0, 1.0, (OBSERVED,), np.float32)
ACTIONS = {"discrete": gymnasium.spaces.Discrete(3), "box": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)}
SMALL = dppo.Config(
    workers=2,
    discount=0.9,
    batch_size=2 * SHARE,
    window=SHARE,
    passes=4,
    target_kl=1e9,  # so that neither the hinge nor the stop is reached
    hidden=(16,),
    learning_rate=Linear(1e-2, 1e-2),
)
QUICK = dppo.Config(workers=8, batch_size=128, window=16, passes=2, hidden=(8,))  # for virtual time


@pytest.fixture(autouse=True)
def _noise_comes_from_rows(monkeypatch):
    for kind in (GaussianPolicy, CategoricalPolicy):
        noise = kind.noise
        monkeypatch.setattr(
            kind,
            "noise",
            lambda self, given, copies, noise=noise: (
                noise(self, given, copies) if isinstance(given, list) else given.__next__
            ),
        )


def script(kind, count, first=0):
    """Rows whose noise is of the right kind."""
    random = torch.Generator().manual_seed(first)
    made = rows(count, SEEDS, OBSERVED, 2, random)
    if kind == "box":
        return made
    return [row._replace(noise=torch.rand(SEEDS, 1, dtype=torch.float64, generator=random)) for row in made]


def spaces(kind):
    return BOX, ACTIONS[kind]


def initial(kind, config=SMALL):
    generators = [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]
    return dppo.agent_of(SimpleNamespace(observation_space=BOX, action_space=ACTIONS[kind]), config, generators)


def learned(kind, config, *scripts):
    """What is published after all that workers could do with these scripts; and their actions."""
    agent = initial(kind, config)
    published = dppo.published_first(agent.flat(), dppo.features_of(BOX, config))
    roles = [partial(dppo.worker, config=config)] * config.workers
    roles.append(partial(dppo.chief, config=config, budget=1_000))
    filler = script(kind, 1)  # the chief's, who takes no step
    return published, played(roles, [*scripts, filler], {dppo.PUBLISHED: published}, spaces(kind))


@pytest.mark.parametrize("kind", ACTIONS)
def test_two_workers_learn_what_one_learns_from_both_their_data(kind):
    """Three batches: gradients, advantages, statistics of observations and of rewards, β."""
    first, second = script(kind, 3 * SHARE + 1, 1), script(kind, 3 * SHARE + 1, 2)
    both = [row for at in range(0, 3 * SHARE, SHARE) for rows in (first, second) for row in rows[at : at + SHARE]]
    config = replace(SMALL, target_kl=0.5, hinge=0.0)
    two, _ = learned(kind, config, first, second)
    one, _ = learned(kind, replace(config, workers=1), [*both, first[-1]])

    assert not torch.equal(one.mean, torch.zeros_like(one.mean))
    assert not torch.equal(one.beta, torch.full((SEEDS,), config.beta))
    for name in ("flat", "mean", "deviation", "kl", "beta"):
        torch.testing.assert_close(getattr(two, name), getattr(one, name), atol=2e-5, rtol=2e-4)


def test_averaged_advantages_are_normalised_over_all_workers_not_over_each_share():
    """One worker's rewards are far above the other's: standardised by itself, that would be forgotten."""
    low, high = script("box", SHARE + 1, 1), script("box", SHARE + 1, 2)
    high = [row._replace(reward=row.reward + 30) for row in high]
    seen = []

    def slope(agent, share, order, config, original=dppo.slope):
        advantage = share[0].advantage
        seen.append((advantage, order.advantage.of(advantage.unsqueeze(2)).squeeze(2)))
        return original(agent, share, order, config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dppo, "slope", slope)
        learned("box", replace(SMALL, scaled_rewards=False), low, high)
    raw, given = (torch.cat([seen[0][i], seen[1][i]], 1) for i in (0, 1))
    expected = (raw - raw.mean(1, keepdim=True)) / raw.std(1, correction=0, keepdim=True)
    torch.testing.assert_close(given, expected, atol=1e-5, rtol=1e-5)
    assert (given[:, :SHARE].mean(1) < -0.5).all() and (given[:, SHARE:].mean(1) > 0.5).all()


@pytest.mark.parametrize("kind", ACTIONS)
def test_one_worker_without_normalisation_is_ppo_with_a_penalty(kind):
    config = replace(SMALL, workers=1, normalised_observations=False, scaled_rewards=False, batch_size=SHARE)
    script_ = script(kind, SHARE + 1, 1)
    published, (actions, _) = learned(kind, config, script_)

    agent = initial(kind, config)
    noise = torch.stack([row.noise for row in script_[:SHARE]])
    obs, reward, discount, ended, next_obs = (torch.stack(x[:SHARE]) for x in list(zip(*script_, strict=True))[:5])
    with torch.no_grad():
        sampled = torch.stack([agent.policy(o).sample(n) for o, n in zip(obs, noise, strict=True)])
    torch.testing.assert_close(agent.policy.bounded(sampled), actions[:SHARE])
    told = {name: getattr(config, name) for name in ("discount", "lambda_", "target_kl", "value_weight")}
    other = ppo_kl.Config(**told, passes=config.passes, minibatches=1, standardised_advantages=True, stop_at=4.0)
    batch = ppo_kl.batch_of(Rollout(obs, sampled, reward, discount, ended, next_obs), agent.v, other)
    shuffle = Uniforms([torch.Generator().manual_seed(seed) for seed in range(SEEDS)], SHARE)
    optimizer = adam(agent.parameters, config.learning_rate.start, ppo_kl.ADAM_EPSILON)
    parts = ppo_kl.update(agent.policy, agent.v, optimizer, batch, shuffle, published.beta, other)

    assert not torch.equal(agent.flat(), initial(kind, config).flat())
    torch.testing.assert_close(published.flat, agent.flat(), atol=2e-5, rtol=2e-4)
    torch.testing.assert_close(published.kl, parts.kl, atol=1e-6, rtol=1e-3)


def test_a_fragment_that_is_cut_is_followed_by_the_value_of_where_it_was_cut():
    config = replace(SMALL, workers=1, window=2, lambda_=1.0, normalised_observations=False, scaled_rewards=False)
    agent = initial("box", config)
    one = torch.ones(3, SEEDS, 1)
    met = torch.randn(4, SEEDS, 1, OBSERVED, generator=torch.Generator().manual_seed(5))
    obs, next_obs = met[:-1], met[1:]
    rollout = Rollout(obs, torch.zeros(3, SEEDS, 1, 2), one, one, torch.zeros(3, SEEDS, 1, dtype=torch.bool), next_obs)
    unseen = nothing(SEEDS, 0).scale, nothing(SEEDS, 1).scale
    (batch, _), _ = dppo.share_of(rollout, agent, dppo.Collect((0, 0), agent.flat(), *unseen), config)

    after = agent.v(next_obs[:, :, 0].transpose(0, 1)).squeeze(2).detach()  # [S, 3]
    second, third = 1 + 0.9 * after[:, 1], 1 + 0.9 * after[:, 2]  # the window's last row, and the share's
    torch.testing.assert_close(batch.target, torch.stack([1 + 0.9 * second, second, third], 1))


@pytest.mark.parametrize("kind", ACTIONS)
def test_the_gradient_has_a_hinge_beyond_two_targets(kind):
    agent = initial(kind)
    obs = torch.randn(SEEDS, 6, OBSERVED, generator=torch.Generator().manual_seed(5))
    old = initial(kind).policy.frozen()(obs)
    action = old.mode
    share = dppo.Batch(obs, action, torch.zeros(SEEDS, 6), agent.v(obs).squeeze(2).detach()), old
    away = agent.flat() + 0.3 * torch.randn(agent.flat().shape, generator=torch.Generator().manual_seed(6))
    order = dppo.Descend((0, 1), away, nothing(SEEDS, 1).scale, torch.zeros(SEEDS))
    config = replace(SMALL, target_kl=1e-4, hinge=3.0, value_weight=0.0)
    found, kl = dppo.slope(agent, share, order, config)

    moved = old.kl(agent.policy(obs)).mean(1)
    assert (kl > 2e-4).all()
    torch.testing.assert_close(found, agent.gradient(3.0 * (moved - 2e-4).square() + 0 * agent.v(obs).sum((1, 2))))
    within, _ = dppo.slope(agent, share, order, replace(config, target_kl=1e9))
    assert torch.equal(within, torch.zeros_like(within))


@pytest.mark.parametrize(("kl", "beta"), [(0.0049, 1 / 1.5), (0.0051, 1.0), (0.0199, 1.0), (0.0201, 1.5)])
def test_beta_is_divided_below_half_the_target_and_multiplied_above_twice_it(kl, beta):
    adapted = dppo.adapted(torch.tensor([1.0]), torch.tensor([kl]), 0.01, beyond=2.0, factor=1.5)
    assert adapted.item() == pytest.approx(beta)


@pytest.mark.parametrize(("target_kl", "factor"), [(1e-6, 1.5), (1e9, 1 / 1.5)])
def test_beta_changes_so_from_batch_to_batch(target_kl, factor):
    config = replace(SMALL, workers=1, batch_size=SHARE, target_kl=target_kl)
    first, second = (learned("box", config, script("box", batches * SHARE + 1))[0] for batches in (1, 2))
    torch.testing.assert_close(second.beta, first.beta * factor)


def test_a_seeds_policy_rests_beyond_four_targets_and_its_value_function_goes_on():
    agent = initial("box")
    optimizer = adam(agent.parameters, 1e-2)
    before = [p.detach().clone() for p in agent.parameters]
    dppo.descend(agent, optimizer, torch.ones_like(agent.flat()), torch.tensor([True, False]), None)

    moved = [(p != old).flatten(1).any(1).tolist() for p, old in zip(agent.parameters, before, strict=True)]
    count = len(agent.policy.parameters)
    assert moved == [[True, False]] * count + [[True, True]] * (len(moved) - count)


def test_adding_workers_leaves_the_batch_as_large_as_it_was():
    assert {dppo.Config(workers=w, batch_size=512).share * w for w in (1, 2, 4, 8)} == {512}


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"workers": 3, "batch_size": 512}, "batch_size"),
        ({"workers": 2, "dropped": 2}, "dropped"),
        ({"dropped": -1}, "dropped"),
        ({"cluster": {"slow": [[5, 2.0]]}}, "slow"),
    ],
)
def test_what_does_not_divide_or_does_not_exist_is_refused_by_name(told, named):
    with pytest.raises(ConfigError, match=named):
        resolve_config(dppo.Config, told)


def virtual(budget=1_280, **changes):
    """A run in virtual time; returns its trial and how many steps it took in a virtual second."""
    trial = local_trial(ENVIRONMENTS["probe-1-constant"], (0,), budget, lockstep=True)
    run_training(trial, dppo.train, replace(QUICK, **changes))
    seconds = [value for _, name, value in trial.runs[0].diagnostics if name == "virtual_seconds"]
    return trial, budget / seconds[-1]


def test_a_straggler_costs_a_fifth_of_throughput_at_most_if_it_may_be_left_out_and_else_more():
    slow = Cluster(slow=((3, 10.0),))
    _, ordinary = virtual()
    _, left_out = virtual(cluster=slow, dropped=1)
    _, waited_for = virtual(cluster=slow)

    assert left_out >= 0.8 * ordinary
    assert waited_for < 0.5 * ordinary


def test_a_stragglers_answers_are_dropped_and_counted():
    def late(**changes):
        return [value for _, name, value in virtual(**changes)[0].runs[0].diagnostics if name == "dropped"][-1]

    assert late(cluster=Cluster(slow=((3, 3.0),)), dropped=1) > 0
    assert late() == 0


def test_a_death_holds_up_nobody_while_as_many_may_be_left_out():
    trial, _ = virtual(cluster=Cluster(deaths=((3, 0.02),)), dropped=1)

    assert trial.steps == trial.budget


def test_the_step_size_falls_by_the_steps_that_were_made_not_by_those_of_the_dead(monkeypatch):
    rates = []
    monkeypatch.setattr(dppo, "set_learning_rate", lambda optimizer, rate: rates.append(rate))
    virtual(cluster=Cluster(deaths=((3, 0.0),)), dropped=1, learning_rate=Linear(1.0, 0.0))

    made = 7 * QUICK.share / 1_280  # of the budget, in each batch
    assert rates == pytest.approx([1 - made * (i + 1) for i in range(len(rates))])
    assert rates[-1] < 2 * made


def test_after_a_slow_and_a_dead_worker_those_who_live_go_on():
    """The slow one is told to join in at once, for with the dead one gone it is needed."""
    trial, _ = virtual(workers=4, cluster=Cluster(slow=((1, 3.0),), deaths=((3, 0.1),)), dropped=1)

    assert trial.steps == trial.budget


def test_a_death_of_one_who_is_waited_for_ends_the_run_with_one_clear_error():
    with pytest.raises(RuntimeError, match="every role has ended, died or waits"):
        virtual(cluster=Cluster(deaths=((3, 0.02),)))


def in_processes(tmp_path, budget=512):
    trial = local_trial(ENVIRONMENTS["cartpole"], (0,), budget, episodes=2, lockstep=False, shared=tmp_path)
    run_training(trial, dppo.train, replace(QUICK, workers=2, backend="processes"))
    return trial


def test_in_processes_the_same_roles_learn_and_end_at_the_budget(tmp_path):
    trial = in_processes(tmp_path)

    assert trial.steps == 512
    assert max(value for _, name, value in trial.runs[0].diagnostics if name == "kl") > 0
    assert trial.runs[0].evaluations


def test_in_processes_a_worker_that_dies_ends_the_run_with_one_clear_error(tmp_path, monkeypatch):
    def dies(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(dppo, "share_of", dies)
    with pytest.raises(RuntimeError, match=r"the process of node [01] was killed by SIGKILL"):
        in_processes(tmp_path)


(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "dppo"]


@pytest.mark.parametrize("preset", SPEC.presets)
def test_presets_are_configurations(preset):
    assert resolve_config(dppo.Config, SPEC.presets[preset]) != dppo.Config()
