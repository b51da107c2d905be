"""Which ways to more than the budget are seen: every mode of the cheats that docs/semantics.md lists."""

import re
from typing import Any

import pytest

from harness.contract.specs import EnvironmentSpec
from harness.measuring.records import Unmetered
from harness.measuring.training import run_training
from support.paths import FIXTURES
from support.trial import local_trial

CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1")
BUDGET, FREE = 120, 300
HONEST = (
    "honest", "reads_spaces", "has_an_adapter", "steps_a_shallow_copy", "steps_many_factories",
    "plans_and_says_so", "has_a_vector", "has_a_native_vector", "draws_at_random", "keeps_noise_and_memory",
    "writes_down_what_it_does",
)  # fmt: skip
BESIDE = (
    "unwrapped", "inner_wrapper", "copy_of_the_inner", "pickled", "made", "made_of_the_class", "made_as_a_vector",
    "private_door", "native_inner", "lockstep_inner", "in_a_thread", "in_a_fork", "after_the_budget",
    "overrides_the_metered_step",
)  # fmt: skip
OTHERWISE = {
    "in_act": "steps were taken beside the meter",
    "plans_in_evaluations_environments": "steps were taken beside the meter",
    "writes_to_the_meter": "episodes have .* steps, and the meter counted 120",
    "replaces_the_environments_step": "train replaced CartPoleEnv.step",
}
REFUSED = {"copies_the_meter": TypeError}
UNSEEN = ("sets_the_state", "has_a_simulator_of_its_own", "trains_in_act", "searches_in_act")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that trains in a mode, and puts the environment's class back."""
    monkeypatch.syspath_prepend(str(FIXTURES / "cheats"))
    import cheats_train
    from gymnasium.envs.classic_control.cartpole import CartPoleEnv

    monkeypatch.setattr(CartPoleEnv, "step", CartPoleEnv.step)

    def train(mode: str) -> Any:
        seeds = (0, 1) if mode == "lockstep_inner" else (0,)
        trial = local_trial(CARTPOLE, seeds, budget=BUDGET, points=2, episodes=3)
        run_training(trial, cheats_train.train, cheats_train.Config(mode))
        return trial

    return train


@pytest.mark.parametrize("mode", HONEST)
def test_what_is_honest_is_let_be(run: Any, mode: str) -> None:
    assert run(mode).steps == BUDGET


@pytest.mark.parametrize("mode", BESIDE)
def test_every_step_beside_the_meter_is_counted(run: Any, mode: str) -> None:
    with pytest.raises(Unmetered) as told:
        run(mode)
    count = re.match(r"(\d+) steps were taken beside the meter", str(told.value))
    assert count is not None
    assert int(count[1]) == FREE


@pytest.mark.parametrize("mode", OTHERWISE)
def test_what_else_is_seen_is_named(run: Any, mode: str) -> None:
    with pytest.raises(Unmetered, match=OTHERWISE[mode]):
        run(mode)


@pytest.mark.parametrize("mode", REFUSED)
def test_what_python_refuses_ends_the_run(run: Any, mode: str) -> None:
    with pytest.raises(REFUSED[mode]):
        run(mode)


@pytest.mark.parametrize("mode", UNSEEN)
def test_what_is_said_not_to_be_seen_is_not(run: Any, mode: str) -> None:
    assert run(mode).steps == BUDGET


def test_every_way_is_tried() -> None:
    told = (FIXTURES / "cheats" / "cheats_train.py").read_text()
    ways = set(re.findall(r"^def (\w+)\(trial\):", told, re.MULTILINE))
    assert ways == {*HONEST, *BESIDE, *OTHERWISE, *REFUSED, *UNSEEN}
