import copy
import warnings

import gymnasium
import numpy as np
import pytest

from harness.api import EnvironmentSpec
from harness.measuring import environments
from harness.measuring.environments import EnvironmentError_, reward_of
from harness.running.describe import describe_targets
from support.measuring import Ladder, NativeLadder, act, train_lockstep, train_single, train_vector, trained


class Bullet(Ladder):
    """Complains, as pybullet does, of being closed twice."""

    closed = 0

    def close(self):
        Bullet.closed += 1
        if getattr(self, "over", False):
            raise RuntimeError("not connected to physics server")
        self.over = True


class Unclosable(Ladder):
    def close(self):
        raise AttributeError("no http_server")


class UnclosableVector(NativeLadder):
    def close_extras(self, **kwargs):
        raise AttributeError("no http_server")


class Listed(Ladder):
    """Gives each reward as an array of one."""

    def step(self, action):
        obs, reward, *ends = super().step(action)
        return obs, np.array([reward]), *ends


for kind in (Bullet, Unclosable, Listed):
    gymnasium.register(f"measuring/{kind.__name__}-v0", kind, max_episode_steps=50)
gymnasium.register(
    "measuring/UnclosableVector-v0", Unclosable, max_episode_steps=50, vector_entry_point=UnclosableVector
)


def spec(name: str) -> EnvironmentSpec:
    return EnvironmentSpec(name.lower(), f"measuring/{name}-v0")


def train_and_close(trial, config):
    env = trial.make_env()
    trial.policy = act
    while trial.within_budget:
        env.reset()
        while not any(env.step(0)[2:4]) and trial.within_budget:
            pass
    env.close()


LOOPS = {  # how training steps, whether in lockstep, and how many copies
    "single": (train_single, False, 1),
    "closes": (train_and_close, False, 1),
    "vector": (train_vector(3, "sync", "next_step"), False, 3),
    "lockstep": (train_lockstep(3), True, 3),
}


@pytest.mark.parametrize(("train", "lockstep", "copies"), LOOPS.values(), ids=LOOPS)
def test_every_copy_is_closed_once_whoever_closes_it(train, lockstep, copies):
    Bullet.closed = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trial = trained(train, spec("Bullet"), budget=40, points=2, episodes=2, lockstep=lockstep)

    assert Bullet.closed == copies + 3 * 2  # of training, and one for each episode of three evaluations
    assert trial.steps == 40


@pytest.mark.parametrize(("train", "lockstep", "copies"), LOOPS.values(), ids=LOOPS)
def test_a_complaint_of_close_is_a_warning_that_names_the_environment(train, lockstep, copies):
    with pytest.warns(RuntimeWarning, match=r"environment 'unclosable': its close\(\) raised .*no http_server"):
        trial = trained(train, spec("Unclosable"), budget=40, points=2, episodes=2, lockstep=lockstep)

    assert len(trial.runs[0].evaluations) == 3 * 2


@pytest.mark.parametrize(("train", "lockstep", "copies"), LOOPS.values(), ids=LOOPS)
def test_a_complaint_of_close_fails_nothing_where_warnings_are_errors(train, lockstep, copies, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trial = trained(train, spec("Unclosable"), budget=40, points=2, episodes=2, lockstep=lockstep)

    assert len(trial.runs[0].evaluations) == 3 * 2
    assert "environment 'unclosable': its close() raised" in capsys.readouterr().err


def test_a_complaint_of_a_native_vector_is_a_warning_too():
    with pytest.warns(RuntimeWarning, match=r"its close\(\) raised"):
        trained(train_vector(2, "native", "next_step"), spec("UnclosableVector"), budget=40)


def test_an_environment_that_complains_when_closed_is_described_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "unclosable.py").write_text("""
import gymnasium
class Env(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1)
    action_space = gymnasium.spaces.Discrete(2)
    def close(self):
        raise AttributeError("no http_server")
gymnasium.register("Unclosable-v0", Env, max_episode_steps=5)
""")
    monkeypatch.syspath_prepend(tmp_path)

    it = EnvironmentSpec("it", "Unclosable-v0", imports=("unclosable",))

    (found,) = describe_targets([], {"it": it}).environments

    assert (found.error, found.action_space) == ("", "Discrete")


def test_closing_a_deep_copy_leaves_the_original_open():
    env = environments.make(spec("Bullet"))
    twin = copy.deepcopy(env)

    twin.close()
    assert (twin.unwrapped.over, hasattr(env.unwrapped, "over")) == (True, False)
    env.close()
    assert env.unwrapped.over


@pytest.mark.parametrize("given", [1, 1.0, True, np.float32(1), np.array(1.0), np.int64(1)])
def test_a_reward_is_any_single_number(given):
    assert (reward_of(given), type(reward_of(given))) == (1.0, float)


@pytest.mark.parametrize("given", [np.array([1.0]), np.ones(3), [1.0], None, "much"])
def test_what_is_no_single_number_is_refused_as_a_reward(given):
    with pytest.raises(EnvironmentError_, match=r"reward .* must be one number"):
        reward_of(given)


@pytest.mark.parametrize(("train", "lockstep", "copies"), LOOPS.values(), ids=LOOPS)
def test_a_reward_that_is_an_array_is_named_wherever_the_environment_is_stepped(train, lockstep, copies):
    with pytest.raises(EnvironmentError_, match=r"reward array\(\[.*\]\); it must be one number"):
        trained(train, spec("Listed"), budget=40, lockstep=lockstep)
