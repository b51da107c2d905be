import gymnasium
import pytest

from harness.api import EnvironmentSpec
from harness.contract.trial import BudgetExhausted
from harness.measuring import seeding
from support.measuring import LADDER, TenfoldReward, act, known_copy, recorded_copy, train_single, trained
from support.trial import local_trial


def trial_with_policy(**settings):
    trial = local_trial(LADDER, **settings)
    trial.policy = act
    return trial


def test_returns_and_lengths_are_those_of_a_hand_driven_environment_in_every_episode():
    trial = trained(train_single, budget=500)
    recorded = recorded_copy(trial, 0)
    assert len(recorded) > 100
    assert recorded == known_copy(0, 0, len(recorded))


def test_cartpole_is_counted_as_it_counts_itself():
    spec = EnvironmentSpec("cartpole", "CartPole-v1")
    by_hand = []

    def train(trial, config):
        env = trial.make_env()
        trial.policy = lambda obs: (obs[:, 2] > 0).astype(int)
        while trial.within_budget:
            (obs, _), over, length = env.reset(), False, 0
            while not over:
                obs, _, terminated, truncated, _ = env.step(int(obs[2] > 0))
                length, over = length + 1, terminated or truncated
            by_hand.append(length)

    trial = trained(train, spec, budget=2_000)
    assert [episode.length for episode in trial.runs[0].episodes] == by_hand
    assert [episode.value for episode in trial.runs[0].episodes] == by_hand  # reward 1 per step


def test_an_episode_is_stamped_with_the_steps_of_the_run_at_its_end():
    episodes = trained(train_single, budget=200).runs[0].episodes
    total = 0
    for episode in episodes:
        total += episode.length
        assert episode.step == total


def test_the_step_after_the_last_is_not_made():
    trial = trial_with_policy(budget=7)
    env = trial.make_env()
    env.reset()
    while trial.within_budget:
        if any(env.step(0)[2:4]):
            env.reset()
    with pytest.raises(BudgetExhausted, match="the budget of 7 steps is spent"):
        env.step(0)
    assert trial.steps == 7
    assert env.unwrapped.taken == 7
    assert trial.meter.exhausted


def test_reset_is_no_step():
    trial = trial_with_policy(budget=5)
    env = trial.make_env()
    for _ in range(20):
        env.reset()
    assert trial.steps == 0
    assert not trial.runs[0].episodes


def test_an_abandoned_episode_counts_its_steps_and_leaves_no_record():
    trial = trial_with_policy(budget=50)
    env = trial.make_env()
    env.reset()
    while env.unwrapped.length < 2:
        env.reset()
    env.step(0)
    env.reset()
    taken = 1
    over = False
    while not over:
        _, _, terminated, truncated, _ = env.step(0)
        taken, over = taken + 1, terminated or truncated
    assert trial.steps == taken
    assert [episode.length for episode in trial.runs[0].episodes] == [taken - 1]


@pytest.mark.parametrize("end_an_episode", [False, True])
def test_stepping_without_a_running_episode_is_refused_and_not_counted(end_an_episode):
    trial = trial_with_policy(budget=50)
    env = trial.make_env()
    if end_an_episode:
        env.reset()
        while not any(env.step(0)[2:4]):
            pass
    before = trial.steps
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        env.step(0)
    assert trial.steps == before


def test_warm_up_steps_in_another_environment_are_not_free():
    trial = trial_with_policy(budget=3)
    warm_up, env = trial.make_env(), trial.make_env()
    for each in (warm_up, env, warm_up):
        each.reset()
        each.step(0)
    env.reset()
    with pytest.raises(BudgetExhausted):
        env.step(0)
    assert (warm_up.unwrapped.taken, env.unwrapped.taken) == (2, 1)


def test_copies_have_streams_of_their_own():
    trial = trial_with_policy(budget=300)
    envs = [trial.make_env() for _ in range(2)]
    for env in envs:
        obs, _ = env.reset(seed=77)  # ignored
        for _ in range(100):
            obs, _, terminated, truncated, _ = env.step(act(obs))
            if terminated or truncated:
                obs, _ = env.reset(seed=77)
    for copy in range(2):
        recorded = recorded_copy(trial, copy)
        assert recorded == known_copy(0, copy, len(recorded))
    assert recorded_copy(trial, 0)[:10] != recorded_copy(trial, 1)[:10]


def test_sampled_actions_repeat_with_the_seed():
    spaces = [trial_with_policy(seeds=(seed,)).make_env().action_space for seed in (3, 3, 4)]
    first, again, other = ([space.sample() for _ in range(20)] for space in spaces)
    assert first == again != other


def test_the_time_limit_and_declared_wrappers_lie_inside_the_meter():
    spec = EnvironmentSpec("short", LADDER.id, max_episode_steps=3, wrappers=("support.measuring:TenfoldReward",))
    episodes = trained(train_single, spec, budget=100).runs[0].episodes
    seed = seeding.integer(seeding.of_environment(0, "short"), seeding.ENVIRONMENT, 0)
    env = TenfoldReward(gymnasium.make(LADDER.id, max_episode_steps=3))
    obs, _ = env.reset(seed=seed)
    for episode in episodes:
        value, over = 0.0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(act(obs))
            value, over = value + reward, terminated or truncated
        assert (episode.value, episode.terminated, episode.truncated) == (value, terminated, truncated)
        obs, _ = env.reset()
    assert max(episode.length for episode in episodes) == 3
