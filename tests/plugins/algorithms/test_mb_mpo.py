"""MB-MPO: the second-order term, adapted policies and their trust region, ME-TRPO as α = 0, and what collects data."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness_algorithms import mb_mpo, trpo
from harness_algorithms.blocks import imagination, linear_baseline
from harness_algorithms.blocks.dynamics import Fitting
from harness_algorithms.blocks.imagination import World, imagine
from harness_algorithms.blocks.linear_baseline import linear_values
from harness_algorithms.blocks.policies import stochastic_policy
from harness_algorithms.blocks.streams import Normals
from harness_algorithms.blocks.tasks import TaskPolicies, in_every_task, over_tasks
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "mb_mpo"]
SEEDS, TASKS, OBS, ACTION = 2, 3, 3, 2
ROWS = SEEDS * TASKS
QUICK = mb_mpo.Config(
    adaptation_rate=0.1,
    curvature_every=1,
    models=TASKS,
    tasks_per_model=1,
    rollouts=2,
    meta_steps=1,
    horizon=10,
    random_steps=30,
    hidden=(4,),
    model_hidden=(8,),
    weight_norm=False,
    fitting=Fitting(epochs=3, batch_size=16),
)


def small_policy(log_std=-0.3, hidden=(3,)):
    spaces = (gymnasium.spaces.Box(-1, 1, (size,), np.float32) for size in (OBS, ACTION))
    generators = [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]
    return stochastic_policy(*spaces, hidden, generators, "tanh", log_std=log_std)


def small_batch(policy, rows, seed, size=8):
    """Steps in which the policies of all tasks could have acted, some of which never happen."""
    generator = torch.Generator().manual_seed(seed)
    obs = torch.randn(ROWS, size, OBS, generator=generator)
    noise = torch.randn(ROWS, size, ACTION, generator=generator)
    advantage = torch.randn(ROWS, size, generator=generator, dtype=torch.float64)
    advantage[:, -1] = 0
    weight = torch.full_like(advantage, 1 / (size - 1))
    weight[:, -1] = 0
    with torch.no_grad():
        action = policy.at(trpo.unflattened(rows, policy.parameters), obs).sample(noise.double())
    return mb_mpo.Batch(obs, action, advantage, weight)


def small_problem(rate, log_std=-0.3, hidden=(3,)):
    """A policy, what it imagined, what its adapted policies imagined, and the hyper-parameters."""
    policy = small_policy(log_std, hidden)
    config = replace(QUICK, adaptation_rate=rate)
    rows = in_every_task(trpo.flattened(policy.parameters), TASKS)
    before = small_batch(policy, rows, seed=1)
    after = small_batch(policy, mb_mpo.adapted(policy, rows, before, rate), seed=2)
    return policy, before, after, config


def normal(policy, rows, obs):
    """The policies of all tasks by torch.distributions: a second implementation, differentiable any number of times."""
    shaped = policy.at(trpo.unflattened(rows, policy.parameters), obs)
    return torch.distributions.Independent(torch.distributions.Normal(shaped.mean, shaped.log_std.exp()), 1)


def objectives(policy, flat, before, after, rate, create_graph):
    """Mean KL from the adapted policies at θ_old, and mean importance-weighted gain, [S]: the paper, word by word."""

    def adapted(theta):
        rows = theta.repeat_interleave(TASKS, 0)
        log_prob = normal(policy, rows, before.obs).log_prob(before.action)
        inner = (log_prob * before.advantage * before.weight).sum()
        (slope,) = torch.autograd.grad(inner, rows, create_graph=create_graph)
        return rows + rate * slope

    old = normal(policy, adapted(trpo.flattened(policy.parameters).requires_grad_()).detach(), after.obs)
    new = normal(policy, adapted(flat), after.obs)
    ratio = (new.log_prob(after.action) - old.log_prob(after.action).detach()).exp()
    kl = (torch.distributions.kl_divergence(old, new) * after.weight).sum(1)
    gain = ((ratio - 1) * after.advantage * after.weight).sum(1)
    return kl.view(SEEDS, TASKS).mean(1), gain.view(SEEDS, TASKS).mean(1)


def meta_problem(rate, log_std=-0.3):
    policy, before, after, config = small_problem(rate, log_std)
    old = trpo.flattened(policy.parameters)
    return policy, before, after, config, old, mb_mpo.problem(policy, old, before, after, config)


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_the_second_order_term_agrees_with_finite_differences(rate):
    """Central differences in float64, along each parameter, of what the adapted policies gain."""
    *_, old, meta = meta_problem(rate)
    step, found = 1e-5, torch.zeros_like(old)
    for i in range(old.shape[1]):
        change = torch.zeros_like(old)
        change[:, i] = step
        above, below = (meta.outcome_at(old + sign * change).surrogate for sign in (1, -1))
        found[:, i] = (above - below) / (2 * step)

    torch.testing.assert_close(meta.gradient, found, atol=1e-8, rtol=1e-6)


def test_without_the_second_order_term_the_gradient_is_another():
    policy, before, after, _, old, meta = meta_problem(rate=1.0)

    def gradient(create_graph):
        flat = old.clone().requires_grad_()
        _, gain = objectives(policy, flat, before, after, 1.0, create_graph)
        return torch.autograd.grad(gain.sum(), flat)[0]

    torch.testing.assert_close(meta.gradient, gradient(create_graph=True), atol=1e-12, rtol=1e-9)
    lacking = (meta.gradient - gradient(create_graph=False)).norm(dim=1) / meta.gradient.norm(dim=1)
    assert (lacking > 0.1).all()


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_the_product_is_with_the_hessian_of_the_divergence_of_adapted_policies(rate):
    """The whole Hessian by autograd through the adaptation."""
    policy, before, after, config, old, meta = meta_problem(rate)
    hessian = torch.autograd.functional.hessian(
        lambda flat: objectives(policy, flat, before, after, rate, create_graph=True)[0].sum(), old
    )
    vector = torch.randn(old.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for seed in range(SEEDS):
        expected = hessian[seed, :, seed] @ vector[seed] + config.damping * vector[seed]
        torch.testing.assert_close(meta.product(vector)[seed], expected, atol=1e-12, rtol=1e-9)


def test_a_hessian_of_fewer_steps_is_that_of_the_steps_that_are_left():
    """The gradient still is of all steps; weights add up to 1 again."""
    policy, before, after, config = small_problem(rate=0.5)
    old = trpo.flattened(policy.parameters)
    whole = mb_mpo.problem(policy, old, before, after, config)
    meta = mb_mpo.problem(policy, old, before, after, replace(config, curvature_every=3))
    left = [mb_mpo.Batch._make(field[:, [0, 3, 6]] for field in batch) for batch in (before, after)]
    left = [batch._replace(weight=torch.full_like(batch.weight, 1 / 3)) for batch in left]
    reached = mb_mpo.adapted(policy, in_every_task(old, TASKS), before, 0.5)

    def divergence(flat):
        rows = flat.repeat_interleave(TASKS, 0)
        (slope,) = torch.autograd.grad(mb_mpo.gain(policy, rows, left[0]).sum(), rows, create_graph=True)
        moved = reached + (rows + 0.5 * slope) - (rows + 0.5 * slope).detach()
        laws = normal(policy, reached, left[1].obs), normal(policy, moved, left[1].obs)
        return torch.distributions.kl_divergence(*laws).mean() * SEEDS

    vector = torch.randn(old.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(divergence, old)
    expected = torch.einsum("spsq,sq->sp", hessian, vector) + config.damping * vector

    assert torch.equal(meta.gradient, whole.gradient)
    torch.testing.assert_close(meta.product(vector), expected, atol=1e-12, rtol=1e-9)


def test_the_trust_region_is_of_old_and_new_adapted_policies_not_of_the_policy_itself():
    policy, before, after, config = small_problem(rate=2.0)
    old = trpo.flattened(policy.parameters)
    reported = mb_mpo.update(policy, before, after, config)
    new = trpo.flattened(policy.parameters)
    for parameter, value in zip(policy.parameters, trpo.unflattened(old, policy.parameters), strict=True):
        parameter.data.copy_(value)
    kl, gain = objectives(policy, new.requires_grad_(), before, after, 2.0, create_graph=False)
    rows = (in_every_task(flat.detach(), TASKS) for flat in (old, new))
    unadapted = torch.distributions.kl_divergence(*(normal(policy, row, after.obs) for row in rows))

    torch.testing.assert_close(reported.kl, kl.detach(), atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(reported.surrogate, gain.detach(), atol=1e-12, rtol=1e-9)
    assert ((reported.kl > 0.2 * config.max_kl) & (reported.kl <= config.max_kl)).all()
    assert (reported.surrogate > 0).all()
    other = (unadapted * after.weight).sum(1).view(SEEDS, TASKS).mean(1)
    assert ((other - kl).abs() > 0.1 * kl).all()


def test_no_policy_is_adapted_where_the_rate_is_zero():
    policy, before, *_ = small_problem(rate=0.0)
    rows = in_every_task(trpo.flattened(policy.parameters), TASKS)

    assert torch.equal(mb_mpo.adapted(policy, rows, before, 0.0), rows)
    assert not torch.equal(mb_mpo.adapted(policy, rows, before, 0.1), rows)


def test_me_trpo_is_trpo_on_what_all_models_imagined():
    """With α = 0, the update is bit for bit that of TRPO, our other algorithm, on the steps of all tasks."""
    policy, before, after, config = small_problem(rate=0.0)
    other, *_ = small_problem(rate=0.0)
    pooled = [field[:, :-1].unflatten(0, (SEEDS, TASKS)).flatten(1, 2) for field in after[:3]]
    settings = trpo.Config(
        max_kl=config.max_kl,
        conjugate_gradient_steps=config.conjugate_gradient_steps,
        damping=config.damping,
        line_search_tries=config.line_search_tries,
        line_search_shrinkage=config.line_search_shrinkage,
    )
    old = trpo.flattened(policy.parameters)
    mb_mpo.update(policy, before, after, config)
    trpo.update(other, trpo.Batch(*pooled, pooled[2]), settings)

    assert (trpo.flattened(policy.parameters) != old).any(1).all()
    for ours, theirs in zip(policy.parameters, other.parameters, strict=True):
        assert torch.equal(ours, theirs)


def test_an_adapted_policy_climbs_the_gain_of_its_own_task_alone():
    policy, before, *_ = small_problem(rate=0.1)
    rows = in_every_task(trpo.flattened(policy.parameters), TASKS)
    gains = [mb_mpo.gain(policy, mb_mpo.adapted(policy, rows, before, rate), before) for rate in (0.0, 0.1)]
    other = before._replace(advantage=torch.cat((-before.advantage[:1], before.advantage[1:])))
    changed = mb_mpo.adapted(policy, rows, other, 0.1) != mb_mpo.adapted(policy, rows, before, 0.1)

    assert (gains[1] > gains[0]).all()
    assert changed.any(1).tolist() == [True] + [False] * (ROWS - 1)


def linear_world(config, factors=(0.9, 1.0, 1.1), reward=lambda obs, action, next_obs: -next_obs.square().sum(-1)):
    """K linear models, and a policy to imagine with."""
    factor = torch.tensor(factors).view(1, -1, 1, 1)
    known = SimpleNamespace(
        reward_fn=reward,
        termination_fn=lambda obs, action, next_obs: next_obs[..., 0] > 2,
        initial_fn=lambda generator, shape: torch.randn(*shape, OBS, generator=generator),
    )

    def model(obs, action):
        return factor * obs + 0.1 * torch.nn.functional.pad(action, (0, OBS - ACTION))

    streams = [[torch.Generator().manual_seed(10 * kind + seed) for seed in range(SEEDS)] for kind in (1, 2)]
    shape = config.models, config.tasks_per_model * config.rollouts
    return World(model, known, streams[0], Normals(streams[1], *shape, ACTION), shape, config.horizon, 1000.0)


def imagined_batch(config, **world):
    policy = small_policy()
    rows = in_every_task(trpo.flattened(policy.parameters), config.models * config.tasks_per_model)
    there = linear_world(config, **world)
    imagined = there.episodes(TaskPolicies(policy, rows), there.chance())
    return imagined, mb_mpo.batch_of(imagined, config)


def test_advantages_are_standardised_per_task():
    """Though the last model's rewards are a thousand times the others', all tasks weigh the same."""
    config = replace(QUICK, tasks_per_model=2, rollouts=5)
    scale = torch.tensor([1.0, 1.0, 1000.0]).view(1, 3, 1)
    _, batch = imagined_batch(config, reward=lambda obs, action, next_obs: scale * next_obs.sum(-1))
    alive = batch.weight > 0

    assert batch.advantage.shape[0] == SEEDS * 6
    assert (~alive).any()
    assert (batch.advantage[~alive] == 0).all()
    mean = (batch.advantage * batch.weight).sum(1)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-9, rtol=0)
    variance = (batch.advantage.square() * batch.weight).sum(1)
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-6, rtol=0)


def test_steps_after_a_termination_weigh_nothing():
    imagined, batch = imagined_batch(replace(QUICK, rollouts=5))
    alive = imagined.alive.flatten(0, 1).flatten(1)

    assert torch.equal(batch.weight > 0, alive)
    torch.testing.assert_close(batch.weight.sum(1), torch.ones(ROWS, dtype=torch.float64))
    assert torch.equal(batch.weight.amax(1), 1 / alive.sum(1).double())


def test_the_baseline_is_fitted_anew_to_every_set_of_trajectories():
    """Advantages are what least squares leaves of a task's own returns, whatever was imagined before."""
    config = replace(QUICK, rollouts=5)
    policy = small_policy()
    policies = TaskPolicies(policy, in_every_task(trpo.flattened(policy.parameters), TASKS))
    world = linear_world(config)
    first, second = (world.episodes(policies, world.chance()) for _ in range(2))
    batch = mb_mpo.batch_of(second, config)
    mb_mpo.batch_of(first, config)

    assert all(map(torch.equal, mb_mpo.batch_of(second, config), batch))
    rows = [field.flatten(0, 1) for field in second]
    discount = config.discount * rows[3].double()
    returns = torch.zeros_like(rows[2], dtype=torch.float64)
    carried = torch.zeros_like(returns[..., 0])
    for t in reversed(range(config.horizon)):
        carried = rows[2][..., t].double() + discount[..., t] * carried
        returns[..., t] = carried
    left = (returns - linear_values(rows[0], returns, rows[5])).flatten(1)
    centred = left - (left * batch.weight).sum(1, keepdim=True)
    deviation = (centred.square() * batch.weight).sum(1, keepdim=True).sqrt()
    expected = torch.where(batch.weight > 0, centred / deviation, 0)
    torch.testing.assert_close(batch.advantage, expected, atol=1e-5, rtol=0)


def test_returns_end_with_the_horizon(monkeypatch):
    """Without a baseline, advantages are the discounted rewards up to step H, with nothing for what might follow."""
    monkeypatch.setattr(linear_baseline, "linear_values", lambda obs, returns, counted: torch.zeros_like(returns))
    monkeypatch.setattr(mb_mpo, "standardised", lambda x, *_: x)
    config = replace(QUICK, discount=0.5)
    _, batch = imagined_batch(
        config, factors=(0.0, 0.0, 0.0), reward=lambda obs, action, next_obs: torch.ones_like(obs[..., 0])
    )
    left = torch.arange(config.horizon, 0, -1, dtype=torch.float64)
    expected = (2 * (1 - 0.5**left)).repeat(config.rollouts)

    assert (batch.weight == batch.weight[0, 0]).all()  # no episode terminates
    torch.testing.assert_close(batch.advantage, expected.expand(ROWS, -1))


def test_adaptation_leaves_the_policy_itself_unchanged(monkeypatch):
    policy = small_policy()
    before = [parameter.detach().clone() for parameter in policy.parameters]
    nothing = trpo.Outcome(torch.zeros(SEEDS, dtype=torch.float64), torch.zeros(SEEDS, dtype=torch.float64))
    monkeypatch.setattr(mb_mpo, "update", lambda *_: nothing)
    trial = SimpleNamespace(simulated=lambda steps: None)
    policies, _ = mb_mpo.learn(trial, policy, linear_world(QUICK), QUICK)

    assert all(map(torch.equal, policy.parameters, before))
    obs = torch.ones(SEEDS, TASKS, OBS)
    means = policies(obs).mean
    assert (means != policy(obs).mean).all()
    assert (means[:, 0] != means[:, 1]).all()


def test_all_imagined_steps_are_counted_those_of_the_comparison_too():
    told = []
    trial = SimpleNamespace(simulated=told.append)
    config = replace(QUICK, meta_steps=2, tasks_per_model=2)
    mb_mpo.learn(trial, small_policy(), linear_world(config), config)

    assert sum(told) == 2 * 3 * TASKS * 2 * config.rollouts * config.horizon


@pytest.mark.parametrize("copies", [1, 2])
def test_every_task_acts_by_its_own_parameters(copies):
    policy = small_policy()
    rows = in_every_task(trpo.flattened(policy.parameters), TASKS)
    rows = rows + torch.arange(ROWS).unsqueeze(1) / 10
    obs = torch.randn(SEEDS, TASKS * copies, OBS, generator=torch.Generator().manual_seed(3))
    law = TaskPolicies(policy, rows)(obs)
    expected = policy.at(trpo.unflattened(rows, policy.parameters), obs.view(ROWS, copies, OBS))

    torch.testing.assert_close(law.mean.view(ROWS, copies, ACTION), expected.mean.float())
    torch.testing.assert_close(law.log_std.reshape(ROWS, copies, ACTION), expected.log_std.float())


def test_the_mean_over_tasks_is_of_each_seeds_own():
    x = torch.arange(12.0).view(ROWS, 2)

    assert over_tasks(x, TASKS).tolist() == [[2, 3], [8, 9]]
    assert torch.equal(over_tasks(in_every_task(x[:2], TASKS), TASKS), x[:2])


def trained(config, seeds=(0, 1), budget=90, points=1, environment="pendulum"):
    """A finished trial."""
    spec = ENVIRONMENTS[environment]
    trial = local_trial(spec, seeds, budget, points, episodes=1, lockstep=True, views=("array", "known"))
    run_training(trial, mb_mpo.train, config)
    return trial


def test_the_adapted_policies_collect_the_real_data(monkeypatch):
    """Each of the copies is driven by another task's policy, here one that is sure of its own torque."""
    seen = []
    learn, fit = mb_mpo.learn, mb_mpo.fit

    def sure(trial, policy, world, config):
        _, log = learn(trial, policy, world, config)
        rows = torch.zeros(2 * TASKS, sum(p[0].numel() for p in policy.parameters))
        rows[:, -2] = torch.arange(2 * TASKS) / 10  # the bias of the mean
        rows[:, -1] = -30.0  # log σ
        return TaskPolicies(policy, rows), log

    def watched(models, obs, action, *rest):
        seen.append(action.clone())
        return fit(models, obs, action, *rest)

    monkeypatch.setattr(mb_mpo, "learn", sure)
    monkeypatch.setattr(mb_mpo, "fit", watched)
    trained(QUICK)
    random, collected = seen[1][:, :30], seen[1][:, 30:].view(2, QUICK.horizon, TASKS)

    assert random.unique().numel() > 50
    assert ((random >= -2) & (random <= 2)).all()
    expected = torch.arange(2 * TASKS).view(2, 1, TASKS) / 10
    torch.testing.assert_close(collected, expected.expand_as(collected))


def test_models_are_fitted_to_all_real_data_once_per_collection_and_to_the_last(monkeypatch):
    sizes, fit = [], mb_mpo.fit
    monkeypatch.setattr(
        mb_mpo, "fit", lambda models, obs, *rest: (sizes.append(obs.shape[1]), fit(models, obs, *rest))[1]
    )
    trained(QUICK, budget=99)

    assert sizes == [30, 60, 90, 99]


def test_the_deviation_is_not_reset(monkeypatch):
    """Every update begins where the last one ended, σ included."""
    ends, update = [], mb_mpo.update

    def watched(policy, *rest):
        begin = policy.log_std.detach().clone()
        outcome = update(policy, *rest)
        ends.append((begin, policy.log_std.detach().clone()))
        return outcome

    monkeypatch.setattr(mb_mpo, "update", watched)
    trained(replace(QUICK, meta_steps=2))

    assert len(ends) == 6
    assert (ends[0][0] == QUICK.log_std).all()
    for (_, before), (begin, _) in pairwise(ends):
        assert torch.equal(before, begin)
    assert (ends[-1][1] != QUICK.log_std).all()


def test_a_models_bias_is_drawn_once_and_added_to_all_it_predicts(monkeypatch):
    """In units of the deviation of Δs: U(0, b), one number for each model."""
    ensembles, found, units = [], [], []
    make = mb_mpo.make_dynamics

    def kept(*args, **settings):
        ensembles.append(make(*args, **settings))
        return ensembles[0]

    def watched(act, model, known, obs, *rest):
        action, deviation = obs[..., :1], ensembles[0].outputs.deviation
        found.append((model(obs, action) - ensembles[0].predict(obs, action)) / deviation.unsqueeze(1))
        units.append(deviation)
        return imagine(act, model, known, obs, *rest)

    monkeypatch.setattr(mb_mpo, "make_dynamics", kept)
    monkeypatch.setattr(imagination, "imagine", watched)
    trained(replace(QUICK, model_bias=0.5))
    bias = found[0][:, :, 0, 0]

    assert ((bias > 0) & (bias < 0.5)).all()
    assert bias.flatten().unique().numel() == 2 * TASKS
    assert not torch.equal(units[0], units[-1])
    for each in found:
        torch.testing.assert_close(each, bias[:, :, None, None].expand_as(each), atol=1e-5, rtol=0)


def test_imagined_observations_are_kept_within_the_limit(monkeypatch):
    seen = []

    def watched(act, model, known, obs, horizon, limit):
        seen.append(imagine(act, model, known, obs, horizon, limit))
        return seen[-1]

    monkeypatch.setattr(imagination, "imagine", watched)
    trained(replace(QUICK, observation_limit=0.5))

    assert all(each.next_obs.abs().max() <= 0.5 for each in seen)
    assert any((each.next_obs.abs() == 0.5).any() for each in seen)


def test_returns_before_and_after_adaptation_are_logged_once_per_collection():
    trial = trained(QUICK)
    for run in trial.runs:
        logged = {name: [x for _, n, x in run.diagnostics if n == name] for _, name, _ in run.diagnostics}
        before, after = logged["imagined_return"], logged["adapted_return"]
        assert len(before) == 3
        assert logged["adaptation_fails"] == [float(b >= a) for b, a in zip(before, after, strict=True)]


def test_returns_before_and_after_adaptation_differ_by_the_adaptation_alone():
    """They share initial states and noise, other ones than those adapted by: with α = 0, nothing is between them."""
    trial = SimpleNamespace(simulated=lambda steps: None)
    for rate in (0.0, 0.1):
        config = replace(QUICK, adaptation_rate=rate)
        drawn = []

        class Watched(World):
            def episodes(self, policy, chance, drawn=drawn):
                drawn.append(chance)
                return super().episodes(policy, chance)

        _, log = mb_mpo.learn(trial, small_policy(), Watched(*linear_world(config)), config)
        assert torch.equal(log["imagined_return"], log["adapted_return"]) == (rate == 0)
        assert drawn[1] is drawn[2]
        assert not torch.equal(drawn[0][0], drawn[1][0])
        assert not torch.equal(drawn[0][1][0], drawn[1][1][0])


def test_real_and_imagined_steps_are_counted_apart():
    trial = trained(QUICK)

    assert trial.steps == 90
    assert [run.simulated for run in trial.runs] == [3 * 3 * TASKS * QUICK.rollouts * QUICK.horizon] * 2


def test_presets_are_configurations():
    for preset in SPEC.presets.values():
        assert resolve_config(mb_mpo.Config, preset) != mb_mpo.Config()


def test_me_trpo_differs_in_the_rate_alone():
    pendulum, me_trpo = (resolve_config(mb_mpo.Config, SPEC.presets[name]) for name in ("pendulum", "me-trpo"))

    assert me_trpo == replace(pendulum, adaptation_rate=0.0)
    assert pendulum.adaptation_rate > 0
