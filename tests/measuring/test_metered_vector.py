import gymnasium
import numpy as np
import pytest

from harness.api import EnvironmentSpec
from harness.contract.trial import BudgetExhausted, ContractBroken
from harness.measuring import seeding
from harness.measuring.environments import EnvironmentError_
from support.measuring import (
    LADDER,
    MODES,
    act,
    known_copy,
    known_episodes,
    native,
    recorded_copy,
    train_vector,
    trained,
)
from support.trial import local_trial

COPIES = 3
CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1")


def known_native_copy(copy, number):
    """Episodes of one copy of the native ladder, which seeds copy i with the vector's seed + i."""
    episodes = known_episodes(seeding.integer(seeding.of_environment(0, LADDER.name), seeding.ENVIRONMENT, 0) + copy)
    return [episode for episode, _ in zip(episodes, range(number), strict=False)]


@pytest.mark.parametrize("mode", MODES)
def test_a_sync_vector_counts_every_copy_as_if_it_were_alone(mode):
    trial = trained(train_vector(COPIES, "sync", mode), budget=400)
    assert trial.steps == 400
    for copy in range(COPIES):
        recorded = recorded_copy(trial, copy)
        assert len(recorded) > 20
        assert recorded == known_copy(0, copy, len(recorded))


@pytest.mark.parametrize("mode", MODES)
def test_a_native_vector_counts_every_copy_as_if_it_were_alone(mode):
    trial = trained(train_vector(COPIES, "native", mode), native(mode), budget=400)
    for copy in range(COPIES):
        recorded = recorded_copy(trial, copy)
        assert len(recorded) > 20
        assert recorded == known_native_copy(copy, len(recorded))


@pytest.mark.parametrize("mode", MODES)
def test_steps_are_the_calls_that_reached_a_copy(mode):
    trial = local_trial(native(mode), budget=100)
    trial.policy = act
    env = trial.make_vector_env(COPIES, "native", mode)
    obs, _ = env.reset()
    with pytest.raises(BudgetExhausted):
        while True:
            obs, _, terminated, truncated, _ = env.step(act(obs))
            over = terminated | truncated
            if mode == "disabled" and over.any():
                obs, _ = env.reset(options={"reset_mask": over})
    assert trial.steps == sum(copy.taken for copy in env.unwrapped.copies)
    assert 100 - COPIES < trial.steps <= 100


def test_reset_of_a_vector_is_no_step():
    trial = local_trial(native("next_step"), budget=10)
    env = trial.make_vector_env(COPIES, "native")
    env.reset(seed=5)
    env.reset()
    assert trial.steps == 0


def test_native_cartpole_is_counted_by_its_rewards():
    trial = local_trial(CARTPOLE, budget=1_000)
    trial.policy = lambda obs: np.zeros(len(obs), int)
    env = trial.make_vector_env(COPIES, "native")
    env.reset()
    calls, rewards = 0, 0.0
    with pytest.raises(BudgetExhausted):
        while True:
            rewards += env.step(np.zeros(COPIES, int))[1].sum()
            calls += 1
    episodes = trial.runs[0].episodes
    assert trial.steps == rewards  # reward 1 per step, 0 in the call that only resets
    assert trial.steps == COPIES * calls - sum(episode.step < trial.steps for episode in episodes)
    assert all(episode.value == episode.length for episode in episodes)
    assert {episode.length for episode in episodes} <= {8, 9, 10, 11}  # pushing one way only


def test_a_native_vector_without_autoreset_refuses_to_step_copies_that_ended():
    trial = local_trial(native("disabled"), budget=100)
    trial.policy = act
    env = trial.make_vector_env(COPIES, "native", "disabled")
    env.reset()
    while not np.logical_or(*env.step(np.zeros(COPIES, int))[2:4]).any():
        pass
    before = trial.steps
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset_mask"):
        env.step(np.zeros(COPIES, int))
    assert trial.steps == before


def test_an_autoreset_that_the_native_vector_lacks_is_refused():
    with pytest.raises(EnvironmentError_, match="NEXT_STEP"):
        local_trial(CARTPOLE).make_vector_env(COPIES, "native", "same_step")


def test_sync_and_single_copies_are_the_same_streams():
    vector = local_trial(LADDER, budget=100).make_vector_env(COPIES)
    singles = local_trial(LADDER, budget=100)
    obs, _ = vector.reset()
    assert (obs == [singles.make_env().reset()[0] for _ in range(COPIES)]).all()


def test_a_second_native_vector_has_streams_of_its_own():
    trial = local_trial(CARTPOLE, budget=100)
    first, second = (trial.make_vector_env(COPIES, "native").reset()[0] for _ in range(2))
    assert not (first == second).any()


def test_a_native_vector_that_the_budget_cannot_step_once_is_refused():
    with pytest.raises(ContractBroken, match="holds no step of 3 copies"):
        local_trial(CARTPOLE, budget=2).make_vector_env(3, "native")
