"""MBMF: what the model is fitted to, whom the policy imitates and where, and what TRPO begins with."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.discovery.selection import parse_selection
from harness.measuring.training import run_training
from harness.suite.reading import load_suite
from harness_algorithms import mbmf, trpo
from harness_algorithms.blocks.dynamics import make_dynamics
from harness_algorithms.blocks.optim import adam
from harness_algorithms.blocks.planning import actions_of
from harness_algorithms.blocks.policies import stochastic_policy
from harness_algorithms.blocks.streams import Uniforms
from harness_environments.known import pendulum
from support.paths import ROOT
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "mbmf"]
OBS, ACTION = 3, 1
SPACES = [gymnasium.spaces.Box(-2, 2, (size,), np.float32) for size in (OBS, ACTION)]
QUICK = mbmf.Config(
    random_steps=30,
    aggregations=2,
    aggregation_steps=10,
    expert_steps=12,
    relabellings=2,
    relabelled_steps=8,
    horizon=3,
    candidates=10,
    model_hidden=(8,),
    model_epochs=2,
    imitation_epochs=2,
    batch_size=20,
    fine_tuning=trpo.Config(rollout_length=16, value_minibatches=2, value_passes=1, hidden=(8,), log_std=-0.7),
)
BEFORE_TRPO = 30 + 2 * 10 + 12 + 2 * 8


def generators(tag="", seeds=2):
    return [torch.Generator().manual_seed(seed + len(tag)) for seed in range(seeds)]


def bare_trial(**known):
    """As much of a trial as the parts ask for."""
    return SimpleNamespace(
        generators=generators,
        known=SimpleNamespace(**known),
        device=torch.device("cpu"),
        planning=nullcontext,
        simulated=lambda steps: None,
    )


def trained(config=QUICK, budget=BEFORE_TRPO + 20, seeds=(0, 1), environment="pendulum", points=1):
    """A finished trial."""
    spec = ENVIRONMENTS[environment]
    trial = local_trial(spec, seeds, budget, points, episodes=1, lockstep=True, views=("array", "known"))
    run_training(trial, mbmf.train, config)
    return trial


def watched(monkeypatch, name, module=mbmf):
    """All calls of a function: what it was given, and what it returned."""
    calls, function = [], getattr(module, name)

    def watching(*given, **named):
        calls.append((given, function(*given, **named)))
        return calls[-1][1]

    monkeypatch.setattr(module, name, watching)
    return calls


def random_transitions(seed, size=50, offset=0.0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (2, size, OBS), (2, size, ACTION), (2, size, OBS)
    return tuple(offset + torch.randn(shape, generator=generator) for shape in shapes)


def model_of(config, random):
    dynamics = make_dynamics(OBS, ACTION, config.model_hidden, generators())
    return mbmf.Model(bare_trial(), dynamics, random, config), dynamics


def test_normalisation_statistics_are_those_of_the_random_data_alone(monkeypatch):
    """Whatever MPC adds, as in the authors' code: a network that goes on learning is shown what it was shown before."""
    visits, made = watched(monkeypatch, "visited"), watched(monkeypatch, "make_dynamics")
    trained()
    ((obs, action, next_obs), _), dynamics = visits[0][1], made[0][1]

    assert obs.shape == (2, QUICK.random_steps, OBS)
    for scale, data in ((dynamics.inputs, torch.cat((obs, action), 2)), (dynamics.outputs, next_obs - obs)):
        torch.testing.assert_close(scale.mean, data.mean(1, keepdim=True), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(scale.deviation, data.std(1, keepdim=True, correction=0), atol=1e-5, rtol=1e-5)


def test_nine_tenths_of_a_batch_are_of_what_mpc_did_once_there_is_any():
    """Its transitions lie a hundred deviations off."""
    model, _ = model_of(replace(QUICK, noise=0.0), random_transitions(0))
    before = model.batch()
    model.add(random_transitions(1, offset=100.0))
    after = model.batch()

    assert before.x.shape == after.x.shape == (2, QUICK.batch_size, OBS + ACTION)
    assert before.y.shape == after.y.shape == (2, QUICK.batch_size, OBS)
    assert (before.x[..., 0] < 50).all()
    assert (after.x[..., 0] > 50).sum(1).tolist() == [18, 18]


def test_rows_of_a_batch_are_pairs_that_were_seen_with_noise_of_so_many_deviations():
    random = random_transitions(0, size=5)
    config = replace(QUICK, batch_size=2_000)
    silent, noisy = (model_of(replace(config, noise=noise), random)[0].batch() for noise in (0.0, 0.25))
    pairs = torch.cat(silent, 2)
    difference = torch.cat(noisy, 2) - pairs

    assert len(pairs[0].unique(dim=0)) == len(pairs[1].unique(dim=0)) == 5
    assert difference.std() == pytest.approx(0.25, rel=0.03)
    assert difference.mean() == pytest.approx(0, abs=0.01)


def test_the_model_learns_the_change_of_the_state_and_goes_on_from_where_it_stands():
    obs, action, _ = random_transitions(0, size=200)
    random = obs, action, obs + 0.3 * obs.flip(2) + 0.5 * action
    model, dynamics = model_of(replace(QUICK, noise=0.0, model_hidden=(32,), model_epochs=40), random)
    losses = [model.fit() for _ in range(2)]

    assert (losses[1] < losses[0] / 5).all()
    predicted = dynamics.predict(obs.unsqueeze(1), action.unsqueeze(1)).squeeze(1)
    error = (predicted - random[2]).square().mean()
    assert error < 0.02 * (random[2] - obs).square().mean()


def test_successors_are_where_a_step_led_not_where_the_next_episode_begins(monkeypatch):
    visits = watched(monkeypatch, "visited")
    trained(replace(QUICK, random_steps=230), budget=240)
    obs, action, next_obs = visits[0][1][0]

    torch.testing.assert_close(next_obs, pendulum.dynamics_fn(obs, action), atol=1e-4, rtol=1e-4)


def never(obs, action, next_obs):
    return torch.zeros_like(obs[..., 0], dtype=torch.bool)


def planned(reward_fn, termination_fn=never, horizon=3):
    """What MPC does in some states, if it plans in a model that knows nothing."""
    dynamics = make_dynamics(OBS, ACTION, (8,), generators())
    trial = bare_trial(reward_fn=reward_fn, termination_fn=termination_fn)
    config = replace(QUICK, candidates=200, horizon=horizon)
    act = mbmf.expert(trial, dynamics, actions_of(SPACES[1], trial.device), config)
    act(torch.zeros(2, 1, OBS))
    return act(torch.randn(2, 4, OBS, generator=torch.Generator().manual_seed(5)))


@pytest.mark.parametrize("wanted", [-1.5, 0.0, 1.0])
def test_the_reward_function_is_the_known_one(wanted):
    """Here it is the model's only use: of 200 forces the best is near what is rewarded."""
    first = planned(lambda obs, action, next_obs: -(action[..., 0] - wanted).square(), horizon=1)

    assert first.shape == (2, 4, ACTION)
    assert ((first - wanted).abs() < 0.1).all()


@pytest.mark.parametrize("reward", [1.0, -1.0])
def test_early_termination_stops_summing(reward):
    """A force to the right ends it all: it is avoided where every step is worth 1, and sought where it costs 1."""
    first = planned(
        lambda obs, action, next_obs: torch.full_like(obs[..., 0], reward),
        lambda obs, action, next_obs: action[..., 0] > 0,
    )

    assert (first * reward < 0).all()


def test_the_expert_sees_the_same_observations_as_the_policy(monkeypatch):
    """Where MPC went at first, then where the policy went, as the environment showed it; all labels are MPC's."""
    asked, visits, imitated = [], watched(monkeypatch, "visited"), watched(monkeypatch, "imitate")
    make = mbmf.expert

    def kept(*given):
        act = make(*given)

        def noting(obs):
            asked.append((obs.clone(), act(obs)))
            return asked[-1][1]

        return noting

    monkeypatch.setattr(mbmf, "expert", kept)
    trained()
    examples = [given[2] for given, _ in imitated]
    (expert_obs, expert_action, _), *by_policy = [visit[0] for _, visit in visits[3:]]

    assert [each.x.shape[1] for each in examples] == [12, 20, 28]
    assert torch.equal(examples[0].x, expert_obs)
    assert torch.equal(examples[0].y, expert_action)
    for i, (obs, action, _) in enumerate(by_policy):
        new = slice(12 + 8 * i, 20 + 8 * i)
        seen, label = asked[-2 + i]
        assert torch.equal(examples[-1].x[:, new], obs)
        assert torch.equal(seen, obs)
        assert torch.equal(examples[-1].y[:, new], label)
        assert not torch.equal(label, action)


def small_policy(log_std=0.0):
    return stochastic_policy(*SPACES, (16,), generators(), "tanh", log_std=log_std)


def test_imitation_moves_the_mean_to_the_experts_actions_and_leaves_the_deviation():
    policy = small_policy(log_std=-0.4)
    obs = torch.randn(2, 300, OBS, generator=torch.Generator().manual_seed(0))
    examples = mbmf.Examples(obs, obs[..., :1] - 0.5 * obs[..., 1:2])
    config = replace(QUICK, imitation_epochs=20, learning_rate=0.02)
    optimizer = adam(policy.network.parameters, config.learning_rate)
    first, second = (mbmf.imitate(policy, optimizer, examples, Uniforms(generators(), 20), config) for _ in range(2))

    assert (second < 0.02).all()
    assert (second < first / 4).all()
    assert (policy.log_std == -0.4).all()


def test_the_deviation_is_set_and_is_what_trpo_starts_with(monkeypatch):
    starts, update = [], trpo.update

    def noting(policy, *rest):
        starts.append(policy.log_std.detach().clone())
        return update(policy, *rest)

    monkeypatch.setattr(trpo, "update", noting)
    trained(budget=BEFORE_TRPO + 2 * 16)

    assert len(starts) == 2
    assert (starts[0] == torch.tensor(-0.7)).all()
    assert not torch.equal(*starts)


def test_trpo_starts_with_the_mean_that_imitated(monkeypatch):
    ends, starts, imitate, update = [], [], mbmf.imitate, trpo.update

    def noting_end(policy, *rest):
        loss = imitate(policy, *rest)
        ends.append(policy.network.flat.detach().clone())
        return loss

    def noting_start(policy, *rest):
        starts.append(policy.network.flat.detach().clone())
        return update(policy, *rest)

    monkeypatch.setattr(mbmf, "imitate", noting_end)
    monkeypatch.setattr(trpo, "update", noting_start)
    trained()

    assert len(ends) == QUICK.relabellings + 1
    assert not torch.equal(ends[-2], ends[-1])
    assert torch.equal(starts[0], ends[-1])


def test_in_a_trust_region_of_nothing_the_imitation_stays_as_it_is():
    """So what TRPO adds can be measured: until there it is the same run."""
    budget = BEFORE_TRPO + 2 * 16
    alone, tuned = (
        trained(replace(QUICK, fine_tuning=replace(QUICK.fine_tuning, max_kl=kl)), budget) for kl in (0.0, 0.05)
    )
    for first, second in zip(alone.runs, tuned.runs, strict=True):
        logged = [[x for _, name, x in run.diagnostics if name == "imitation_loss"] for run in (first, second)]
        assert logged[0] == logged[1]
        assert {x for _, name, x in first.diagnostics if name == "kl"} == {0.0}
        assert all(x > 0 for _, name, x in second.diagnostics if name == "kl")


@pytest.mark.parametrize(("budget", "plans"), [(29, 0), (45, 15 + 1), (70, 32 + 8), (BEFORE_TRPO, 48), (83, 48)])
def test_real_steps_of_mpc_are_counted_in_the_budget_exactly(budget, plans):
    """And none of those that it plans: these are simulated ones, of every state where it acts or relabels.

    The 46th step is planned, too, before the budget refuses it.
    """
    trial = trained(budget=budget, points=3)

    assert trial.steps == budget
    assert [run.simulated for run in trial.runs] == [plans * QUICK.candidates * QUICK.horizon] * 2


def test_stages_take_their_steps_in_all_copies(monkeypatch):
    visits = watched(monkeypatch, "visited")
    trial = trained(replace(QUICK, fine_tuning=replace(QUICK.fine_tuning, copies=4)), budget=32 + 2 * 12 + 12 + 2 * 8)

    assert [visit[0][0].shape[1] for _, visit in visits] == [32, 12, 12, 12, 8, 8]
    assert trial.steps == 84


def test_a_policy_that_imitates_planning_in_a_model_steers_a_point_mass():
    """−714 at random, −8.8 is the best there is."""
    config = mbmf.Config(
        random_steps=200,
        aggregations=1,
        aggregation_steps=100,
        expert_steps=200,
        relabellings=1,
        relabelled_steps=200,
        horizon=8,
        candidates=60,
        model_hidden=(32,),
        model_epochs=40,
        imitation_epochs=30,
        batch_size=64,
        learning_rate=3e-3,
    )
    trial = trained(config, budget=701, environment="point-mass", points=1)

    for run in trial.runs:
        assert next(each.value for each in run.evaluations if each.step == 701) > -60


def test_presets_are_configurations():
    for preset in SPEC.presets.values():
        assert resolve_config(mbmf.Config, preset) != mbmf.Config()


def test_the_suite_compares_with_the_same_trpo_and_with_the_imitation_of_the_same_run():
    ours, imitation, alone = map(parse_selection, load_suite(ROOT / "suites" / "claims-imitation.toml").algorithms)
    pendulum = resolve_config(mbmf.Config, SPEC.presets["pendulum"])

    assert resolve_config(trpo.Config, alone.overrides) == pendulum.fine_tuning
    assert (ours.preset, imitation.preset, ours.overrides) == ("pendulum", "pendulum", {})
    assert resolve_config(mbmf.Config, SPEC.presets["pendulum"], imitation.overrides) == replace(
        pendulum, fine_tuning=replace(pendulum.fine_tuning, max_kl=0.0)
    )
