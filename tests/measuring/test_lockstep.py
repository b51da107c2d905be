import gymnasium
import numpy as np
import pytest
import torch

from harness.api import EnvironmentSpec
from harness.contract.trial import BudgetExhausted, ContractBroken
from harness.measuring.environments import EnvironmentError_
from harness.measuring.lockstep import EnvLockstep
from support.measuring import LADDER, act_lockstep, known_copy, recorded_copy, train_lockstep, train_single, trained
from support.trial import local_trial

SEEDS, COPIES = (0, 5, 9), 2


def lockstep(environment=LADDER, seeds=SEEDS, copies=COPIES, policy=act_lockstep, **settings):
    trial = local_trial(environment, seeds, lockstep=True, **settings)
    trial.policy = policy
    return trial, trial.make_lockstep_env(copies)


def driven(env, obs, steps):
    """Steps taken, each with the observation and action before it."""
    taken = []
    for _ in range(steps):
        action = act_lockstep(obs)
        step = env.step(action)
        taken.append((obs, action, step))
        obs = step.obs
    return taken


def test_shapes_and_dtypes():
    trial, env = lockstep(budget=100)
    obs = env.reset()
    step = env.step(act_lockstep(obs))
    axes = (len(SEEDS), COPIES)
    assert (env.num_seeds, env.copies) == axes
    assert obs.shape == step.obs.shape == step.next_obs.shape == (*axes, 2)
    assert {value.shape for value in (step.reward, step.discount, step.ended)} == {axes}
    assert (obs.dtype, step.reward.dtype, step.discount.dtype, step.ended.dtype) == (
        torch.float32,
        torch.float32,
        torch.float32,
        torch.bool,
    )
    assert trial.steps == COPIES


def test_next_obs_is_the_true_successor_and_obs_begins_the_next_episode():
    _, env = lockstep(budget=1_000)
    ends = 0
    for before, _, step in driven(env, env.reset(), 100):
        scale, time = before.unbind(-1)
        assert torch.equal(step.next_obs, torch.stack([scale, time + 1], -1))
        assert torch.equal(step.obs[~step.ended], step.next_obs[~step.ended])
        assert (step.obs[step.ended][:, 1] == 0).all()
        ends += int(step.ended.sum())
    assert ends > 50


def test_discount_is_0_only_where_the_episode_terminated():
    trial, env = lockstep(budget=1_000)
    steps = driven(env, env.reset(), 100)
    for run in range(len(SEEDS)):
        seen = [(bool(s.ended[run, n]), float(s.discount[run, n])) for _, _, s in steps for n in range(COPIES)]
        discounts_at_ends = sorted(discount for ended, discount in seen if ended)
        terminated = [episode.terminated for episode in trial.runs[run].episodes]
        assert discounts_at_ends == sorted(0.0 if each else 1.0 for each in terminated)
        assert {True, False} == set(terminated)
        assert all(discount == 1 for ended, discount in seen if not ended)


def test_every_transition_is_a_real_step():
    trial, env = lockstep(budget=1_000)
    steps = driven(env, env.reset(), 100)
    assert trial.steps == 100 * COPIES
    assert trial.steps == sum(each.unwrapped.taken for each in env._envs[:COPIES])
    assert all((step.reward > 0).all() for _, _, step in steps)  # a reset that posed as a step would have 0


class InPlace(gymnasium.Env):
    """Returns one array, which it overwrites; episodes are one step long."""

    observation_space = gymnasium.spaces.Box(-10, 10, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self):
        self.obs = np.zeros(1, np.float32)

    def reset(self, *, seed=None, options=None):
        self.obs[:] = 1
        return self.obs, {}

    def step(self, action):
        self.obs[:] = 2
        return self.obs, 0.0, True, False, {}


def test_an_environment_that_reuses_its_array_keeps_its_successor():
    gymnasium.register("measuring/InPlace-v0", InPlace, max_episode_steps=5)
    _, env = lockstep(EnvironmentSpec("in-place", "measuring/InPlace-v0"), budget=10)
    env.reset()
    step = env.step(torch.zeros(len(SEEDS), COPIES, dtype=torch.int64))
    assert (step.next_obs == 2).all()
    assert (step.obs == 1).all()


def test_returns_and_lengths_are_those_of_a_hand_driven_environment_in_every_episode():
    trial = trained(train_lockstep(COPIES), seeds=SEEDS, budget=300)
    for run, seed in enumerate(SEEDS):
        for copy in range(COPIES):
            recorded = recorded_copy(trial, copy, run)
            assert len(recorded) > 20
            assert recorded == known_copy(seed, copy, len(recorded))


def test_seeds_together_and_alone_have_the_same_episodes():
    together = trained(train_lockstep(COPIES), seeds=SEEDS, budget=201)
    for run, seed in enumerate(SEEDS):
        alone = trained(train_lockstep(COPIES), seeds=(seed,), budget=201, lockstep=True)
        without_seconds = [
            [(e.copy, e.step, e.value, e.length) for e in trial.runs[index].episodes]
            for trial, index in ((together, run), (alone, 0))
        ]
        assert without_seconds[0] == without_seconds[1]


def test_one_copy_in_lockstep_has_the_episodes_of_a_single_environment():
    lock = trained(train_lockstep(1), seeds=(7,), budget=200, lockstep=True)
    assert recorded_copy(lock, 0) == recorded_copy(trained(train_single, seeds=(7,), budget=200), 0)


@pytest.mark.parametrize("budget", [1, 5, 6])
def test_a_last_step_is_made_only_in_the_copies_that_the_budget_holds(budget):
    trial, env = lockstep(copies=4, budget=budget)
    obs = env.reset()
    with pytest.raises(BudgetExhausted):
        driven(env, obs, 3)
    assert trial.steps == budget
    taken = [each.unwrapped.taken for each in env._envs[:4]]
    assert sum(taken) == budget
    assert taken == sorted(taken, reverse=True)
    with pytest.raises(BudgetExhausted):
        env.step(act_lockstep(obs))
    assert trial.meter.exhausted


def test_resetting_again_is_refused_since_it_would_cut_off_episodes():
    _, env = lockstep(budget=100)
    env.reset()
    with pytest.raises(ContractBroken, match=r"reset\(\) is called once"):
        env.reset()


def test_environments_for_one_run_are_refused_where_several_train():
    trial = local_trial(LADDER, (0, 1))
    for make in (trial.make_env, lambda: trial.make_vector_env(2)):
        with pytest.raises(ContractBroken, match="make_lockstep_env"):
            make()


def test_discrete_observations_are_int64():
    _, env = lockstep(EnvironmentSpec("lake", "FrozenLake-v1"), policy=torch.zeros_like)
    obs = env.reset()
    assert (obs.dtype, obs.shape) == (torch.int64, (len(SEEDS), COPIES))


def test_box_actions_keep_their_axes():
    _, env = lockstep(EnvironmentSpec("pendulum", "Pendulum-v1"), policy=lambda obs: obs[..., :1])
    env.reset()
    step = env.step(torch.zeros(len(SEEDS), COPIES, 1))
    assert step.next_obs.shape == (len(SEEDS), COPIES, 3)


class Choosing(gymnasium.Env):
    """Never ends; acts in whatever space it is given."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))

    def __init__(self, action_space):
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}


@pytest.mark.parametrize(
    "space", [gymnasium.spaces.Discrete(3, start=1), gymnasium.spaces.MultiDiscrete([2, 3], start=[0, 1])]
)
def test_actions_that_do_not_count_from_0_are_refused(space):
    with pytest.raises(EnvironmentError_, match="must start at 0"):
        EnvLockstep(lambda: Choosing(space), [], (0,), 1, torch.device("cpu"))


def test_several_discrete_actions_are_accepted():
    space = gymnasium.spaces.MultiDiscrete([2, 3])
    env = EnvLockstep(lambda: Choosing(space), [], (0,), 1, torch.device("cpu"))
    assert env.single_action_space == space


def test_waiting_for_the_device_is_not_the_environments_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("harness.measuring.lockstep.perf_counter", lambda: now[0])

    class OnDevice:
        def cpu(self):
            now[0] += 100.0
            return torch.zeros(len(SEEDS), COPIES, dtype=torch.int64)

    trial, env = lockstep(budget=100)
    env.reset()
    env.step(OnDevice())
    assert trial.clock.environment == 0.0


def test_a_second_lockstep_environment_goes_on_counting_copies():
    trial, _ = lockstep(budget=100)
    second = trial.make_lockstep_env(1)
    expected = local_trial(LADDER, SEEDS[:1], budget=100).metered(COPIES).reset()[0]
    assert np.array_equal(second.reset()[0, 0].numpy(), np.asarray(expected, np.float32))
