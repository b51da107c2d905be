"""MBVE: targets and losses beside a slow loop, worlds whose values are known, DDPG digit for digit, what is counted."""

from dataclasses import fields, replace
from itertools import pairwise
from types import SimpleNamespace

import gymnasium
import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness_algorithms import ddpg, mbve
from harness_algorithms.blocks.critics import Transition
from harness_algorithms.blocks.dynamics import make_dynamics
from harness_environments.known import pendulum
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
SPECS = {spec.name: spec for spec in harness_algorithms.harness_algorithms()}
SEEDS, BATCH, OBS, ACTIONS = 2, 6, 3, 2
GAMMA = 0.9
QUICK = mbve.Config(
    hidden=(16,),
    model_hidden=(8,),
    batch_size=8,
    learning_starts=20,
    fit_every=15,
    fitting=mbve.Fitting(epochs=2, batch_size=16),
)


def generators(number=SEEDS):
    return [torch.Generator().manual_seed(seed) for seed in range(number)]


def toy_world(end=0.8):
    """s′ = 0.8 s + (0, a) in units of the environment; rewards depend on all three, and some courses end."""

    def model(obs, action):
        return 0.8 * obs + torch.nn.functional.pad(action, (1, 0))

    return mbve.World(
        model,
        SimpleNamespace(
            reward_fn=lambda obs, action, next_obs: obs[..., 0] - action.square().sum(-1) + next_obs[..., 2],
            termination_fn=lambda obs, action, next_obs: next_obs[..., 1] > end,
        ),
        lambda action: 2 * action,
    )


def agent():
    space = gymnasium.spaces.Box(-1, 1, (OBS,))
    made = ddpg.make_agent(space, ACTIONS, (16,), (0.01, 0.01), generators())
    other = [torch.Generator().manual_seed(9 + seed) for seed in (0, 1)]
    others = ddpg.make_agent(space, ACTIONS, (16,), (0.01, 0.01), other)
    return made._replace(frozen_actor=others.frozen_actor, frozen_critic=others.frozen_critic)


def real_batch(seed=0):
    """Transitions of which one in three ended the MDP."""
    g = torch.Generator().manual_seed(seed)
    obs, next_obs = torch.randn(2, SEEDS, BATCH, OBS, generator=g).unbind()
    action = torch.rand(SEEDS, BATCH, ACTIONS, generator=g) * 2 - 1
    ended = torch.arange(BATCH).remainder(3).eq(2).expand(SEEDS, -1)
    return Transition(obs, action, torch.randn(SEEDS, BATCH, generator=g), (~ended).float(), next_obs)


def expansion_of(agent, batch, world, horizon):
    def policy(obs):
        return agent.frozen_actor(obs).tanh()

    expansion = mbve.expanded(batch, policy, world, horizon)
    with torch.no_grad():
        last = agent.frozen_critic(expansion.last_obs, policy(expansion.last_obs))[:, 0]
    return expansion, mbve.targets(expansion, last, GAMMA)


def slow_course(agent, batch, world, horizon, s, b):
    """One course, step by step as one would tell it: its states and actions, their targets; ends where the MDP does."""

    def ask(network, *given):
        every = [x.expand(SEEDS, 1, -1) for x in given]
        with torch.no_grad():
            return network(*every)[s, ..., 0, :]

    obs, action = [batch.obs[s, b]], [batch.action[s, b]]
    rewards, over, state = [batch.reward[s, b].item()], batch.discount[s, b] == 0, batch.next_obs[s, b]
    while not over and len(rewards) <= horizon:
        taken = ask(agent.frozen_actor, state).tanh().squeeze(0)
        successor = world.model(state, world.scaled(taken))
        obs.append(state)
        action.append(taken)
        rewards.append(world.known.reward_fn(state, world.scaled(taken), successor).item())
        over, state = bool(world.known.termination_fn(state, world.scaled(taken), successor)), successor
    last = ask(agent.frozen_actor, state).tanh()
    value = 0.0 if over else ask(agent.frozen_critic, state, last).item()
    count = len(rewards)
    y = [
        sum(GAMMA ** (k - t) * rewards[k] for k in range(t, count)) + GAMMA ** (count - t) * value for t in range(count)
    ]
    return obs, action, y


# Targets and losses


@pytest.mark.parametrize("horizon", [0, 1, 3, 6])
def test_targets_and_losses_are_those_of_a_slow_loop(horizon):
    learner, batch, world = agent(), real_batch(), toy_world()
    expansion, y = expansion_of(learner, batch, world, horizon)
    losses = {drop: mbve.expanded_loss(learner.critic, expansion, y, drop_tdk=drop).detach() for drop in (False, True)}
    lengths = set()
    for s in range(SEEDS):
        squares, of_real = 0.0, 0.0
        for b in range(BATCH):
            obs, action, expected = slow_course(learner, batch, world, horizon, s, b)
            lengths.add(len(expected))
            assert expansion.weight[s, :, b].sum() == len(expected)
            torch.testing.assert_close(y[s, : len(expected), b], torch.tensor(expected), atol=1e-5, rtol=1e-5)
            for t, (state, taken) in enumerate(zip(obs, action, strict=True)):
                torch.testing.assert_close(expansion.obs[s, t, b], state)
                torch.testing.assert_close(expansion.action[s, t, b], taken)
                value = learner.critic(*(x.expand(SEEDS, 1, -1) for x in (state, taken)))[s, 0, 0].item()
                squares += (value - expected[t]) ** 2 / BATCH / (horizon + 1)
                of_real += (value - expected[t]) ** 2 / BATCH if t == 0 else 0.0
        assert losses[False][s].item() == pytest.approx(squares, rel=1e-4)
        assert losses[True][s].item() == pytest.approx(of_real, rel=1e-4)
    assert len(lengths) > min(horizon, 2)  # some courses end in imagination, some in reality, some not at all


def test_the_first_transition_is_real():
    """Neither its reward nor its successor nor its end is asked of the model."""
    batch = real_batch()
    expansion, _ = expansion_of(agent(), batch, toy_world(), 3)
    assert torch.equal(expansion.obs[:, 0], batch.obs)
    assert torch.equal(expansion.action[:, 0], batch.action)
    assert torch.equal(expansion.reward[:, 0], batch.reward)
    assert torch.equal(expansion.discount[:, 0], batch.discount)
    assert torch.equal(expansion.obs[:, 1], batch.next_obs)


def test_what_follows_a_termination_real_or_imagined_changes_no_target_and_no_loss():
    learner, batch, world = agent(), real_batch(), toy_world()
    expansion, y = expansion_of(learner, batch, world, 4)
    dead = expansion.weight == 0
    assert dead[:, 1:].any() and dead[:, -1].any() and not dead.all(1).any()
    noise = torch.where(dead, 1e3, 0.0)
    changed = expansion._replace(
        obs=expansion.obs + noise.unsqueeze(3), reward=expansion.reward + noise, last_obs=expansion.last_obs
    )
    last = torch.where(expansion.discount.prod(1) == 0, 1e3, 0.0)
    first = mbve.targets(expansion, torch.zeros_like(last), GAMMA)
    second = mbve.targets(changed, last, GAMMA)
    assert torch.equal(first[~dead], second[~dead])
    losses = [mbve.expanded_loss(learner.critic, each, y, drop_tdk=False) for each in (expansion, changed)]
    assert torch.equal(*losses)


def test_no_gradient_flows_into_the_model_from_the_critic():
    factor = torch.full((), 0.8, requires_grad=True)
    world = toy_world()._replace(model=lambda obs, action: factor * obs + action.sum(-1, keepdim=True))
    learner, batch = agent(), real_batch()
    frozen = [network.parameters[-1].clone() for network in (learner.frozen_actor, learner.frozen_critic)]
    actor = learner.actor.flat.detach().clone()
    expansion, y = expansion_of(learner, batch, world, 3)
    (reached,) = torch.autograd.grad(
        mbve.expanded_loss(learner.critic, expansion, y, False).sum(), learner.critic.parameters, allow_unused=True
    )
    assert reached.abs().sum() > 0
    assert not any(x.requires_grad for x in (*expansion, y))

    mbve.update(learner, batch, world, replace(QUICK, horizon=3, tau=0.0))
    assert factor.grad is None
    assert not torch.equal(learner.actor.flat, actor)
    networks = (learner.frozen_actor, learner.frozen_critic)
    assert all(torch.equal(network.parameters[-1], was) for network, was in zip(networks, frozen, strict=True))


def test_without_the_td_k_trick_the_critic_is_trained_where_the_transitions_are_and_nowhere_else():
    learner, seen = agent(), []
    expansion, y = expansion_of(learner, real_batch(), toy_world(), 3)

    def critic(obs, action):
        seen.append(obs)
        return learner.critic(obs, action)

    for drop in (True, False):
        mbve.expanded_loss(critic, expansion, y, drop_tdk=drop)
    assert torch.equal(seen[0], expansion.obs[:, 0])
    assert torch.equal(seen[1], expansion.obs.flatten(1, 2))


# Worlds of known value


def test_with_the_true_model_targets_come_closer_to_monte_carlo_returns_with_every_step():
    """On a pendulum, a fixed policy, an untrained critic: 0 steps are TD(0). The returns are of 600 steps."""
    space = gymnasium.spaces.Box(-1, 1, (3,))
    learner = ddpg.make_agent(space, 1, (32,), (1e-3, 1e-3), generators())
    world = mbve.World(pendulum.dynamics_fn, pendulum, lambda action: 2 * action)
    start = torch.stack([pendulum.initial_fn(g, (64,)) for g in generators()])
    action = torch.rand(SEEDS, 64, 1, generator=torch.Generator().manual_seed(3)) * 2 - 1
    successor = pendulum.dynamics_fn(start, 2 * action)
    reward = pendulum.reward_fn(start, 2 * action, successor)
    batch = Transition(start, action, reward, torch.ones_like(reward), successor)
    _, returns = expansion_of(learner, batch, world, 600)
    errors = [(expansion_of(learner, batch, world, h)[1][:, 0] - returns[:, 0]).square().mean(1) for h in (0, 1, 3, 10)]

    assert all((later < earlier).all() for earlier, later in pairwise(errors))
    assert (errors[2] < 0.7 * errors[0]).all()  # all but γ³ of the critic's error is gone: γ⁶ = 0.53


def test_with_a_wrong_model_and_a_true_critic_targets_grow_worse_with_every_step():
    """s′ = s / 2, a reward of s: the value is 1 / (1 − γ / 2) times s. The model drifts by 0.1 a step."""
    world = toy_world()._replace(
        model=lambda obs, action: obs / 2 + 0.1,
        known=SimpleNamespace(
            reward_fn=lambda obs, action, next_obs: obs[..., 0],
            termination_fn=lambda obs, action, next_obs: torch.zeros_like(obs[..., 0], dtype=torch.bool),
        ),
    )
    batch = real_batch()._replace(discount=torch.ones(SEEDS, BATCH))
    batch = batch._replace(next_obs=batch.obs / 2, reward=batch.obs[..., 0])
    truth = batch.obs[..., 0] / (1 - GAMMA / 2)
    errors = []
    for horizon in range(6):
        expansion = mbve.expanded(batch, lambda obs: torch.zeros(SEEDS, BATCH, ACTIONS), world, horizon)
        y = mbve.targets(expansion, expansion.last_obs[..., 0] / (1 - GAMMA / 2), GAMMA)[:, 0]
        errors.append((y - truth).abs().max().item())
    assert errors[0] < 1e-6
    assert errors == sorted(errors) and errors[-1] > 2 * errors[1] > 0.1


def test_while_the_critic_expects_too_much_imagined_actions_are_told_to_be_better_than_real_ones():
    """Rewards of −1 for ever, and Q = 0: a target is the higher the fewer rewards it has, and a real step has the most.

    So on pendulum, TD-k makes any actor sure of what it does already; where Q = −1 / (1 − γ), all targets are equal.
    """
    world = toy_world(end=float("inf"))._replace(
        known=SimpleNamespace(
            reward_fn=lambda obs, action, next_obs: torch.full_like(obs[..., 0], -1.0),
            termination_fn=lambda obs, action, next_obs: torch.zeros_like(obs[..., 0], dtype=torch.bool),
        )
    )
    batch = real_batch()._replace(reward=torch.full((SEEDS, BATCH), -1.0), discount=torch.ones(SEEDS, BATCH))
    expansion = mbve.expanded(batch, lambda obs: torch.zeros(SEEDS, BATCH, ACTIONS), world, 3)
    too_much = mbve.targets(expansion, torch.zeros(SEEDS, BATCH), GAMMA)
    right = mbve.targets(expansion, torch.full((SEEDS, BATCH), -1 / (1 - GAMMA)), GAMMA)

    torch.testing.assert_close(too_much[0, :, 0], -torch.tensor([1 + 0.9 + 0.81 + 0.729, 1 + 0.9 + 0.81, 1.9, 1.0]))
    torch.testing.assert_close(right, torch.full_like(right, -10.0))


# Beside DDPG


def test_without_steps_an_update_is_that_of_ddpg_bit_for_bit():
    batch, config = real_batch(), replace(QUICK, horizon=0)
    ours, theirs = agent(), agent()
    shared = {f.name: getattr(config, f.name) for f in fields(ddpg.Config) if hasattr(config, f.name)}
    for _ in range(3):
        of_ours = mbve.update(ours, batch, toy_world(), config)
        of_theirs = ddpg.update(theirs, batch, ddpg.Config(**shared))
        assert all(torch.equal(of_ours[name], of_theirs[name]) for name in of_theirs)
    for name in ("actor", "critic", "frozen_actor", "frozen_critic"):
        pairs = zip(getattr(ours, name).parameters, getattr(theirs, name).parameters, strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


def trained(config, module=mbve, budget=70, seeds=(0, 1)):
    trial = local_trial(ENVIRONMENTS["pendulum"], seeds, budget, 2, lockstep=True, views=("array", "known"))
    run_training(trial, module.train, config)
    return trial


def test_without_steps_training_is_that_of_ddpg_bit_for_bit_and_nothing_is_simulated():
    config = replace(QUICK, horizon=0)
    shared = {f.name: getattr(config, f.name) for f in fields(ddpg.Config) if hasattr(config, f.name)}
    ours, theirs = trained(config), trained(ddpg.Config(**shared), ddpg)
    for mine, other in zip(ours.runs, theirs.runs, strict=True):
        assert mine.simulated == 0
        for kind in ("episodes", "evaluations"):
            of_both = (getattr(run, kind) for run in (mine, other))
            assert [episode[3:] for episode in next(of_both)] == [episode[3:] for episode in next(of_both)]
        assert mine.diagnostics == other.diagnostics


# What is counted, and when


@pytest.mark.parametrize("drop", [False, True])
def test_every_imagined_step_is_counted(drop):
    trial = trained(replace(QUICK, horizon=3, updates=2, train_every=2, drop_tdk=drop))
    updates = 2 * sum(step % 2 == 0 for step in range(21, 71))
    assert [run.simulated for run in trial.runs] == [updates * 3 * QUICK.batch_size] * 2


def test_the_model_is_fitted_before_it_is_first_asked_and_again_when_the_configuration_says(monkeypatch):
    sizes, fit = [], mbve.fit
    monkeypatch.setattr(mbve, "fit", lambda model, obs, *rest: sizes.append(obs.shape[1]) or fit(model, obs, *rest))
    trained(replace(QUICK, horizon=1))
    assert sizes == [20, 35, 50, 65]


def test_the_model_learns_the_environments_own_units(monkeypatch):
    """Torques up to 2, as the environment takes them, and not the actor's numbers up to 1."""
    seen, fit = [], mbve.fit
    monkeypatch.setattr(mbve, "fit", lambda *given: seen.append(given[1:4]) or fit(*given))
    trained(replace(QUICK, horizon=1), budget=60)
    obs, action, next_obs = seen[-1]
    assert action.abs().max() > 1.5
    torch.testing.assert_close(pendulum.dynamics_fn(obs, action), next_obs, atol=1e-4, rtol=1e-4)


def test_a_learned_model_is_asked_for_one_batch_of_every_seed():
    dynamics = make_dynamics(OBS, ACTIONS, (8,), generators())
    expansion = mbve.expanded(
        real_batch(), lambda obs: torch.zeros(SEEDS, BATCH, ACTIONS), toy_world()._replace(model=dynamics.predict), 2
    )
    assert expansion.obs.shape == (SEEDS, 3, BATCH, OBS)
    assert expansion.last_obs.shape == (SEEDS, BATCH, OBS)


def test_a_negative_horizon_is_refused():
    with pytest.raises(ValueError, match="horizon"):
        mbve.Config(horizon=-1)


@pytest.mark.parametrize("preset", SPECS["mbve"].presets)
def test_presets_are_configurations(preset):
    assert resolve_config(mbve.Config, SPECS["mbve"].presets[preset]) != mbve.Config()
