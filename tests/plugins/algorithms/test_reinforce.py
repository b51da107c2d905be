"""REINFORCE: its weightings by hand, their variances, cut episodes, and worlds whose best action is known."""

from dataclasses import asdict, replace

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
from harness.discovery.config import resolve_config
from harness_algorithms import reinforce
from harness_algorithms.blocks.networks import stacked_mlp
from harness_algorithms.blocks.policies import GaussianPolicy, stochastic_policy
from harness_algorithms.blocks.regression import regress
from harness_algorithms.blocks.returns import standardised
from harness_algorithms.blocks.rollouts import Rollout, by_seed, collect
from support.policy_gradient import (
    ACTIONS,
    ENVIRONMENTS,
    VALUES,
    assert_actions,
    assert_repeats_whatever_the_evaluations,
    assert_trains_as_alone,
    assert_values,
    trained,
)
from support.trial import local_trial

QUICK = reinforce.Config(
    discount=0.9,
    standardised_weights=True,
    log_std=-1.0,
    copies=8,
    rollout_length=16,
    learning_rate=0.02,
    value_learning_rate=0.03,
    value_updates=10,
)
WEIGHTINGS = ("full_return", "reward_to_go", "baseline")


def column(*numbers, dtype=torch.float32):
    """[T, 1, 1]."""
    return torch.tensor(numbers, dtype=dtype).view(-1, 1, 1)


# An end after the second row, a time limit after the fourth, and an episode that the rollout's end cuts.
REWARD = column(1, 4, 4, 16, 16, 32)
DISCOUNT = column(1, 0, 1, 1, 1, 1)  # without γ, which is 0.5 in what is computed by hand
ENDED = column(0, 1, 0, 1, 0, 0, dtype=torch.bool)
OBS = torch.arange(6.0).view(6, 1, 1, 1) / 6
ACTION = torch.tensor([0, 1, 1, 0, 1, 0]).view(6, 1, 1)
REALS = gymnasium.spaces.Box(-1, 1, (1,), np.float32)


def generators(number=1):
    return [torch.Generator().manual_seed(seed) for seed in range(number)]


def rollout_of(reward=REWARD, discount=DISCOUNT, ended=ENDED, action=ACTION):
    return Rollout(OBS, action, reward, discount, ended, OBS + 0.5)


def batch_of(weighting, rollout=None, v=None, standardised_weights=False):
    config = reinforce.Config(weighting, 0.5, standardised_weights)
    return reinforce.batch_of(rollout or rollout_of(), v, config)


def policy_of(action_space):
    return stochastic_policy(REALS, action_space, (8,), generators())


def gradient_of(policy, batch):
    """−ĝ, over all parameters, [P]."""
    gradients = torch.autograd.grad(reinforce.policy_loss(policy, batch).sum(), policy.parameters)
    return torch.cat([g.flatten() for g in gradients])


@pytest.mark.parametrize(
    ("weighting", "expected"), [("full_return", [3, 3, 12, 12, 0, 0]), ("reward_to_go", [3, 4, 12, 16, 0, 0])]
)
def test_weights_without_a_baseline_are_as_computed_by_hand(weighting, expected):
    batch = batch_of(weighting)

    assert batch.weight.tolist() == [expected]
    assert batch.used.tolist() == [[True, True, True, True, False, False]]


def test_weights_with_a_baseline_are_as_computed_by_hand_and_bootstrap_at_both_cuts():
    v = stacked_mlp((1, 8, 1), generators())
    value, next_value = v(by_seed(OBS)).flatten().tolist(), v(by_seed(OBS + 0.5)).flatten().tolist()
    batch = batch_of("baseline", v=v)

    last = 32 + 0.5 * next_value[5]
    limit = 16 + 0.5 * next_value[3]
    expected = [3, 4, 4 + 0.5 * limit, limit, 16 + 0.5 * last, last]
    assert batch.target[0].tolist() == pytest.approx(expected)
    assert batch.weight[0].tolist() == pytest.approx([g - b for g, b in zip(expected, value, strict=True)])
    assert batch.used.all()


def test_reward_is_aligned_with_the_action_that_caused_it_and_those_before_it():
    before = batch_of("reward_to_go").weight[0]
    reward = REWARD.clone()
    reward[2] += 10
    after = batch_of("reward_to_go", rollout_of(reward=reward)).weight[0]

    assert (after - before).tolist() == [0, 0, 10, 0, 0, 0]


@pytest.mark.parametrize("weighting", ["full_return", "reward_to_go"])
def test_cut_episodes_without_a_baseline_are_left_out_of_the_update(weighting):
    policy = policy_of(gymnasium.spaces.Discrete(2))
    reward, action = REWARD.clone(), ACTION.clone()
    reward[4:], action[4:] = 1e6, 1 - action[4:]
    changed = rollout_of(reward=reward, action=action)
    shorter = Rollout._make(field[:4] for field in rollout_of())
    gradient = gradient_of(policy, batch_of(weighting))

    assert gradient.abs().max() > 0.1
    assert torch.equal(gradient, gradient_of(policy, batch_of(weighting, changed)))
    torch.testing.assert_close(gradient, gradient_of(policy, batch_of(weighting, shorter)))


def test_cut_episodes_with_a_baseline_count():
    policy, v = policy_of(gymnasium.spaces.Discrete(2)), stacked_mlp((1, 8, 1), generators())
    reward = REWARD.clone()
    reward[4:] = 100
    one, other = (gradient_of(policy, batch_of("baseline", r, v)) for r in (None, rollout_of(reward=reward)))

    assert not torch.allclose(one, other)


def test_a_rollout_in_which_no_episode_ends_has_no_gradient():
    endless = rollout_of(ended=torch.zeros_like(ENDED))
    gradient = gradient_of(policy_of(gymnasium.spaces.Discrete(2)), batch_of("reward_to_go", endless))

    assert (gradient == 0).all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_whitening_equal_returns_gives_zeros_not_nan_although_std_is_0(weighting):
    equal = Rollout._make(f[:1].expand(6, *f.shape[1:]) for f in rollout_of())
    equal = equal._replace(reward=torch.full_like(REWARD, 0.1), ended=torch.ones_like(ENDED))
    v = stacked_mlp((1, 8, 1), generators()) if weighting == "baseline" else None
    batch = batch_of(weighting, equal._replace(discount=0 * DISCOUNT), v, standardised_weights=True)

    assert batch.used.all()
    assert (batch.weight == 0).all()


def test_whitening_counts_only_the_steps_of_the_update():
    weight = batch_of("reward_to_go", standardised_weights=True).weight[0]

    torch.testing.assert_close(weight[:4], standardised(torch.tensor([3.0, 4.0, 12.0, 16.0]), 0))
    assert (weight[4:] == 0).all()


def test_integer_rewards_are_not_truncated():
    whole = [f(REWARD.long(), 0.5 * DISCOUNT, ENDED) for f in (reinforce.full_return, reinforce.reward_to_go)]
    reals = [f(REWARD, 0.5 * DISCOUNT, ENDED) for f in (reinforce.full_return, reinforce.reward_to_go)]
    fifth = reinforce.reward_to_go(column(1, 1, dtype=torch.int64), column(0.2, 0), column(0, 1) > 0)

    assert all(map(torch.equal, whole, reals))
    assert fifth.flatten().tolist() == pytest.approx([1.2, 1])


def test_log_probabilities_of_discrete_actions_take_int64_and_are_those_of_torch():
    policy = policy_of(gymnasium.spaces.Discrete(2))
    batch = batch_of("reward_to_go")
    oracle = torch.distributions.Categorical(logits=policy.network(batch.obs)).log_prob(batch.action)

    assert batch.action.dtype == torch.int64
    torch.testing.assert_close(reinforce.policy_loss(policy, batch), -(oracle * batch.weight).sum(1) / 4)


def test_log_probabilities_of_continuous_actions_are_summed_over_dimensions():
    policy = policy_of(gymnasium.spaces.Box(-1, 1, (3,), np.float32))
    action = torch.randn(6, 1, 1, 3, generator=generators()[0])
    batch = batch_of("reward_to_go", rollout_of(action=action))
    normal = torch.distributions.Normal(policy.network(batch.obs), policy.log_std.exp())
    oracle = torch.distributions.Independent(normal, 1).log_prob(batch.action)

    assert isinstance(policy, GaussianPolicy)
    assert oracle.shape == batch.weight.shape
    torch.testing.assert_close(reinforce.policy_loss(policy, batch), -(oracle * batch.weight).sum(1) / 4)


def trajectories(number, length=120):
    """The first episodes of one untrained policy on CartPole, one for each seed; and the policy, S times."""
    trial = local_trial(ENVIRONMENTS["cartpole"], range(number), length + 1, lockstep=True)
    env = trial.make_lockstep_env()
    policy = stochastic_policy(
        env.single_observation_space, env.single_action_space, (16,), trial.generators("initialisation")
    )
    with torch.no_grad():
        for parameter in policy.parameters:
            parameter[:] = parameter[0]
    trial.policy = lambda obs: policy(obs).mode
    noise = policy.noise(trial.generators("policy"), 1)
    rollout, _ = collect(env, policy, noise, env.reset(), length)
    trial.close()
    first = rollout.ended.int().cumsum(0) - rollout.ended.int() == 0  # [T, S, 1]
    assert rollout.ended.any(0).all()
    return rollout, first, policy


def test_each_weighting_is_less_noisy_than_the_one_before_and_of_the_same_mean():
    """The claim itself: at a fixed policy, no training, on the same episodes, the seed axis as episodes."""
    number = 256
    rollout, first, policy = trajectories(number)
    rewards = rollout.reward, rollout.discount, rollout.ended  # γ = 1
    to_go = reinforce.reward_to_go(*rewards)
    fresh, used, _ = trajectories(2 * number)  # the last ones are not those above
    v = stacked_mlp((4, 32, 1), generators(), "tanh")
    optimizer = torch.optim.Adam(v.parameters, 0.01)
    episodes = used[:, number:]
    obs = fresh.obs[:, number:][episodes][None]
    target = reinforce.reward_to_go(*(f[:, number:] for f in (fresh.reward, fresh.discount, fresh.ended)))
    for _ in range(150):
        regress(v, optimizer, obs, target[episodes][None])
    value = v(rollout.obs.flatten(0, 2)[None]).view_as(to_go).detach()
    weights = {
        "nothing": torch.ones_like(to_go),
        "full": reinforce.full_return(*rewards),
        "to_go": to_go,
        "baseline": to_go - value,
    }
    gradients = {}
    for name, weight in weights.items():
        log_prob = policy(by_seed(rollout.obs)).log_prob(by_seed(rollout.action))
        total = (log_prob * by_seed(weight * first)).sum()  # of episodes, which share no parameter
        (gradients[name],) = torch.autograd.grad(total, policy.parameters)  # [S, P], one row for each episode
    variances = {name: g.var(0).sum().item() for name, g in gradients.items()}  # tr Cov

    assert variances["full"] > 1.5 * variances["to_go"] > 1.5 * 1.5 * variances["baseline"]
    for one, other in (("full", "to_go"), ("to_go", "baseline")):
        difference = gradients[one] - gradients[other]  # paired
        squares = difference.mean(0).square().sum() / (difference.var(0).sum() / number)
        assert squares < 3  # its mean is 1 where the means are the same
    errors = [g.mean(0).norm().item() for g in (gradients["nothing"][:16], gradients["nothing"])]
    expected = (variances["nothing"] / number) ** 0.5
    assert errors[1] < 2 * expected  # E[∇ log π] is 0, and its estimate nears that
    assert 2 < errors[0] / errors[1] < 8  # as 1/√N: 4


@pytest.mark.parametrize("suffix", ["", "-continuous"])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("probe", ["probe-4-action", "probe-5-both"])
def test_the_best_actions_of_the_probes_are_found_by_every_seed(probe, weighting, suffix):
    probe += suffix
    outcome = trained(reinforce, probe, replace(QUICK, weighting=weighting), budget=6_400 if suffix else 3_840)

    assert_actions(outcome, ACTIONS[probe])


@pytest.mark.parametrize("probe", VALUES)
def test_the_baseline_learns_the_values_of_the_probes(probe):
    assert_values(trained(reinforce, probe, QUICK, budget=3_200), VALUES[probe])


def test_a_time_limit_is_not_an_end_of_the_world_for_the_baseline():
    outcome = trained(reinforce, "probe-truncation", QUICK, budget=6_400)

    assert_values(outcome, {0: 10}, tolerance=0.5)


@pytest.mark.parametrize("weighting", ["full_return", "reward_to_go"])
def test_without_a_baseline_there_is_no_value_function(weighting):
    assert trained(reinforce, "cartpole", replace(QUICK, weighting=weighting), budget=64).v is None


@pytest.mark.parametrize("environment", ["cartpole", "pendulum"])
def test_a_seed_trains_as_it_would_alone(environment):
    assert_trains_as_alone(reinforce, environment, QUICK, budget=640)


def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation():
    assert_repeats_whatever_the_evaluations(reinforce, "cartpole", QUICK, budget=640)


def test_presets_differ_in_the_weighting_alone():
    (spec,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "reinforce"]
    names = ("full-return", "reward-to-go", "baseline")
    configs = [asdict(resolve_config(reinforce.Config, spec.presets[name])) for name in names]

    assert tuple(config.pop("weighting") for config in configs) == WEIGHTINGS
    assert configs[0] == configs[1] == configs[2]
