"""Array environments in lockstep measure what Gymnasium's environments in lockstep measure."""

import dataclasses
import importlib

import gymnasium
import numpy as np
import pytest
import torch

from harness.api import EnvironmentSpec, SpecError
from harness.contract.specs import as_json, environment_from_json
from harness.contract.trial import BudgetExhausted, ContractBroken
from harness.discovery.config import resolve_config
from harness.measuring import environments
from harness.measuring.lockstep import EnvLockstep
from harness.measuring.lockstep_array import ArrayLockstep
from harness.measuring.training import run_training
from harness_environments.catalogue import SPECS
from support.trial import local_trial

SEEDS, COPIES = (0, 5, 9), 2
ARRAYS = {spec.name: spec for spec in SPECS if spec.array is not None}
CARTPOLE = dataclasses.replace(ARRAYS["cartpole"], max_episode_steps=12)  # both kinds of end, soon


def push(obs):
    """Right four times in five, as the digits of the velocity have it: the pole falls after 8 to 20 steps."""
    return ((obs[..., 1] * 1_000).long() % 5 != 0).long()


def idle(spec):
    """A policy for a description's action space."""
    continuous = isinstance(environments.make(spec).action_space, gymnasium.spaces.Box)
    return lambda obs: torch.zeros(
        *obs.shape[:2], *[1] * continuous, dtype=torch.float32 if continuous else torch.int64
    )


def lockstep(environment=CARTPOLE, seeds=SEEDS, copies=COPIES, policy=push, **settings):
    trial = local_trial(environment, seeds, lockstep=True, **{"budget": 1_000} | settings)
    trial.policy = policy
    return trial, trial.make_lockstep_env(copies)


def driven(env, obs, steps, policy=push):
    """Steps taken, each with the observation and action before it."""
    taken = []
    for _ in range(steps):
        action = policy(obs)
        step = env.step(action)
        taken.append((obs, action, step))
        obs = step.obs
    return taken


def episodes(trial, run):
    return [(e.copy, e.step, e.value, e.length, e.terminated, e.truncated) for e in trial.runs[run].episodes]


def by_hand(steps, limit, run, first=0):
    """The episodes of one run, told from its steps one copy at a time."""
    copies = steps[0][2].ended.shape[1]
    value, length, found = [0.0] * copies, [0] * copies, []
    for time, (_, _, step) in enumerate(steps, 1):
        for n in range(copies):
            value[n] += float(step.reward[run, n])
            length[n] += 1
            if step.ended[run, n]:
                terminated = float(step.discount[run, n]) == 0
                found.append((first + n, time * copies, value[n], length[n], terminated, length[n] == limit))
                value[n], length[n] = 0.0, 0
    return found


def test_several_copies_train_on_the_array_and_one_on_a_cpu_on_gymnasiums_environment():
    assert isinstance(lockstep()[1], ArrayLockstep)
    assert isinstance(lockstep(copies=1)[1], EnvLockstep)
    assert isinstance(lockstep(dataclasses.replace(CARTPOLE, array=None))[1], EnvLockstep)


@pytest.mark.parametrize("name", ARRAYS)
def test_shapes_and_dtypes_are_those_of_gymnasiums_environments(name):
    both = []
    for spec in (ARRAYS[name], dataclasses.replace(ARRAYS[name], array=None)):
        trial, env = lockstep(spec, budget=20, policy=idle(spec))
        obs = env.reset()
        space = env.single_action_space
        step = env.step(torch.from_numpy(np.array([[space.sample()] * COPIES] * len(SEEDS))))
        tensors = (obs, *step)
        both.append(
            (
                [(each.shape, each.dtype) for each in tensors],
                (env.num_seeds, env.copies, trial.steps),
                (env.single_observation_space, env.single_action_space),
            )
        )
    assert both[0] == both[1]


@pytest.mark.parametrize("name", ARRAYS)
def test_every_copy_goes_the_way_of_a_gymnasium_environment(name):
    spec = dataclasses.replace(ARRAYS[name], max_episode_steps=30)
    _, env = lockstep(spec, policy=idle(spec))
    array = importlib.import_module(spec.array)
    env.reset()
    mirrors = [[environments.make(spec) for _ in range(COPIES)] for _ in SEEDS]
    for run in mirrors:
        for each in run:
            each.action_space.seed(len(run))
            each.reset(seed=0)
    for place in np.ndindex(len(SEEDS), COPIES):
        mirrors[place[0]][place[1]].unwrapped.state = env._state[place].numpy().copy()
    ends = 0
    for _ in range(100):
        actions = np.array([[each.action_space.sample() for each in run] for run in mirrors])
        step = env.step(torch.from_numpy(actions))
        for place in np.ndindex(len(SEEDS), COPIES):
            mirror = mirrors[place[0]][place[1]]
            obs, reward, terminated, truncated, _ = mirror.step(actions[place])
            np.testing.assert_allclose(step.next_obs[place], obs, atol=1e-4)
            np.testing.assert_allclose(float(step.reward[place]), reward, atol=1e-4)
            assert float(step.discount[place]) == (0.0 if terminated else 1.0)
            assert bool(step.ended[place]) == (terminated or truncated)
            if terminated or truncated:
                ends += 1
                mirror.reset()
                mirror.unwrapped.state = env._state[place].numpy().copy()
            assert torch.equal(step.obs[place], array.observe(env._state[place]))
    assert ends >= len(SEEDS) * COPIES * 3


def test_next_obs_is_the_true_successor_and_obs_begins_the_next_episode():
    _, env = lockstep()
    ends = 0
    for _, _, step in driven(env, env.reset(), 100):
        assert torch.equal(step.obs[~step.ended], step.next_obs[~step.ended])
        assert (step.obs[step.ended].abs() <= 0.05).all()
        assert (step.next_obs[step.ended].abs() > 0.05).any(-1).all()
        ends += int(step.ended.sum())
    assert ends > 50


def test_recorded_episodes_are_those_told_from_the_steps_in_the_order_of_copies():
    trial, env = lockstep()
    steps = driven(env, env.reset(), 300)
    for run in range(len(SEEDS)):
        assert episodes(trial, run) == by_hand(steps, 12, run)
        assert {True, False} == {episode.terminated for episode in trial.runs[run].episodes}
        assert {True, False} == {episode.truncated for episode in trial.runs[run].episodes}


def test_an_episode_may_terminate_at_its_limit():
    spec = dataclasses.replace(CARTPOLE, max_episode_steps=9)  # a constant push takes 8 to 10 steps
    trial, env = lockstep(spec)
    driven(env, env.reset(), 200, lambda obs: torch.ones(obs.shape[:2], dtype=torch.int64))
    both = [e for run in trial.runs for e in run.episodes if e.terminated and e.truncated]
    assert both
    assert {e.length for e in both} == {9}


@pytest.mark.parametrize("copies", [2, 3])
def test_seeds_together_and_alone_go_the_same_way_to_the_last_bit(copies):
    for spec in ARRAYS.values():
        short = dataclasses.replace(spec, max_episode_steps=40)
        _, together = lockstep(short, copies=copies, policy=idle(short), budget=10**6)
        shape, discrete = ((len(SEEDS), copies), isinstance(together.single_action_space, gymnasium.spaces.Discrete))
        generator = torch.Generator().manual_seed(0)
        actions = (
            torch.randint(0, 2, (300, *shape), generator=generator)
            if discrete
            else 3 * torch.rand(300, *shape, *together.single_action_space.shape, generator=generator) - 1.5
        )
        alone = [lockstep(short, (seed,), copies, idle(short), budget=10**6)[1] for seed in SEEDS]
        obs = together.reset()
        for run, env in enumerate(alone):
            assert torch.equal(obs[run : run + 1], env.reset())
        for action in actions:
            step = together.step(action)
            for run, env in enumerate(alone):
                for ours, theirs in zip(env.step(action[run : run + 1]), step, strict=True):
                    assert torch.equal(ours, theirs[run : run + 1])


@pytest.mark.parametrize("budget", [1, 5, 6])
def test_a_last_step_is_made_only_in_the_copies_that_the_budget_holds(budget):
    trial, env = lockstep(dataclasses.replace(CARTPOLE, max_episode_steps=2), copies=4, budget=budget)
    obs = env.reset()
    with pytest.raises(BudgetExhausted):
        driven(env, obs, 3)
    assert trial.steps == budget
    ended = {1: [], 5: [(0, 5)], 6: [(0, 6), (1, 6)]}[budget]
    assert [(e.copy, e.step) for e in trial.runs[1].episodes] == ended
    with pytest.raises(BudgetExhausted):
        env.step(push(obs))
    assert trial.meter.exhausted


def test_evaluations_fall_due_at_the_same_steps_and_play_gymnasiums_episodes():
    facts = []
    for spec in (CARTPOLE, dataclasses.replace(CARTPOLE, array=None)):
        trial = local_trial(spec, SEEDS, budget=50, points=4, episodes=2)
        run_training(trial, train_pushing, None)
        facts.append(
            [[(e.step, e.seed, e.value, e.length, e.truncated) for e in run.evaluations] for run in trial.runs]
        )
    assert facts[0] == facts[1]
    assert sorted({fact[0] for fact in facts[0][0]}) == [0, 12, 26, 38, 50]


def train_pushing(trial, config):
    env = trial.make_lockstep_env(COPIES)
    trial.policy = push
    obs = env.reset()
    while trial.within_budget:
        obs = env.step(push(obs)).obs


def test_evaluation_leaves_array_training_alone():
    trials = [local_trial(CARTPOLE, SEEDS, budget=300, points=points) for points in (1, 30)]
    for trial in trials:
        run_training(trial, train_pushing, None)
    for run in range(len(SEEDS)):
        assert episodes(trials[0], run) == episodes(trials[1], run)


def test_dqn_spends_its_budget_on_an_array_as_on_gymnasiums_environments(monkeypatch):
    module = importlib.import_module("harness_algorithms.dqn")
    config = resolve_config(module.Config, {"learning_starts": 50})
    for spec in (ARRAYS["cartpole"], dataclasses.replace(ARRAYS["cartpole"], array=None)):
        trial = local_trial(spec, SEEDS, budget=300, points=2)
        make = trial.make_lockstep_env
        monkeypatch.setattr(trial, "make_lockstep_env", lambda copies=1, make=make: make(2))
        run_training(trial, module.train, config)
        assert trial.steps == 300
        for run in trial.runs:
            assert sum(e.length for e in run.episodes) <= 300
            assert all(e.value == e.length for e in run.episodes)
            assert {e.step for e in run.evaluations} == {0, 150, 300}


def test_environments_of_one_trial_share_no_stream_and_go_on_counting_copies():
    trial, one = lockstep()
    other = trial.make_lockstep_env(COPIES)
    obs = other.reset()
    assert not torch.equal(one.reset(), obs)
    driven(other, obs, 30)
    assert {e.copy for e in trial.runs[0].episodes} == {COPIES, COPIES + 1}


def test_resetting_again_is_refused_since_it_would_cut_off_episodes():
    _, env = lockstep()
    env.reset()
    with pytest.raises(ContractBroken, match=r"reset\(\) is called once"):
        env.reset()


def test_what_an_algorithm_does_to_its_tensors_changes_no_step():
    runs = []
    for spoil in (False, True):
        trial, env = lockstep()
        obs = env.reset()
        for _ in range(200):
            action = push(obs)
            step = env.step(action)
            obs = step.obs.clone()
            if spoil:
                for each in (action, *step):
                    each.fill_(1)
        runs.append([episodes(trial, run) for run in range(len(SEEDS))])
    assert runs[0] == runs[1]


def test_actions_of_another_shape_are_refused():
    _, env = lockstep()
    env.reset()
    with pytest.raises(ContractBroken, match=r"action \[3, 2\], not \[3, 2, 1\]"):
        env.step(torch.zeros(len(SEEDS), COPIES, 1, dtype=torch.int64))


def test_a_graph_of_actions_is_not_kept():
    _, env = lockstep(ARRAYS["pendulum"], policy=idle(ARRAYS["pendulum"]))
    env.reset()
    step = env.step(torch.zeros(len(SEEDS), COPIES, 1, requires_grad=True))
    assert not any(each.requires_grad for each in step)


def test_time_of_array_steps_is_the_environments(monkeypatch):
    now = iter(range(1_000))
    monkeypatch.setattr("harness.measuring.lockstep.perf_counter", lambda: next(now))
    trial, env = lockstep()
    driven(env, env.reset(), 5)
    assert trial.clock.environment == 1 + 5


def test_initial_states_are_drawn_in_blocks_that_do_not_repeat():
    _, env = lockstep(dataclasses.replace(CARTPOLE, max_episode_steps=1), budget=10_000)
    firsts = torch.stack([step.obs for _, _, step in driven(env, env.reset(), 600)])
    assert len(torch.unique(firsts.reshape(-1, 4), dim=0)) == 600 * len(SEEDS) * COPIES


def test_the_array_survives_json():
    assert environment_from_json(as_json(CARTPOLE)) == CARTPOLE


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"array": "no module"}, "array must be a module path"),
        ({"array": 3}, "array must be a module path"),
        ({"array": "a.b", "wrappers": ("c:D",)}, "array cannot be wrapped"),
    ],
)
def test_an_impossible_array_is_refused(declared, reason):
    with pytest.raises(SpecError, match=reason):
        EnvironmentSpec("cartpole", "CartPole-v1", **declared)
