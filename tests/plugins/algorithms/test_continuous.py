"""DDPG, TD3 and SAC: targets by hand, whole updates beside plain PyTorch, worlds of known value, lockstep."""

import copy
import math
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import ddpg, sac, td3
from harness_algorithms.blocks.actions import Bounds, OrnsteinUhlenbeckNoise, explored
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.critics import Critic, critic_loss, stacked_critic
from harness_algorithms.blocks.networks import frozen_copy
from harness_algorithms.blocks.optim import adam
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
SPECS = {spec.name: spec for spec in harness_algorithms.harness_algorithms()}
ALGORITHMS = [ddpg, td3, sac]
DETERMINISTIC = [ddpg, td3]
GAMMA = 0.9
COMMON = {
    "discount": GAMMA,
    "hidden": (32,),
    "actor_learning_rate": 3e-3,
    "critic_learning_rate": 1e-2,
    "tau": 0.05,
    "batch_size": 32,
    "replay_capacity": 2_000,
    "learning_starts": 50,
}
QUICK = {
    ddpg: ddpg.Config(**COMMON),
    td3: td3.Config(**COMMON),
    sac: sac.Config(**COMMON, temperature=1e-3, temperature_learning_rate=0.0),
}
FRAME_SPACE = gymnasium.spaces.Box(0, 255, (2, 10, 10), np.uint8)


def name_of(module):
    return module.__name__.rpartition(".")[2]


every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=name_of)
every_deterministic = pytest.mark.parametrize("algorithm", DETERMINISTIC, ids=name_of)


class Outcome(NamedTuple):
    """What one call of train did."""

    actor: object
    critic: Critic
    transitions: object  # fields [T, S, 1, ...]
    calls: dict[str, Counter]  # calls of functions of the algorithm, by the step they came after
    trial: LocalTrial


def trained(algorithm, environment, seeds=(0,), budget=150, config=None, points=1):
    """Train and watch."""
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, points, episodes=1, lockstep=True)
    actors, critics, transitions = [], [], []
    calls = {
        name: Counter()
        for name in ("update", "update_critics", "update_actor", "polyak_update_")
        if hasattr(algorithm, name)
    }

    def watch(patch, owner, name, see):
        original = getattr(owner, name)

        def watched(*args, **kwargs):
            result = original(*args, **kwargs)
            see(result, *args)
            return result

        patch.setattr(owner, name, watched)

    with pytest.MonkeyPatch.context() as patch:
        watch(patch, algorithm, "stacked_network", lambda network, *_: actors.append(network))
        watch(patch, algorithm, "stacked_critic", lambda critic, *_: critics.append(critic))
        watch(patch, algorithm.Replay, "add", lambda _, __, record: transitions.append(record))
        for name, count in calls.items():
            watch(patch, algorithm, name, lambda *_, count=count: count.update([trial.steps]))
        run_training(trial, algorithm.train, config or QUICK[algorithm])
    columns = (torch.stack(column) for column in zip(*transitions, strict=True))
    return Outcome(actors[0], critics[0], algorithm.Transition(*columns), calls, trial)


def values(critic, number, action):
    """Q₁(number, action) of a probe, [S]."""
    num_seeds = critic.parameters[0].shape[0]
    with torch.no_grad():
        state = torch.full((num_seeds, 1, 1), float(number))
        return critic(state, torch.full((num_seeds, 1, 1), float(action)))[:, 0, 0]


def random_batch(algorithm, num_seeds=2, size=5, obs_size=3, action_size=2):
    """Transitions of which some terminate."""
    reals = torch.randn(num_seeds, size)
    return algorithm.Transition(
        torch.randn(num_seeds, size, obs_size),
        torch.rand(num_seeds, size, action_size) * 2 - 1,
        reals,
        (reals < 0.5).float(),
        torch.randn(num_seeds, size, obs_size),
    )


def generators(number=2):
    return [torch.Generator().manual_seed(seed) for seed in range(number)]


def agent_of(algorithm, obs_space=None, action_size=2, hidden=(16, 16), learning_rate=0.01, actor_rate=None):
    """Networks of two seeds, their copies and optimisers; targets differ from their networks."""
    space = obs_space or gymnasium.spaces.Box(-1, 1, (3,))
    outputs = 2 * action_size if algorithm is sac else action_size
    drawn = generators()
    actor = stacked_network(space, hidden, outputs, drawn)
    members = 1 if algorithm is ddpg else 2
    critic = stacked_critic(space, action_size, hidden, drawn, members=members)
    frozen_critic = stacked_critic(space, action_size, hidden, drawn, members=members).copy()
    optimizers = (
        adam(actor.parameters, learning_rate if actor_rate is None else actor_rate),
        adam(critic.parameters, learning_rate),
    )
    if algorithm is sac:
        log_temperature = torch.tensor([-0.5, 0.3], requires_grad=True)
        temperature_optimizer = adam([log_temperature], learning_rate)
        return sac.Agent(actor, critic, frozen_critic, log_temperature, *optimizers, temperature_optimizer)
    frozen_actor = frozen_copy(stacked_network(space, hidden, outputs, drawn))
    return algorithm.Agent(actor, critic, frozen_actor, frozen_critic, *optimizers)


def step(algorithm, agent, batch, noise, config):
    """One update of everything, whatever it is called."""
    if algorithm is ddpg:
        ddpg.update(agent, batch, config)
    elif algorithm is td3:
        td3.update_critics(agent, batch, noise[0], config)
        td3.update_actor(agent, batch, config)
    else:
        sac.update(agent, batch, noise, -2.0, config.discount)


# Targets and losses, by hand


def row(algorithm, reward, discount):
    """A batch of one transition."""
    numbers = [torch.tensor([[number]]) for number in (reward, discount)]
    return algorithm.Transition(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), *numbers, torch.zeros(1, 1, 1))


@every_algorithm
@pytest.mark.parametrize(
    ("reward", "discount", "weight"),
    [(1.0, 1.0, 0.9), (-2.0, 1.0, 0.9), (3.0, 0.0, 0.0)],
    ids=["goes-on-as-at-a-time-limit", "negative-reward", "terminated"],
)
def test_the_target_is_as_computed_by_hand(algorithm, reward, discount, weight):
    batch = row(algorithm, reward, discount)
    if algorithm is ddpg:
        y, follows = ddpg.target(batch, torch.tensor([[7.0]]), 0.9), 7
    elif algorithm is td3:
        y, follows = td3.target(batch, torch.tensor([[[7.0], [5.0]]]), 0.9), 5
    else:
        log_prob, temperature = torch.tensor([[-2.0]]), torch.tensor([0.25])
        y = sac.target(batch, torch.tensor([[[7.0], [5.0]]]), log_prob, temperature, 0.9)
        follows = 5 + 0.25 * 2

    assert y.shape == (1, 1)
    assert y.item() == pytest.approx(reward + weight * follows)


def test_the_critic_loss_pairs_every_value_with_its_own_target():
    target = torch.tensor([[1.0, 5.0, -2.0]])  # a (B, 1) against a (B,) would meet in a (B, B) and not give 0
    exact = torch.stack((target, target), 1)
    off = exact + torch.tensor([[[3.0, 0.0, 0.0], [0.0, 6.0, 0.0]]])

    assert critic_loss(exact, target).tolist() == [0.0]
    assert critic_loss(off, target).tolist() == [pytest.approx((9 + 36) / 3)]
    assert critic_loss(off[:, :1], target).tolist() == [pytest.approx(9 / 3)]


def test_the_critic_gives_one_value_per_transition_whatever_the_number_of_members():
    batch = random_batch(ddpg)
    space = gymnasium.spaces.Box(-1, 1, (3,))
    for members in (1, 2, 3):
        critic = stacked_critic(space, 2, (8,), generators(), members=members)
        assert critic(batch.obs, batch.action).shape == (2, members, 5)


def test_the_first_critic_is_the_first_of_the_twins_and_follows_it():
    batch = random_batch(td3)
    critic = agent_of(td3).critic
    first = critic.first()

    for _ in range(2):
        both = critic(batch.obs, batch.action)
        torch.testing.assert_close(first(batch.obs, batch.action)[:, 0], both[:, 0])
        assert not torch.allclose(both[:, 0], both[:, 1])
        with torch.no_grad():
            critic.heads.flat.mul_(1.1)


def test_target_policy_smoothing_is_clipped_and_so_is_its_action():
    config = td3.Config(target_noise_scale=0.2, target_noise_limit=0.5)
    noise = torch.tensor([[[1.0], [-2.0], [10.0], [-10.0]]])

    assert td3.smoothed(torch.zeros(1, 4, 1), noise, config).flatten().tolist() == pytest.approx([0.2, -0.4, 0.5, -0.5])
    near_bounds = torch.tensor([[[0.9], [-0.9], [0.8], [-0.8]]])
    assert td3.smoothed(near_bounds, noise, config).flatten().tolist() == pytest.approx([1, -1, 1, -1])


def test_temperature_falls_while_entropy_is_above_its_target_and_rises_below():
    log_temperature = torch.zeros(2, requires_grad=True)
    log_prob = torch.tensor([[-3.0, -1.0], [1.0, 5.0]], requires_grad=True)  # entropies 2 and −3

    sac.temperature_loss(log_temperature, log_prob, target_entropy=-1.0).sum().backward()

    assert log_temperature.grad.tolist() == [3.0, -2.0]  # descent lowers the first
    assert log_prob.grad is None  # the temperature's loss does not reach the policy


def test_the_log_density_of_squashed_actions_has_the_determinant_of_tanh():
    outputs = torch.tensor([[[0.3, -0.2, -0.5, 0.1]]], dtype=torch.float64)
    action, log_prob = sac.policy(outputs).rsample_with_log_prob(torch.tensor([[[0.7, -1.3]]], dtype=torch.float64))
    base = torch.distributions.Normal(outputs[..., :2], outputs[..., 2:].exp())
    expected = torch.distributions.TransformedDistribution(base, torch.distributions.TanhTransform())

    torch.testing.assert_close(log_prob, expected.log_prob(action).sum(-1))


def test_the_log_density_is_finite_and_differentiable_where_tanh_saturates():
    outputs = torch.tensor([[[200.0, -300.0]]], requires_grad=True)  # of one number: mean and log-deviation
    action, log_prob = sac.policy(outputs).rsample_with_log_prob(torch.ones(1, 1, 1))
    log_prob.sum().backward()

    assert action.item() == 1.0
    assert log_prob.isfinite().all() and outputs.grad.isfinite().all()


# Whole updates, beside plain PyTorch


def plain(network, s, k=0):
    """Perceptron k of seed s as PyTorch's own modules."""
    layers = []
    row = s * network.members + k
    for weight, bias in zip(network.weights, network.biases, strict=True):
        linear = nn.Linear(weight.shape[2], weight.shape[1])
        with torch.no_grad():
            linear.weight.copy_(weight[row])
            linear.bias.copy_(bias[row, :, 0])
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def flat(*modules):
    return torch.cat([p.detach().flatten() for module in modules for p in module.parameters()])


def follow(old, new, tau):
    for ours, theirs in zip(old.parameters(), new.parameters(), strict=True):
        ours.data.mul_(1 - tau).add_(theirs.data, alpha=tau)


def squashed(outputs, noise):
    """The sample and its log-density, by torch.distributions."""
    mean, log_std = outputs.chunk(2, -1)
    base = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
    u = mean + log_std.clamp(-20, 2).exp() * noise
    slope = torch.distributions.TanhTransform().log_abs_det_jacobian(u, u.tanh())
    return u.tanh(), (base.log_prob(u) - slope).sum(-1)


def reference(algorithm, agent, s, batch, noise, config, steps):
    """The same updates of one seed alone: actor, critics, their targets and log α."""
    count = agent.critic.heads.members
    actor = plain(agent.actor, s)
    critics = nn.ModuleList(plain(agent.critic.heads, s, k) for k in range(count))
    old_critics = nn.ModuleList(plain(agent.frozen_critic.heads, s, k) for k in range(count))
    old_actor = None if algorithm is sac else plain(agent.frozen_actor, s)
    log_alpha = nn.Parameter(agent.log_temperature[s].detach().clone()) if algorithm is sac else None
    of_actor = torch.optim.Adam(actor.parameters(), 0.01)
    of_critics = torch.optim.Adam(critics.parameters(), 0.01)
    of_alpha = torch.optim.Adam([log_alpha], 0.01) if algorithm is sac else None
    obs, action, reward, discount, next_obs = (field[s] for field in batch)

    def q(networks, state, chosen):
        return torch.stack([f(torch.cat((state, chosen), 1)).squeeze(1) for f in networks])

    for _ in range(steps):
        if algorithm is sac:
            sampled, log_prob = squashed(actor(obs), noise[0][s])
            alpha = log_alpha.exp().item()
            of_alpha.zero_grad()
            (-log_alpha * (log_prob.detach() - 2.0)).mean().backward()
            of_alpha.step()
        with torch.no_grad():
            if algorithm is sac:
                next_action, next_log_prob = squashed(actor(next_obs), noise[1][s])
                follows = q(old_critics, next_obs, next_action).min(0).values - alpha * next_log_prob
            else:
                next_action = old_actor(next_obs).tanh()
                if algorithm is td3:
                    next_action = (next_action + (0.2 * noise[0][s]).clamp(-0.5, 0.5)).clamp(-1, 1)
                follows = q(old_critics, next_obs, next_action).min(0).values
            y = reward + config.discount * discount * follows
        loss = sum(functional.mse_loss(value, y) for value in q(critics, obs, action))
        of_critics.zero_grad()
        (loss / 2 if algorithm is sac else loss).backward()
        of_critics.step()
        if algorithm is sac:
            of_actor.zero_grad()
            (alpha * log_prob - q(critics, obs, sampled).min(0).values).mean().backward()
        else:
            of_actor.zero_grad()
            (-q(critics, obs, actor(obs).tanh())[0]).mean().backward()
        of_actor.step()
        if algorithm is not sac:  # whose targets its loop moves
            follow(old_critics, critics, config.tau)
            follow(old_actor, actor, config.tau)
    return actor, critics, old_actor, old_critics, log_alpha


@every_algorithm
def test_updates_are_those_of_plain_pytorch(algorithm):
    torch.manual_seed(0)
    agent, batch = agent_of(algorithm), random_batch(algorithm, size=16)
    noise = (2 * torch.randn(2, 16, 2), torch.randn(2, 16, 2))
    before = copy.deepcopy(agent)
    for _ in range(3):
        step(algorithm, agent, batch, noise, QUICK[algorithm])

    for s in range(2):
        actor, critics, old_actor, old_critics, log_alpha = reference(
            algorithm, before, s, batch, noise, QUICK[algorithm], steps=3
        )
        close = {"atol": 1e-5, "rtol": 0}
        torch.testing.assert_close(agent.actor.flat[s].detach(), flat(actor), **close)
        torch.testing.assert_close(agent.critic.heads.flat[s].detach(), flat(critics), **close)
        torch.testing.assert_close(agent.frozen_critic.heads.flat[s], flat(old_critics), **close)
        if algorithm is sac:
            torch.testing.assert_close(agent.log_temperature[s].detach(), log_alpha.detach(), **close)
        else:
            torch.testing.assert_close(agent.frozen_actor.flat[s], flat(old_actor), **close)
        assert (agent.actor.flat[s] - before.actor.flat[s]).abs().max() > 1e-3


@every_algorithm
@pytest.mark.parametrize("space", [None, FRAME_SPACE], ids=["vectors", "frames"])
def test_the_actors_loss_does_not_step_the_critic(algorithm, space):
    torch.manual_seed(0)
    batch = random_batch(algorithm)
    if space is not None:
        frames = [torch.randint(256, (2, 5, *space.shape), dtype=torch.uint8) for _ in range(2)]
        batch = batch._replace(obs=frames[0], next_obs=frames[1])
    noise = (torch.randn(2, 5, 2), torch.randn(2, 5, 2))
    still, moving = (agent_of(algorithm, space, actor_rate=rate) for rate in (0.0, 0.1))
    initial = [parameter.detach().clone() for parameter in still.critic.parameters]
    for agent in (still, moving):
        step(algorithm, agent, batch, noise, QUICK[algorithm])

    assert not any(map(torch.equal, still.critic.parameters, initial))
    assert all(map(torch.equal, still.critic.parameters, moving.critic.parameters))
    assert not any(map(torch.equal, still.actor.parameters, moving.actor.parameters))
    assert all(parameter.requires_grad for parameter in moving.critic.parameters)


@every_algorithm
def test_the_actor_climbs_the_value_of_its_actions(algorithm):
    torch.manual_seed(0)
    agent, batch = agent_of(algorithm), random_batch(algorithm)
    critic = agent.critic.copy()

    def value():
        with torch.no_grad():
            outputs = agent.actor(batch.obs)[..., :2]  # of SAC, the mean
            both = critic(batch.obs, outputs.tanh())
            return (both.amin(1) if algorithm is sac else both[:, 0]).mean(1)

    before = value()
    agent = agent._replace(critic_optimizer=adam(agent.critic.parameters, 0.0))
    if algorithm is sac:
        agent.log_temperature.data.fill_(-20.0)
    for _ in range(20):
        step(algorithm, agent, batch, (torch.zeros(2, 5, 2),) * 2, QUICK[algorithm])

    assert (value() > before + 0.01).all()


@every_deterministic
def test_both_targets_follow_their_networks(algorithm):
    agent, batch = agent_of(algorithm), random_batch(algorithm)
    pairs = [(agent.frozen_actor, agent.actor), (agent.frozen_critic, agent.critic)]
    before = [old.parameters[0].clone() for old, _ in pairs]
    step(algorithm, agent, batch, (torch.randn(2, 5, 2),) * 2, QUICK[algorithm])

    for (old, new), was in zip(pairs, before, strict=True):
        expected = 0.95 * was + 0.05 * new.parameters[0].detach()
        torch.testing.assert_close(old.parameters[0], expected)


def test_sac_has_no_target_policy_and_its_temperature_is_learned_by_its_logarithm():
    assert set(sac.Agent._fields) - set(td3.Agent._fields) == {"log_temperature", "temperature_optimizer"}
    assert "frozen_actor" not in sac.Agent._fields

    agent, batch = agent_of(sac), random_batch(sac)
    before = agent.log_temperature.detach().clone()
    sac.update(agent, batch, (torch.randn(2, 5, 2),) * 2, -2.0, GAMMA)
    moved = (agent.log_temperature.detach() - before).abs()
    torch.testing.assert_close(moved, torch.full((2,), 0.01))  # Adam's first step is its rate, whatever α is


def test_the_temperature_is_a_constant_in_the_actors_loss():
    torch.manual_seed(0)
    agent, batch, noise = agent_of(sac), random_batch(sac), torch.randn(2, 2, 5, 2).unbind()
    _, log_prob = sac.policy(agent.actor(batch.obs)).rsample_with_log_prob(noise[0])
    sac.update(agent, batch, noise, -2.0, GAMMA)

    own = -(log_prob.detach().mean(1) - 2.0)  # of the temperature's loss; the actor's would have added to it
    torch.testing.assert_close(agent.log_temperature.grad, own)


# Worlds of known value


@every_algorithm
@pytest.mark.parametrize(
    ("probe", "known"),
    [
        ("probe-1-constant-continuous", {0: {-1: 1, 1: 1}}),
        ("probe-2-observation-continuous", {-1: {0: -1}, 1: {0: 1}}),
        ("probe-3-discounting-continuous", {0: {0: GAMMA}, 1: {0: 1}}),
        ("probe-4-action-continuous", {0: {0.5: 1}}),
        ("probe-5-both-continuous", {-1: {-0.5: 1}, 1: {0.5: 1}}),
    ],
)
def test_values_and_actions_of_the_probes_are_learned_by_every_seed(algorithm, probe, known):
    outcome = trained(algorithm, probe, seeds=(0, 1), budget=900)

    for number, expected in known.items():
        for action, value in expected.items():
            found = values(outcome.critic, number, action)
            torch.testing.assert_close(found, torch.full((2,), float(value)), atol=0.2, rtol=0)
        if "4" in probe or "5" in probe:
            chosen = outcome.trial.policy(torch.full((2, 1, 1), float(number)))
            torch.testing.assert_close(chosen, torch.full((2, 1, 1), float(*expected)), atol=0.2, rtol=0)


@every_algorithm
def test_a_time_limit_is_not_an_end_of_the_world(algorithm):
    config = replace(QUICK[algorithm], tau=0.2)
    outcome = trained(algorithm, "probe-truncation-continuous", (0, 1), budget=600, config=config)
    found = values(outcome.critic, 0, 0)

    assert (outcome.transitions.discount == 1).all()
    torch.testing.assert_close(found, torch.full((2,), 1 / (1 - GAMMA)), atol=0.3, rtol=0)


def test_sac_learns_from_frames():
    config = replace(QUICK[sac], discount=0.1, temperature=0.1, critic_learning_rate=3e-3, learning_starts=100)
    outcome = trained(sac, "pixel-motion-continuous", seeds=(0, 1), budget=1_000, config=config)
    scores = [np.mean([e.value for e in run.evaluations if e.evaluation == 1]) for run in outcome.trial.runs]

    assert min(scores) > 0.8  # 1 is the best; chance, or one frame, gives 0


# Acting


def test_actions_are_scaled_to_asymmetric_bounds():
    space = gymnasium.spaces.Box(np.float32([[-1, 0]]), np.float32([[3, 10]]))
    bounds = Bounds(space, torch.device("cpu"))
    action = torch.tensor([[[-1.0, -1.0], [1.0, 1.0], [0.0, 0.5]]])

    assert bounds.size == 2
    scaled = bounds.scaled(action)
    assert scaled.shape == (1, 3, 1, 2)
    assert scaled.flatten(2).tolist() == [[[-1, 0], [3, 10], [1, 7.5]]]
    assert torch.equal(bounds.unscaled(scaled), action)


def test_ddpg_sees_scaled_observations_in_training_and_in_evaluation(monkeypatch):
    seen = []
    plain = ddpg.stacked_network

    def network(*given):
        made = plain(*given)
        call = type(made).__call__
        monkeypatch.setattr(type(made), "__call__", lambda self, obs: seen.append(obs) or call(self, obs))
        return made

    monkeypatch.setattr(ddpg, "stacked_network", network)
    config = ddpg.Config(scaled_observations=True, hidden=(8,), batch_size=4, learning_starts=10)
    trial = local_trial(ENVIRONMENTS["mountaincar-continuous"], (0,), budget=60, episodes=1, lockstep=True)
    run_training(trial, ddpg.train, config)
    every = torch.cat([obs.flatten(0, -2)[:, -3:][:, :2] for obs in seen if obs.shape[-1] == 2])
    assert every.abs().max() <= 1
    assert every[:, 1].abs().max() > 0.05  # a velocity; unscaled they are that large in the valley at full speed only


@pytest.mark.parametrize(
    "space", [gymnasium.spaces.Box(-np.inf, np.inf, (1,)), gymnasium.spaces.Box(0, 5, (1,), np.int64)]
)
def test_unbounded_and_whole_actions_are_refused(space):
    with pytest.raises(ValueError, match="bounded Box"):
        Bounds(space, torch.device("cpu"))


@every_algorithm
def test_the_critic_sees_actions_from_minus_one_to_one_and_the_environment_its_own(algorithm):
    taken = []
    original = Bounds.scaled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bounds, "scaled", lambda self, a: taken.append(original(self, a)) or taken[-1])
        stored = trained(algorithm, "pendulum", budget=60).transitions.action
    largest = max(action.abs().max().item() for action in taken)

    assert 0.9 < stored.abs().max() <= 1
    assert 1.8 < largest <= 2


@every_algorithm
def test_no_noise_in_evaluation(algorithm):
    outcome = trained(algorithm, "pendulum", seeds=(0, 1))
    obs = torch.randn(2, 4, 3)
    with torch.no_grad():
        expected = 2 * outcome.actor(obs)[..., :1].tanh()  # of SAC, the mean

    for _ in range(2):
        torch.testing.assert_close(outcome.trial.policy(obs), expected)


@every_algorithm
def test_the_first_actions_are_uniform(algorithm):
    config = replace(QUICK[algorithm], learning_starts=300)
    actions = trained(algorithm, "pendulum", (0, 1), budget=310, config=config).transitions.action
    first = actions[:300].flatten()
    histogram = torch.histc(first, 5, -1, 1) / len(first)

    torch.testing.assert_close(histogram, torch.full((5,), 0.2), atol=0.08, rtol=0)


def test_noise_is_added_and_kept_within_bounds():
    found = explored(torch.tensor([0.9, -0.9, 0.1]), torch.tensor([0.3, -0.3, 0.2]))

    assert found.tolist() == pytest.approx([1, -1, 0.3])


def test_ornstein_uhlenbeck_noise_has_its_deviation_its_correlation_and_forgets_at_an_episodes_start():
    noise = OrnsteinUhlenbeckNoise(generators(1), 4_000, 1)
    never, always = torch.zeros(1, 4_000, dtype=torch.bool), torch.ones(1, 4_000, dtype=torch.bool)
    walk = torch.stack([noise(never) for _ in range(400)])[:, 0, :, 0]  # [T, N]
    time = 4.0  # 400 steps of 0.01
    expected = math.sqrt((1 - math.exp(-0.3 * time)) / 0.3)

    assert walk[-1].std().item() == pytest.approx(expected, rel=0.05)
    assert torch.corrcoef(walk[-2:])[0, 1] > 0.99
    assert noise(always).std().item() == pytest.approx(0.1, rel=0.05)


# Lockstep, and the order of things


@every_algorithm
def test_a_seed_trains_as_it_would_alone(algorithm):
    together = trained(algorithm, "pendulum", seeds=range(3), budget=100)
    alone = trained(algorithm, "pendulum", seeds=(2,), budget=100)

    for many, one in zip(together.transitions, alone.transitions, strict=True):
        torch.testing.assert_close(many[:, 2:3], one, atol=1e-4, rtol=0)
    for network in ("actor", "critic"):
        pair = (getattr(outcome, network).parameters for outcome in (together, alone))
        for many, one in zip(*pair, strict=True):
            torch.testing.assert_close(many[2:3], one, atol=1e-4, rtol=0)


@every_algorithm
def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation(algorithm):
    rarely, often = (trained(algorithm, "pendulum", budget=100, points=points) for points in (1, 4))

    assert len(often.trial.runs[0].evaluations) > len(rarely.trial.runs[0].evaluations)
    assert all(map(torch.equal, rarely.transitions, often.transitions))
    assert all(map(torch.equal, rarely.actor.parameters, often.actor.parameters))


@every_algorithm
def test_seeds_differ_in_initial_weights_exploration_and_start(algorithm):
    outcome = trained(algorithm, "pendulum", seeds=(0, 1), budget=40)  # too short to learn

    assert not torch.equal(*outcome.actor.parameters[0])
    assert not torch.equal(*outcome.critic.parameters[0])
    assert not torch.equal(*outcome.transitions.action.unbind(1))
    assert not torch.equal(*outcome.transitions.obs[0])


@pytest.mark.parametrize(
    ("algorithm", "settings", "expected"),
    [
        (ddpg, {}, {"update": {60: 3, 80: 3}}),
        (td3, {}, {"update_critics": {60: 3, 80: 3}, "update_actor": {60: 1, 80: 2}}),
        (td3, {"policy_every": 3}, {"update_critics": {60: 3, 80: 3}, "update_actor": {60: 1, 80: 1}}),
        (sac, {"target_every": 2}, {"update": {60: 3, 80: 3}, "polyak_update_": {60: 1, 80: 2}}),
    ],
    ids=["ddpg", "td3-delays-the-actor-and-targets", "td3-by-three", "sac"],
)
def test_updates_happen_when_the_configuration_says(algorithm, settings, expected):
    config = replace(QUICK[algorithm], learning_starts=50, train_every=20, updates=3, **settings)
    calls = trained(algorithm, "pendulum", budget=90, config=config).calls

    assert {name: calls[name] for name in expected} == expected


@every_algorithm
def test_a_memory_takes_no_more_room_than_the_budget_can_fill(algorithm):
    config = replace(QUICK[algorithm], replay_capacity=10**13)

    assert len(trained(algorithm, "pendulum", budget=60, config=config).transitions.obs) == 60


@every_algorithm
def test_losses_of_every_seed_are_recorded(algorithm):
    trial = trained(algorithm, "pendulum", seeds=(0, 1), budget=100).trial
    names = {name for _, name, _ in trial.runs[0].diagnostics}

    assert {"critic_loss", "actor_loss"} <= names
    first, second = ([v for _, name, v in run.diagnostics if name == "actor_loss"] for run in trial.runs)
    assert first != second


@pytest.mark.parametrize(
    ("algorithm", "preset"),
    [(algorithm, preset) for algorithm in ALGORITHMS for preset in SPECS[name_of(algorithm)].presets],
    ids=lambda value: value if isinstance(value, str) else name_of(value),
)
def test_presets_are_configurations(algorithm, preset):
    config = resolve_config(algorithm.Config, SPECS[name_of(algorithm)].presets[preset])

    assert config != algorithm.Config()
