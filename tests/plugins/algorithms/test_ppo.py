"""PPO: its formulas by hand and beside plain torch, worlds of known value, and what must not change as it learns."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

import harness_algorithms
from harness.api import Step
from harness.discovery.config import resolve_config
from harness_algorithms import ppo
from harness_algorithms.blocks.distributions import Categorical
from harness_algorithms.blocks.networks import orthogonal, stacked_mlp
from harness_algorithms.blocks.optim import adam
from harness_algorithms.blocks.policies import stochastic_policy
from harness_algorithms.blocks.rollouts import Rollout, by_seed, collect
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
LENGTH, COPIES, OBSERVED = 8, 4, 3
QUICK = ppo.Config(
    discount=GAMMA,
    copies=8,
    rollout_length=8,
    minibatches=2,
    hidden=(32,),
    learning_rate=Linear(2e-2, 2e-2),
    entropy_weight=0.0,
    max_gradient_norm=None,
)
CUT = replace(QUICK, copies=COPIES, rollout_length=LENGTH)  # for rollouts made here
SPACES = {"discrete": gymnasium.spaces.Discrete(3), "box": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)}


def generators(num_seeds, first=0):
    return [torch.Generator().manual_seed(first + seed) for seed in range(num_seeds)]


def networks(kind, num_seeds, output_gain=1.0):
    """A policy and a value function of random parameters."""
    box = gymnasium.spaces.Box(-1.0, 1.0, (OBSERVED,), np.float32)
    seeds = generators(num_seeds)
    policy = stochastic_policy(box, SPACES[kind], (16,), seeds, "tanh", orthogonal(output_gain), -0.5)
    return policy, stacked_mlp((OBSERVED, 16, 1), seeds, "tanh")


@torch.no_grad()
def random_rollout(policy, num_seeds):
    """Random observations and rewards, actions of the policy, and every kind of end."""
    random = torch.Generator().manual_seed(7)
    shape = (LENGTH, num_seeds, COPIES)
    obs, next_obs = torch.randn(2, *shape, OBSERVED, generator=random)
    terminated, truncated = torch.rand(2, *shape, generator=random) < 0.15
    noise = policy.noise(generators(num_seeds, 20), COPIES)
    action = torch.stack([policy(x).sample(noise()) for x in obs])
    reward = torch.randn(shape, generator=random)
    return Rollout(obs, action, reward, 1.0 - terminated.float(), terminated | truncated, next_obs)


def hand_made(value, next_value, reward, discount, ended):
    """A rollout [T, 1, 1] in which a state is its own value."""
    rows = [torch.tensor(x).view(-1, 1, 1) for x in (value, next_value, reward, discount, ended)]
    value, next_value, reward, discount, ended = rows
    return Rollout(value.unsqueeze(3), torch.zeros_like(ended).long(), reward, discount, ended, next_value.unsqueeze(3))


class Watched:
    """Calls of one function of the module, by their arguments, while a block runs."""

    def __init__(self, name):
        self.name, self.calls, self.patch = name, [], pytest.MonkeyPatch()

    def __enter__(self):
        original = getattr(ppo, self.name)

        def watched(*args, **kwargs):
            self.calls.append(args)
            return original(*args, **kwargs)

        self.patch.setattr(ppo, self.name, watched)
        return self.calls

    def __exit__(self, *_):
        self.patch.undo()


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),  # where every update begins: the policy gradient
        (1.5, 2.0, 1.2 * 2, 0.0),  # gone far enough
        (1.5, -2.0, -3.0, -3.0),  # gone the wrong way: back
        (0.5, 2.0, 1.0, 1.0),
        (0.5, -2.0, -0.8 * 2, 0.0),
    ],
)
def test_the_objective_is_clipped_only_where_there_is_something_to_gain(ratio, advantage, objective, slope):
    log_ratio = torch.tensor(ratio).log().requires_grad_()
    found = ppo.clipped_objective(log_ratio, torch.tensor(advantage), clip=0.2)
    found.backward()

    assert found.item() == pytest.approx(objective)
    assert log_ratio.grad.item() == pytest.approx(slope)  # ρ Â where not clipped


def test_nothing_is_bootstrapped_across_ends_and_a_time_limit_bootstraps_from_its_true_successor():
    config = ppo.Config(discount=0.5, lambda_=1.0, copies=1)
    rollout = hand_made(
        value=[1.0, 2.0, 3.0, 4.0],
        next_value=[100.0, 50.0, 4.0, 8.0],
        reward=[1.0, 1.0, 1.0, 1.0],
        discount=[0.0, 1.0, 1.0, 1.0],  # terminated, then a time limit, then the rollout's own end
        ended=[True, True, False, False],
    )
    batch = ppo.batch_of(rollout, lambda obs: Categorical(obs.expand(-1, -1, 2)), lambda obs: obs, config)

    assert batch.target[0].tolist() == [1.0, 1 + 0.5 * 50, 1 + 0.5 * (1 + 0.5 * 8), 1 + 0.5 * 8]
    assert torch.equal(batch.advantage, batch.target - torch.tensor([[1.0, 2.0, 3.0, 4.0]]))


def test_the_ratio_is_1_on_the_first_pass_and_the_unclipped_action_is_scored():
    policy, v = networks("box", 2)
    rollout = random_rollout(policy, 2)
    batch = ppo.batch_of(rollout, policy, v, CUT)

    assert (rollout.action.abs() > 1).any()  # the environment would get 1
    assert torch.equal(batch.action, by_seed(rollout.action))
    assert torch.equal(policy(batch.obs).log_prob(batch.action), batch.log_prob)
    parts = ppo.terms(policy, v, batch, clip=0.2)
    torch.testing.assert_close(parts.policy, -batch.advantage.mean(1))


def test_the_environment_gets_clipped_actions_and_learning_the_sampled_ones():
    taken = []

    class Env:
        def step(self, action):
            taken.append(action)
            return next(steps)

    policy, _ = networks("box", 1)
    obs = torch.randn(1, COPIES, OBSERVED)
    zeros = torch.zeros(1, COPIES)
    steps = iter([Step(obs, zeros, zeros, zeros > 0, obs)] * 50)
    rollout, _ = collect(Env(), policy, policy.noise(generators(1), COPIES), obs, 50)

    assert torch.stack(taken).abs().max() == 1
    assert rollout.action.abs().max() > 1
    torch.testing.assert_close(rollout.action.clamp(-1, 1), torch.stack(taken))


@pytest.mark.parametrize("kind", SPACES)
def test_old_log_probabilities_and_advantages_are_frozen_for_all_passes(kind):
    policy, v = networks(kind, 2)
    config = replace(CUT, passes=3, minibatches=2, standardised_advantages=False)
    batch = ppo.batch_of(random_rollout(policy, 2), policy, v, config)
    optimizer = adam([*policy.parameters, *v.parameters], 1e-2)
    with Watched("terms") as calls:
        ppo.update(policy, v, optimizer, batch, Uniforms(generators(2), LENGTH * COPIES), config, 0.2)

    assert len(calls) == 3 * 2
    for one, other in zip(calls[::2], calls[1::2], strict=True):
        for field in ("log_prob", "advantage", "target"):
            seen = torch.cat([getattr(one[2], field), getattr(other[2], field)], 1)
            assert torch.equal(seen.sort(1).values, getattr(batch, field).sort(1).values)
    assert not torch.allclose(policy(batch.obs).log_prob(batch.action), batch.log_prob, atol=1e-2)


def test_advantages_are_standardised_in_each_minibatch_of_each_seed():
    policy, v = networks("discrete", 2)
    config = replace(CUT, passes=1, minibatches=4)
    batch = ppo.batch_of(random_rollout(policy, 2), policy, v, config)
    optimizer = adam([*policy.parameters, *v.parameters], 1e-2)
    with Watched("terms") as calls:
        ppo.update(policy, v, optimizer, batch, Uniforms(generators(2), LENGTH * COPIES), config, 0.2)

    for _, _, part, _ in calls:
        assert part.advantage.shape == (2, 8)
        torch.testing.assert_close(part.advantage.mean(1), torch.zeros(2), atol=1e-6, rtol=0)
        torch.testing.assert_close(part.advantage.std(1, correction=0), torch.ones(2))


class Plain(nn.Module):
    """One seed's policy and value function, of torch's own layers and distributions."""

    def __init__(self, policy, v, seed):
        super().__init__()
        self.pi, self.v = (self.layers(network, seed) for network in (getattr(policy, "network", policy), v))
        self.log_std = nn.Parameter(policy.log_std[seed, 0].detach().clone()) if len(policy.parameters) > 1 else None

    @staticmethod
    def layers(network, seed):
        linear = []
        for weight, bias in zip(network.weights, network.biases, strict=True):
            layer = nn.Linear(weight.shape[2], weight.shape[1])
            layer.weight.data.copy_(weight[seed])
            layer.bias.data.copy_(bias[seed, :, 0])
            linear += [layer, nn.Tanh()]
        return nn.Sequential(*linear[:-1])

    def distribution(self, obs):
        if self.log_std is None:
            return torch.distributions.Categorical(logits=self.pi(obs))
        normal = torch.distributions.Normal(self.pi(obs), self.log_std.exp())
        return torch.distributions.Independent(normal, 1)

    def flat(self):
        layers = [torch.cat([p.flatten() for p in net.parameters()]) for net in (self.pi, self.v)]
        return [layers[0], *([] if self.log_std is None else [self.log_std]), layers[1]]


def plain_advantages(plain, rollout, seed, config):
    """Generalised advantages and returns, one row after the other; [T, N] each."""
    obs, next_obs, reward, discount, ended = (
        x[:, seed] for x in (rollout.obs, rollout.next_obs, rollout.reward, rollout.discount, rollout.ended)
    )
    with torch.no_grad():
        value, next_value = plain.v(obs)[..., 0], plain.v(next_obs)[..., 0]
    advantage, last = torch.zeros(LENGTH, COPIES), torch.zeros(COPIES)
    for t in reversed(range(LENGTH)):
        delta = reward[t] + config.discount * next_value[t] * discount[t] - value[t]
        last = delta + config.discount * config.lambda_ * (~ended[t]).float() * last
        advantage[t] = last
    return advantage, advantage + value


def plain_update(plain, rollout, seed, config, orders, clip):
    """PPO's update as Stable-Baselines3 writes it, with the population's deviation."""
    advantage, target = (x.flatten() for x in plain_advantages(plain, rollout, seed, config))
    obs, action = rollout.obs[:, seed].flatten(0, 1), rollout.action[:, seed].flatten(0, 1)
    with torch.no_grad():
        old_log_prob = plain.distribution(obs).log_prob(action)
    optimizer = torch.optim.Adam(plain.parameters(), lr=config.learning_rate.start, eps=1e-5)
    for order in orders:
        for rows in order.chunk(config.minibatches):
            distribution = plain.distribution(obs[rows])
            weight = advantage[rows]
            weight = (weight - weight.mean()) / (weight.std(correction=0) + 1e-8)
            ratio = torch.exp(distribution.log_prob(action[rows]) - old_log_prob[rows])
            policy_loss = -torch.min(weight * ratio, weight * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()
            value_loss = nn.functional.mse_loss(target[rows], plain.v(obs[rows])[..., 0])
            entropy_loss = -distribution.entropy().mean()
            loss = policy_loss + config.entropy_weight * entropy_loss + config.value_weight * value_loss
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(plain.parameters(), config.max_gradient_norm)
            optimizer.step()


@pytest.mark.parametrize("kind", SPACES)
def test_an_update_is_that_of_a_plain_implementation_seed_by_seed(kind):
    config = replace(
        CUT,
        lambda_=0.8,
        learning_rate=Linear(3e-3, 3e-3),
        passes=3,
        minibatches=4,
        entropy_weight=0.05,
        max_gradient_norm=0.5,
    )
    num_seeds = 2
    policy, v = networks(kind, num_seeds)
    plains = [Plain(policy, v, seed) for seed in range(num_seeds)]
    rollout = random_rollout(policy, num_seeds)
    drawn = Uniforms(generators(num_seeds), LENGTH * COPIES)
    orders = [drawn().argsort(1) for _ in range(config.passes)]

    optimizer = adam([*policy.parameters, *v.parameters], config.learning_rate.start, ppo.ADAM_EPSILON)
    shuffle = Uniforms(generators(num_seeds), LENGTH * COPIES)
    ppo.update(policy, v, optimizer, ppo.batch_of(rollout, policy, v, config), shuffle, config, clip=0.1)

    for seed, plain in enumerate(plains):
        before = plain.flat()[0].detach().clone()
        plain_update(plain, rollout, seed, config, [order[seed] for order in orders], clip=0.1)
        found = [parameter[seed].flatten() for parameter in (*policy.parameters, *v.parameters)]
        assert (before - plain.flat()[0]).abs().max() > 1e-2
        for ours, theirs in zip(found, plain.flat(), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("probe", "known"), VALUES.items())
def test_values_of_the_probes_are_learned_by_every_seed(probe, known):
    assert_values(trained(ppo, probe, QUICK, budget=1_024), known)


@pytest.mark.parametrize("suffix", ["", "-continuous"])
@pytest.mark.parametrize(("probe", "numbers"), [("probe-4-action", (0,)), ("probe-5-both", (-1, 1))])
def test_the_probes_best_actions_are_learned_by_every_seed(probe, numbers, suffix):
    outcome = trained(ppo, probe + suffix, QUICK, budget=1_024)

    for number in numbers:
        action = outcome.policy.bounded(outcome.policy(observed(number)).mode).flatten()
        push = action if suffix else 2 * action - 1
        assert (push * (number or 1) > 0.4).all()


@pytest.mark.parametrize("suffix", ["", "-continuous"])
def test_a_time_limit_is_not_an_end_of_the_world(suffix):
    config = replace(QUICK, hidden=(8,), learning_rate=Linear(5e-2, 5e-2))
    assert_values(trained(ppo, "probe-truncation" + suffix, config, budget=1_536), {0: 1 / (1 - GAMMA)}, 0.3)


def test_a_policy_can_be_learned_from_pixels():
    config = replace(QUICK, learning_rate=Linear(3e-3, 3e-3))
    trial = trained(ppo, "pixel-motion", config, (0,), budget=3_200).trial
    returns = [episode.value for episode in trial.runs[0].episodes[-50:]]

    assert np.mean(returns) > 0.5  # one frame alone is worth 0


def test_a_seed_trains_as_it_would_alone():
    assert_trains_as_alone(ppo, "cartpole", QUICK, budget=192)
    assert_trains_as_alone(ppo, "pendulum", QUICK, budget=192)


def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation():
    assert_repeats_whatever_the_evaluations(ppo, "cartpole", QUICK, budget=192)


def test_updates_happen_when_the_configuration_says_at_the_rates_it_says():
    config = replace(QUICK, passes=3, minibatches=2, learning_rate=Linear(1e-2, 0.0), clip=Linear(0.2, 0.1))
    with Watched("descend") as updates, Watched("set_learning_rate") as rates, Watched("terms") as terms:
        trained(ppo, "cartpole", config, (0,), budget=256)  # four rollouts of 64

    assert len(updates) == 4 * 3 * 2
    assert [rate for _, rate in rates] == pytest.approx([0.75e-2, 0.5e-2, 0.25e-2, 0.0])
    assert [clip for *_, clip in terms[:: 3 * 2]] == pytest.approx([0.175, 0.15, 0.125, 0.1])


def test_parts_of_the_loss_are_recorded_for_every_seed():
    trial = trained(ppo, "cartpole", QUICK, (0, 1), budget=128).trial
    for name in ("policy_loss", "value_loss", "entropy"):
        first, second = ([value for _, n, value in run.diagnostics if n == name] for run in trial.runs)
        assert len(first) == len(second) == 2
        assert first != second


(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "ppo"]


@pytest.mark.parametrize("preset", SPEC.presets)
def test_presets_are_configurations_whose_minibatches_are_equal(preset):
    config = resolve_config(ppo.Config, SPEC.presets[preset])

    assert config != ppo.Config()
    assert config.copies * config.rollout_length % config.minibatches == 0
