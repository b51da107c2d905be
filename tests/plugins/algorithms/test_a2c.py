"""A2C: its returns by hand, its equality with one full-batch pass of PPO, and worlds of known value."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
from harness.discovery.config import resolve_config
from harness_algorithms import a2c, ppo
from harness_algorithms.blocks.distributions import Categorical
from harness_algorithms.blocks.networks import orthogonal, stacked_mlp
from harness_algorithms.blocks.optim import rmsprop
from harness_algorithms.blocks.policies import stochastic_policy
from harness_algorithms.blocks.rollouts import Rollout
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms
from support.policy_gradient import (
    VALUES,
    assert_repeats_whatever_the_evaluations,
    assert_trains_as_alone,
    assert_values,
    observed,
    trained,
)

GAMMA = 0.9
LENGTH, COPIES, OBSERVED, SEEDS = 5, 4, 3, 2
QUICK = a2c.Config(
    discount=GAMMA, copies=8, hidden=(32,), learning_rate=Linear(1e-2, 0.0), entropy_weight=0.0, max_gradient_norm=None
)
SPACES = {"discrete": gymnasium.spaces.Discrete(3), "box": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)}


def generators(num_seeds=SEEDS, first=0):
    return [torch.Generator().manual_seed(first + seed) for seed in range(num_seeds)]


def networks(kind):
    """A policy and a value function, the same at every call."""
    box = gymnasium.spaces.Box(-1.0, 1.0, (OBSERVED,), np.float32)
    seeds = generators()
    policy = stochastic_policy(box, SPACES[kind], (16,), seeds, "tanh", orthogonal(0.5))
    return policy, stacked_mlp((OBSERVED, 16, 1), seeds, "tanh")


@torch.no_grad()
def random_rollout(policy):
    """Random observations and rewards, actions of the policy, and every kind of end."""
    random = torch.Generator().manual_seed(7)
    shape = (LENGTH, SEEDS, COPIES)
    obs, next_obs = torch.randn(2, *shape, OBSERVED, generator=random)
    terminated, truncated = torch.rand(2, *shape, generator=random) < 0.15
    noise = policy.noise(generators(first=20), COPIES)
    action = torch.stack([policy(x).sample(noise()) for x in obs])
    reward = torch.randn(shape, generator=random)
    return Rollout(obs, action, reward, 1.0 - terminated.float(), terminated | truncated, next_obs)


def test_nothing_is_bootstrapped_across_ends_and_a_time_limit_bootstraps_from_its_true_successor():
    def rows(*numbers):
        return torch.tensor(numbers).view(-1, 1, 1)

    value, next_value = rows(1.0, 2.0, 3.0, 4.0), rows(100.0, 50.0, 4.0, 8.0)
    rollout = Rollout(  # a state is its own value
        obs=value.unsqueeze(3),
        action=rows(0, 0, 0, 0),
        reward=rows(1.0, 1.0, 1.0, 1.0),
        discount=rows(0.0, 1.0, 1.0, 1.0),  # terminated, then a time limit, then the rollout's own end
        ended=rows(True, True, False, False),
        next_obs=next_value.unsqueeze(3),
    )
    batch = a2c.batch_of(rollout, lambda obs: obs, a2c.Config(discount=0.5, copies=1))

    assert batch.target[0].tolist() == [1.0, 1 + 0.5 * 50, 1 + 0.5 * (1 + 0.5 * 8), 1 + 0.5 * 8]
    assert torch.equal(batch.advantage, batch.target - value.flatten())


def test_the_loss_is_as_computed_by_hand_and_advantages_are_not_standardised():
    batch = a2c.Batch(
        obs=torch.tensor([[[0.0], [1.0]]]),
        action=torch.tensor([[0, 1]]),
        advantage=torch.tensor([[3.0, 5.0]]),
        target=torch.tensor([[2.0, 4.0]]),
    )
    logits = torch.tensor([[[0.0, 0.0], [0.0, np.log(3.0)]]])
    parts = a2c.terms(lambda obs: Categorical(logits), lambda obs: obs, batch)

    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert parts.policy.item() == pytest.approx(-(3 * np.log(0.5) + 5 * np.log(0.75)) / 2)
    assert parts.value.item() == pytest.approx((2**2 + 3**2) / 2)
    assert parts.entropy.item() == pytest.approx((np.log(2) + entropy) / 2)


@pytest.mark.parametrize("kind", SPACES)
def test_an_update_is_one_pass_of_ppo_over_the_whole_rollout_without_standardised_advantages(kind):
    shared = {
        "discount": GAMMA,
        "copies": COPIES,
        "rollout_length": LENGTH,
        "value_weight": 0.4,
        "entropy_weight": 0.02,
        "max_gradient_norm": 0.5,
    }
    one_pass = ppo.Config(lambda_=1.0, passes=1, minibatches=1, standardised_advantages=False, **shared)
    ours, others = networks(kind), networks(kind)
    optimizers = [rmsprop([*policy.parameters, *v.parameters], 7e-4, 0.99, 1e-5) for policy, v in (ours, others)]
    rollout = random_rollout(ours[0])
    initial = [parameter.detach().clone() for parameter in ours[0].parameters]

    config = a2c.Config(**shared)
    a2c.update(*ours, optimizers[0], a2c.batch_of(rollout, ours[1], config), config)
    batch = ppo.batch_of(rollout, *others, one_pass)
    ppo.update(*others, optimizers[1], batch, Uniforms(generators(), LENGTH * COPIES), one_pass, clip=0.2)

    for network, other, start in zip(ours, others, (initial, []), strict=True):
        for parameter, twin in zip(network.parameters, other.parameters, strict=True):
            torch.testing.assert_close(parameter, twin, atol=1e-6, rtol=0)
        for parameter, before in zip(network.parameters, start, strict=False):
            assert (parameter - before).abs().max() > 1e-3


def test_rmsprop_is_of_torchs_flavour_and_not_of_tensorflows():
    gradient, rate, decay, epsilon = torch.tensor([[0.5, -1e-4]]), 0.1, 0.9, 1e-3
    parameter = torch.zeros(1, 2, requires_grad=True)
    parameter.grad = gradient
    rmsprop([parameter], rate, decay, epsilon).step()

    average = (1 - decay) * gradient**2
    tensorflows = -rate * gradient / (decay + average + epsilon).sqrt()
    torch.testing.assert_close(parameter.detach(), -rate * gradient / (average.sqrt() + epsilon))
    assert (parameter / tensorflows).min() > 1.5


def test_each_seeds_gradient_is_limited_by_its_own_norm():
    policy, v = networks("discrete")
    config = replace(QUICK, copies=COPIES, max_gradient_norm=0.5)
    rollout = random_rollout(policy)
    rollout.reward[:, 1] *= 1_000
    optimizer = torch.optim.SGD([*policy.parameters, *v.parameters], lr=1.0)
    before = [parameter.detach().clone() for parameter in (*policy.parameters, *v.parameters)]
    a2c.update(policy, v, optimizer, a2c.batch_of(rollout, v, config), config)

    after = (*policy.parameters, *v.parameters)
    moved = torch.cat([new - old for new, old in zip(after, before, strict=True)], 1).norm(dim=1)
    torch.testing.assert_close(moved, torch.full((SEEDS,), 0.5))


@pytest.mark.parametrize(
    ("kind", "asked", "moves"), [("box", None, False), ("box", 0.01, True), ("discrete", None, True)]
)
@pytest.mark.parametrize("algorithm", [a2c, ppo], ids=["a2c", "ppo"])
def test_without_advantages_only_an_entropy_bonus_moves_a_policy_and_a_gaussian_has_none_by_default(
    algorithm, kind, asked, moves
):
    policy, v = networks(kind)
    config = algorithm.Config(copies=COPIES, rollout_length=LENGTH, entropy_weight=asked)
    rollout, optimizer = random_rollout(policy), torch.optim.SGD(policy.parameters, 0.1)
    before, entropy = policy.frozen(), policy(rollout.obs[0]).entropy().mean()
    if algorithm is a2c:
        batch = a2c.batch_of(rollout, v, config)
        a2c.update(policy, v, optimizer, batch._replace(advantage=0 * batch.advantage), config)
    else:
        batch = ppo.batch_of(rollout, policy, v, config)
        batch, shuffle = batch._replace(advantage=0 * batch.advantage), Uniforms(generators(), LENGTH * COPIES)
        ppo.update(policy, v, optimizer, batch, shuffle, config, clip=0.2)

    pairs = zip(policy.parameters, before.parameters, strict=True)
    assert all(torch.equal(new, old) for new, old in pairs) == (not moves)
    assert (policy(rollout.obs[0]).entropy().mean() > entropy) == moves


@pytest.mark.parametrize(("probe", "known"), VALUES.items())
def test_values_of_the_probes_are_learned_by_every_seed(probe, known):
    assert_values(trained(a2c, probe, QUICK, budget=4_000), known)


@pytest.mark.parametrize("suffix", ["", "-continuous"])
@pytest.mark.parametrize(("probe", "numbers"), [("probe-4-action", (0,)), ("probe-5-both", (-1, 1))])
def test_the_probes_best_actions_are_learned_by_every_seed(probe, numbers, suffix):
    outcome = trained(a2c, probe + suffix, QUICK, budget=4_000)

    for number in numbers:
        action = outcome.policy.bounded(outcome.policy(observed(number)).mode).flatten()
        push = action if suffix else 2 * action - 1
        assert (push * (number or 1) > 0.4).all()


@pytest.mark.parametrize("suffix", ["", "-continuous"])
def test_a_time_limit_is_not_an_end_of_the_world(suffix):
    assert_values(trained(a2c, "probe-truncation" + suffix, QUICK, budget=4_000), {0: 1 / (1 - GAMMA)}, 0.3)


def test_a_policy_can_be_learned_from_pixels():
    config = replace(QUICK, learning_rate=Linear(1e-3, 1e-3), max_gradient_norm=0.5)
    trial = trained(a2c, "pixel-motion", config, (0,), budget=6_400).trial
    returns = [episode.value for episode in trial.runs[0].episodes[-50:]]

    assert np.mean(returns) > 0.5  # one frame alone is worth 0


def test_a_seed_trains_as_it_would_alone():
    assert_trains_as_alone(a2c, "cartpole", QUICK, budget=200)
    assert_trains_as_alone(a2c, "pendulum", QUICK, budget=200)


def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation():
    assert_repeats_whatever_the_evaluations(a2c, "cartpole", QUICK, budget=200)


def test_an_update_follows_every_rollout_at_the_rate_that_the_configuration_says():
    rates = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(a2c, "set_learning_rate", lambda _, rate: rates.append(rate))
        trial = trained(a2c, "cartpole", QUICK, (0, 1), budget=160).trial  # four rollouts of 8 · 5 steps

    assert rates == pytest.approx([0.75e-2, 0.5e-2, 0.25e-2, 0.0])
    losses = [[value for _, name, value in run.diagnostics if name == "value_loss"] for run in trial.runs]
    assert len(losses[0]) == len(losses[1]) == 4
    assert losses[0] != losses[1]


(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "a2c"]


@pytest.mark.parametrize("preset", SPEC.presets)
def test_presets_are_configurations(preset):
    assert resolve_config(a2c.Config, SPEC.presets[preset]) != a2c.Config()
