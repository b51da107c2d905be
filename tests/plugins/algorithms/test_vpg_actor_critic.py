"""Vanilla policy gradient and one-step actor-critic: losses by hand, and worlds whose answers are known."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
from harness.discovery.config import resolve_config
from harness_algorithms import actor_critic, vpg
from harness_algorithms.blocks.distributions import Categorical, DiagonalGaussian
from harness_algorithms.blocks.networks import stacked_mlp
from harness_algorithms.blocks.policies import stochastic_policy
from harness_algorithms.blocks.rollouts import Rollout, by_seed
from support.policy_gradient import (
    ACTIONS,
    VALUES,
    assert_actions,
    assert_repeats_whatever_the_evaluations,
    assert_trains_as_alone,
    assert_values,
    trained,
)

VPG = vpg.Config(
    discount=0.9,
    copies=8,
    rollout_length=16,
    hidden=(32,),
    log_std=-1.0,
    learning_rate=0.02,
    value_learning_rate=0.03,
    value_updates=10,
)
ONE_STEP = actor_critic.Config(
    discount=0.9, copies=16, hidden=(32,), log_std=-1.0, learning_rate=0.007, value_learning_rate=0.02
)
BOTH = [pytest.param(vpg, VPG, id="vpg"), pytest.param(actor_critic, ONE_STEP, id="actor_critic")]
REALS = gymnasium.spaces.Box(-1, 1, (2,), np.float32)


def generators(number):
    return [torch.Generator().manual_seed(seed) for seed in range(number)]


def rollout_of(length=12, num_seeds=2, copies=3):
    """A rollout of random numbers, with ends of both kinds."""
    generator = torch.Generator().manual_seed(0)
    shape = (length, num_seeds, copies)
    ended = torch.rand(shape, generator=generator) < 0.3
    terminated = ended & (torch.rand(shape, generator=generator) < 0.5)
    obs, next_obs = torch.randn(2, *shape, 2, generator=generator)
    action = torch.randn(*shape, 2, generator=generator)
    reward = torch.randn(shape, generator=generator)
    assert terminated.any() and (ended & ~terminated).any() and not ended[-1].all()
    return Rollout(obs, action, reward, 1 - terminated.float(), ended, next_obs)


def test_advantages_and_targets_of_vpg_are_sums_over_each_episode_bootstrapped_where_cut():
    """The oracle goes through every step's future by hand."""
    rollout, v, config = rollout_of(), stacked_mlp((2, 8, 1), generators(2)), vpg.Config(copies=3)
    batch = vpg.batch_of(rollout, v, config)
    length = len(rollout.reward)
    advantages, targets = torch.zeros(2, 2, length, 3, dtype=torch.float64).unbind()
    with torch.no_grad():
        value, next_value = (v(by_seed(x)).double() for x in (rollout.obs, rollout.next_obs))
    for s, t, n in np.ndindex(2, length, 3):
        for i in range(t, length):
            gone = 0.99 ** (i - t)
            bootstrap = 0.99 * rollout.discount[i, s, n] * next_value.view(2, length, 3)[s, i, n]
            delta = rollout.reward[i, s, n] + bootstrap - value.view(2, length, 3)[s, i, n]
            advantages[s, t, n] += gone * 0.97 ** (i - t) * delta
            targets[s, t, n] += gone * rollout.reward[i, s, n]
            if rollout.ended[i, s, n] or i == length - 1:
                targets[s, t, n] += gone * bootstrap
                break
    expected = advantages.flatten(1)
    expected = (expected - expected.mean(1, keepdim=True)) / expected.std(1, correction=0, keepdim=True)

    torch.testing.assert_close(batch.target.double(), targets.flatten(1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(batch.advantage.double(), expected, atol=1e-5, rtol=1e-5)
    assert not batch.target.requires_grad and not batch.advantage.requires_grad


def test_whitening_of_equal_advantages_gives_zeros_not_nan():
    same = Rollout._make(field[:1].expand(12, *field.shape[1:]) for field in rollout_of(copies=1))
    ended = torch.ones_like(same.ended)
    batch = vpg.batch_of(same._replace(ended=ended), stacked_mlp((2, 8, 1), generators(2)), vpg.Config(copies=1))

    assert (batch.advantage == 0).all()


def test_the_policy_loss_of_vpg_scores_the_unclipped_action_over_all_dimensions():
    box = gymnasium.spaces.Box(-0.1, 0.1, (2,), np.float32)
    policy = stochastic_policy(REALS, box, (8,), generators(2))
    batch = vpg.batch_of(rollout_of(), stacked_mlp((2, 8, 1), generators(2)), vpg.Config(copies=3))
    normal = torch.distributions.Normal(policy.network(batch.obs), policy.log_std.exp())
    expected = -(normal.log_prob(batch.action).sum(2) * batch.advantage).mean(1)

    assert (batch.action.abs() > 0.1).any()
    torch.testing.assert_close(vpg.policy_loss(policy, batch), expected)


def test_the_value_function_of_vpg_takes_as_many_updates_as_configured(monkeypatch):
    calls = []
    monkeypatch.setattr(vpg, "regress", lambda *args: calls.append(args) or torch.zeros(3))
    trained(vpg, "cartpole", VPG, budget=256)

    assert len(calls) == 2 * 10
    assert calls[0][2].shape == (3, 128, 4)


def test_cartpole_is_well_under_way_after_16_updates_of_vpg_with_its_defaults():
    trial = trained(vpg, "cartpole", vpg.Config(), budget=16 * 2_048).trial

    assert min(np.mean([e.value for e in run.episodes[-20:]]) for run in trial.runs) > 100


@pytest.mark.parametrize(
    ("discount", "expected"),
    [(0.9, 1 + 0.9 * 5 - 3), (0.0, 1 - 3)],  # as within an episode and at a time limit; terminated
)
def test_the_td_error_is_as_computed_by_hand_and_masked_where_the_mdp_terminated(discount, expected):
    numbers = (torch.tensor([[x]]) for x in (3.0, 5.0, 1.0, discount))

    assert actor_critic.td_error(*numbers).item() == pytest.approx(expected)


def test_the_value_of_the_successor_gets_no_gradient():
    value, next_value = torch.ones(2, 2, 1, requires_grad=True).unbind()
    value.retain_grad(), next_value.retain_grad()
    error = actor_critic.td_error(value, next_value, torch.zeros(2, 1), torch.ones(2, 1))
    (error + value).sum().backward()  # which cancels but for next_value

    assert next_value.grad is None
    assert (value.grad == 0).all()


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_delta_is_detached_for_the_actor(kind):
    error = torch.randn(2, 3, requires_grad=True)
    parameters = torch.randn(2, 3, 2, requires_grad=True)
    if kind == "discrete":
        distribution, action = Categorical(parameters), torch.ones(2, 3, dtype=torch.int64)
    else:
        distribution, action = DiagonalGaussian(parameters, torch.zeros(2)), torch.ones(2, 3, 2)
    loss = actor_critic.actor_loss(distribution, action, error, entropy_weight=0.5)
    loss.sum().backward()

    assert error.grad is None
    assert parameters.grad.abs().max() > 0
    expected = -(distribution.log_prob(action) * error + 0.5 * distribution.entropy()).mean(1)
    torch.testing.assert_close(loss, expected)


def test_the_action_scored_is_the_one_sampled_not_the_one_clipped(monkeypatch):
    scored, taken = [], []
    original = actor_critic.actor_loss
    monkeypatch.setattr(
        actor_critic, "actor_loss", lambda d, action, *rest: scored.append(action) or original(d, action, *rest)
    )
    make = actor_critic.stochastic_policy

    def watched(*args, **kwargs):
        policy = make(*args, **kwargs)
        bounded = policy.bounded
        policy.bounded = lambda action: taken.append(bounded(action)) or taken[-1]
        return policy

    monkeypatch.setattr(actor_critic, "stochastic_policy", watched)
    trained(actor_critic, "probe-4-action-continuous", replace(ONE_STEP, log_std=1.0), budget=80)

    assert scored[0].abs().max() > 1
    assert not scored[0].requires_grad  # or the loss would reach the policy through its own sample
    assert any(torch.equal(scored[0].clamp(-1, 1), action) for action in taken)


def test_correlated_updates_are_the_point_so_every_step_of_one_copy_learns(monkeypatch):
    batches = []
    original = actor_critic.actor_loss
    monkeypatch.setattr(actor_critic, "actor_loss", lambda d, a, e, w: batches.append(e.shape) or original(d, a, e, w))
    trained(actor_critic, "cartpole", actor_critic.Config(), budget=50)

    assert batches == [(3, 1)] * 50


@pytest.mark.parametrize(("algorithm", "config"), BOTH)
@pytest.mark.parametrize("probe", ACTIONS)
def test_the_best_actions_of_the_probes_are_found_by_every_seed(algorithm, config, probe):
    assert_actions(trained(algorithm, probe, config, budget=9_600), ACTIONS[probe])


@pytest.mark.parametrize(("algorithm", "config"), BOTH)
@pytest.mark.parametrize("probe", VALUES)
def test_values_of_the_probes_are_learned_by_every_seed(algorithm, config, probe):
    assert_values(trained(algorithm, probe, config, budget=4_800), VALUES[probe], tolerance=0.15)


@pytest.mark.parametrize("suffix", ["", "-continuous"])
@pytest.mark.parametrize(("algorithm", "config"), BOTH)
def test_a_time_limit_is_not_an_end_of_the_world(algorithm, config, suffix):
    outcome = trained(algorithm, f"probe-truncation{suffix}", config, budget=5_120)

    assert_values(outcome, {0: 10}, tolerance=0.5)


@pytest.mark.parametrize(("algorithm", "config"), BOTH)
@pytest.mark.parametrize("environment", ["cartpole", "pendulum"])
def test_a_seed_trains_as_it_would_alone(algorithm, config, environment):
    assert_trains_as_alone(algorithm, environment, config, budget=384)


@pytest.mark.parametrize(("algorithm", "config"), BOTH)
def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation(algorithm, config):
    assert_repeats_whatever_the_evaluations(algorithm, "pendulum", config, budget=384)


@pytest.mark.parametrize("module", [vpg, actor_critic])
def test_presets_are_configurations(module):
    name = module.__name__.rpartition(".")[2]
    (spec,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == name]

    assert spec.presets
    for preset in spec.presets.values():
        resolve_config(module.Config, preset)  # which refuses names and values that are none
