"""PPO with an adaptive penalty: the rule of β by hand, its persistence, the divergence it goes by, and known worlds."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
from harness.discovery.config import resolve_config
from harness_algorithms import ppo_kl
from harness_algorithms.blocks.networks import orthogonal, stacked_mlp
from harness_algorithms.blocks.optim import adam
from harness_algorithms.blocks.policies import stochastic_policy
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms
from support.policy_gradient import (
    assert_repeats_whatever_the_evaluations,
    assert_trains_as_alone,
    assert_values,
    observed,
    trained,
)

GAMMA = 0.9
SIZE, OBSERVED, SEEDS = 32, 3, 2
QUICK = ppo_kl.Config(
    discount=GAMMA,
    target_kl=0.05,
    copies=8,
    rollout_length=8,
    passes=4,
    minibatches=2,
    hidden=(32,),
    learning_rate=Linear(2e-2, 2e-2),
    entropy_weight=0.0,
    max_gradient_norm=None,
)
SPACES = {"discrete": gymnasium.spaces.Discrete(3), "box": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)}


def generators(first=0):
    return [torch.Generator().manual_seed(first + seed) for seed in range(SEEDS)]


@torch.no_grad()
def material(kind):
    """A policy, a value function, their optimiser and a batch of the policy's own actions."""
    box = gymnasium.spaces.Box(-1.0, 1.0, (OBSERVED,), np.float32)
    policy = stochastic_policy(box, SPACES[kind], (16,), generators(), "tanh", orthogonal(1.0))
    v = stacked_mlp((OBSERVED, 16, 1), generators(), "tanh")
    random = torch.Generator().manual_seed(7)
    obs = torch.randn(SEEDS, SIZE, OBSERVED, generator=random)
    action = policy(obs).sample(policy.noise(generators(20), SIZE)())
    advantage, target = torch.randn(2, SEEDS, SIZE, generator=random)
    batch = ppo_kl.Batch(obs, action, advantage, target)
    return policy, v, adam([*policy.parameters, *v.parameters], 1e-2), batch


def updated(kind, beta, passes=4):
    """π_old, π after an update with some β per seed, and what the update returned."""
    policy, v, optimizer, batch = material(kind)
    old = policy.frozen()
    config = replace(QUICK, passes=passes, minibatches=2)
    parts = ppo_kl.update(policy, v, optimizer, batch, Uniforms(generators(), SIZE), torch.tensor(beta), config)
    return old, policy, batch, parts


@pytest.mark.parametrize(
    ("kl", "beta"),
    [
        (0.0, 0.5),  # much too timid
        (0.0066, 0.5),  # just below 0.01 / 1.5
        (0.0067, 1.0),  # within the range
        (0.0149, 1.0),
        (0.0151, 2.0),  # just above 1.5 · 0.01
        (1.0, 2.0),
    ],
)
def test_beta_is_halved_below_the_range_and_doubled_above_it(kl, beta):
    assert ppo_kl.adapted(torch.tensor([1.0]), torch.tensor([kl]), target=0.01).tolist() == [beta]


def test_each_seed_has_its_own_beta_which_stays_within_bounds():
    beta = torch.tensor([1.0, 4.0, ppo_kl.LEAST_BETA, ppo_kl.MOST_BETA])
    adapted = ppo_kl.adapted(beta, torch.tensor([0.0, 1.0, 0.0, 1.0]), target=0.01)

    torch.testing.assert_close(adapted, torch.tensor([0.5, 8.0, ppo_kl.LEAST_BETA, ppo_kl.MOST_BETA]))


@pytest.mark.parametrize("kind", SPACES)
def test_the_ratio_is_exactly_1_and_the_divergence_0_on_the_first_pass(kind):
    policy, v, _, batch = material(kind)
    parts = ppo_kl.terms(policy(batch.obs), policy.frozen()(batch.obs), v, batch)

    assert torch.equal(parts.policy, -batch.advantage.mean(1))
    assert torch.equal(parts.kl, torch.zeros(SEEDS))


def torchs(policy, obs):
    """The same distribution, of torch's own making."""
    found = policy(obs)
    if hasattr(found, "log_probs"):
        return torch.distributions.Categorical(logits=found.log_probs)
    normal = torch.distributions.Normal(found.mean, found.log_std.exp())
    return torch.distributions.Independent(normal, 1)


@pytest.mark.parametrize("kind", SPACES)
def test_the_rule_goes_by_the_mean_divergence_of_the_old_policy_from_the_new_over_the_rollout(kind):
    old, policy, batch, parts = updated(kind, [0.1, 0.1])
    with torch.no_grad():
        before, after = torchs(old, batch.obs), torchs(policy, batch.obs)
        forward = torch.distributions.kl_divergence(before, after).mean(1)
        backward = torch.distributions.kl_divergence(after, before).mean(1)

    torch.testing.assert_close(parts.kl, forward, atol=1e-6, rtol=1e-4)
    assert (forward - backward).abs().min() > 1e-4


@pytest.mark.parametrize("kind", SPACES)
def test_a_larger_penalty_keeps_that_seed_nearer_to_its_old_policy_and_no_other(kind):
    light, mixed = updated(kind, [0.1, 0.1])[3].kl, updated(kind, [0.1, 10.0])[3].kl

    assert torch.equal(mixed[0], light[0])
    assert mixed[1] < light[1] / 2


@pytest.mark.parametrize("kind", SPACES)
def test_a_seeds_policy_rests_once_it_is_too_far_away_while_its_value_function_goes_on(kind):
    policy, v, optimizer, batch = material(kind)
    config = replace(QUICK, passes=8, minibatches=1, target_kl=0.005, stop_at=2.0)
    weights, moments, values, kls = [], [], [], []

    def terms(*args, original=ppo_kl.terms):
        weights.append(policy.parameters[0].detach().clone())
        moments.append(torch.stack([*optimizer.rows(policy.parameters[0])[1]]))
        values.append(v.flat.detach().clone())
        kls.append((parts := original(*args)).kl.detach())
        return parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ppo_kl, "terms", terms)
        ppo_kl.update(policy, v, optimizer, batch, Uniforms(generators(), SIZE), torch.tensor([0.1, 1.0]), config)
    weights, moments, values = torch.stack(weights), torch.stack(moments), torch.stack(values)  # [8 + 1, S, P]
    beyond = (torch.stack(kls) > 0.01).long()  # [8 + 1, S]
    assert set(beyond.sum(0).tolist()) <= set(range(1, 8))
    for seed, first in enumerate(beyond.argmax(0).tolist()):
        for learned in (weights, moments):
            moved = (learned[1:, seed] != learned[:-1, seed]).any(1)
            assert moved.tolist() == [step < first for step in range(8)]
    assert (values[1:] != values[:-1]).any(2).all()


def test_without_a_limit_no_policy_rests():
    limited, free = (replace(QUICK, passes=4, minibatches=1, stop_at=stop_at) for stop_at in (1e9, None))
    policies = []
    for config in (limited, free):
        policy, v, optimizer, batch = material("box")
        ppo_kl.update(policy, v, optimizer, batch, Uniforms(generators(), SIZE), torch.tensor([0.1, 0.1]), config)
        policies.append(policy)
    assert all(map(torch.equal, *(policy.parameters for policy in policies)))


@pytest.mark.parametrize("kind", SPACES)
def test_the_gradient_is_that_of_the_penalised_objective_written_out(kind):
    """In the middle of an update, where π is no longer π_old."""
    old, policy, batch, _ = updated(kind, [0.1, 0.1], passes=1)
    v = material(kind)[1]
    parts = ppo_kl.terms(policy(batch.obs), old(batch.obs), v, batch)
    found = torch.autograd.grad((parts.policy + 0.7 * parts.kl).sum(), policy.parameters)

    before, after = torchs(old, batch.obs), torchs(policy, batch.obs)
    ratio = (after.log_prob(batch.action) - before.log_prob(batch.action).detach()).exp()
    penalised = ratio * batch.advantage - 0.7 * torch.distributions.kl_divergence(before, after)
    for gradient, expected in zip(found, torch.autograd.grad(-penalised.mean(1).sum(), policy.parameters), strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def test_beta_persists_across_rollouts_and_moves_both_ways():
    config = replace(QUICK, learning_rate=Linear(3e-2, 3e-3))
    trial = trained(ppo_kl, "cartpole", config, (0, 1), budget=3_200).trial
    rows = {name: [v for _, n, v in trial.runs[0].diagnostics if n == name] for name in ("beta", "kl")}
    beta = torch.tensor(rows["beta"])

    assert beta[0] == config.beta
    expected = ppo_kl.adapted(beta, torch.tensor(rows["kl"]), config.target_kl)
    assert torch.equal(beta[1:], expected[:-1])
    assert (beta[1:] < beta[:-1]).any() and (beta[1:] > beta[:-1]).any()
    assert beta.max() / beta.min() > 4  # so it did not begin anew with each rollout


@pytest.mark.parametrize("suffix", ["", "-continuous"])
def test_a_probes_values_are_learned_by_every_seed(suffix):
    assert_values(trained(ppo_kl, "probe-3-discounting" + suffix, QUICK, budget=1_280), {0: GAMMA, 1: 1})


@pytest.mark.parametrize("suffix", ["", "-continuous"])
@pytest.mark.parametrize(("probe", "numbers"), [("probe-4-action", (0,)), ("probe-5-both", (-1, 1))])
def test_the_probes_best_actions_are_learned_by_every_seed(probe, numbers, suffix):
    outcome = trained(ppo_kl, probe + suffix, QUICK, budget=1_280)

    for number in numbers:
        action = outcome.policy.bounded(outcome.policy(observed(number)).mode).flatten()
        push = action if suffix else 2 * action - 1
        assert (push * (number or 1) > 0.4).all()


def test_a_time_limit_is_not_an_end_of_the_world():
    config = replace(QUICK, hidden=(8,), learning_rate=Linear(5e-2, 5e-2))
    assert_values(trained(ppo_kl, "probe-truncation", config, budget=1_536), {0: 1 / (1 - GAMMA)}, 0.3)


def test_a_seed_trains_as_it_would_alone():
    assert_trains_as_alone(ppo_kl, "cartpole", QUICK, budget=192)
    assert_trains_as_alone(ppo_kl, "pendulum", QUICK, budget=192)


def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation():
    assert_repeats_whatever_the_evaluations(ppo_kl, "cartpole", QUICK, budget=192)


(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "ppo_kl"]


@pytest.mark.parametrize("preset", SPEC.presets)
def test_presets_are_configurations_whose_minibatches_are_equal(preset):
    config = resolve_config(ppo_kl.Config, SPEC.presets[preset])

    assert config != ppo_kl.Config()
    assert config.copies * config.rollout_length % config.minibatches == 0
