"""Each promise about knowledge, games and recordings, broken: the check must see it and name it."""

import importlib
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from harness.conformance.check import CheckFailed
from harness.conformance.views import require_fitting_recordings, require_true_knowledge, require_whole_game
from harness.discovery.registry import Registry
from support.paths import FIXTURES


@pytest.fixture
def spec(monkeypatch):
    """A function to the description of an environment whose view has other functions."""
    monkeypatch.syspath_prepend(str(FIXTURES / "views"))
    registry = Registry.load(only={"views"})

    def broken(name, view, **functions):
        found = registry.resolve("environment", name).spec
        module = ModuleType("views_broken")
        vars(module).update(vars(importlib.import_module(getattr(found, view))) | functions)
        monkeypatch.setitem(sys.modules, "views_broken", module)
        return replace(found, **{view: "views_broken"})

    return broken


def in_place(obs, action):
    return obs.add_(action.unsqueeze(-1) - 1).clamp_(0, 10)


def by_company(obs, action, next_obs):
    return torch.where(next_obs[..., 0] == 10, 0.0, -1.0) * (1 if obs.numel() > 100 else 1.0000001)


def global_luck(generator, shape):
    return torch.randint(3, (*shape, 1)).float()


KNOWLEDGE = {
    "another reward": ({"reward_fn": lambda obs, action, next_obs: -torch.ones(obs.shape[:-1])}, "reward_fn is wrong"),
    "another end": ({"termination_fn": lambda obs, action, next_obs: next_obs[..., 0] > 8}, "termination_fn is wrong"),
    "other dynamics": ({"dynamics_fn": lambda obs, action: obs}, "dynamics_fn is wrong"),
    "another shape": ({"reward_fn": lambda obs, action, next_obs: -torch.ones_like(obs)}, "reward_fn gives"),
    "in place": ({"dynamics_fn": in_place}, "changes its arguments in place"),
    "by company": ({"reward_fn": by_company}, "seeds would depend on the seeds beside them"),
    "another start": (
        {"initial_fn": lambda generator, shape: torch.zeros(*shape, 1)},
        "distributed unlike observations of resets",
    ),
    "global luck": ({"initial_fn": global_luck}, "global generator"),
    "nothing": (dict.fromkeys(("reward_fn", "termination_fn", "dynamics_fn", "initial_fn")), "has none of"),
}


@pytest.mark.parametrize(("functions", "reason"), KNOWLEDGE.values(), ids=KNOWLEDGE)
def test_untrue_knowledge_is_found(spec, functions, reason):
    with pytest.raises(CheckFailed, match=reason):
        require_true_knowledge(spec("line", "known", **functions))


GAMES = {
    "no legal move": ({"legal": lambda state: torch.zeros(*state.shape[:-1], 2, dtype=torch.bool)}, "no move is legal"),
    "too many moves": ({"legal": lambda state: torch.ones(*state.shape[:-1], 3, dtype=torch.bool)}, "for 2 actions"),
    "a third player": ({"to_move": lambda state: state[..., 0]}, "neither 0 nor 1"),
    "an outcome of 2": (
        {"outcome": lambda state: torch.where(state[..., 0] == 0, 2.0, torch.nan)},
        "outside of -1 to 1",
    ),
    "seen outside": ({"observe": lambda state: state[..., :1].float() + 9}, "not in Box"),
    "in place": ({"apply": lambda state, action: state.sub_(1)}, "changes its argument in place"),
    "another position": ({"position": lambda obs: torch.tensor([4, 0]).expand(*obs.shape[:-1], 2)}, "another position"),
    "without end": ({"apply": lambda state, action: state.clone()}, "goes on for more than"),
}


@pytest.mark.parametrize(("functions", "reason"), GAMES.values(), ids=GAMES)
def test_a_game_with_a_broken_rule_is_found(spec, monkeypatch, functions, reason):
    monkeypatch.setattr("harness.conformance.views.LONGEST_GAME", 20)

    with pytest.raises(CheckFailed, match=reason):
        require_whole_game(spec("take-away", "game", **functions))


def episode(**changes):
    whole = {
        "observations": np.array([[1], [2]]),
        "actions": np.array([2]),
        "rewards": np.array([-1.0]),
        "terminations": np.array([False]),
        "truncations": np.array([True]),
    }
    return SimpleNamespace(**whole | changes)


def changing():
    yield episode(rewards=np.random.default_rng().random(1))


RECORDINGS = {
    "an action outside": (lambda: [episode(actions=np.array([3]))], "action 3 does not lie in"),
    "an observation outside": (lambda: [episode(observations=np.array([[11], [2]]))], "obs .* does not lie in"),
    "a reward that is none": (lambda: [episode(rewards=np.array([np.nan]))], "not finite"),
    "another every time": (changing, "another one when it is read again"),
}


@pytest.mark.parametrize(("episodes", "reason"), RECORDINGS.values(), ids=RECORDINGS)
def test_recordings_that_do_not_fit_are_found(spec, episodes, reason):
    with pytest.raises(CheckFailed, match=reason):
        require_fitting_recordings(spec("line", "dataset", episodes=episodes))


@pytest.mark.parametrize(
    ("episodes", "reason"),
    [
        (lambda: [episode(rewards=np.zeros(2))], "episode 0 of views_broken has arrays that do not fit together"),
        (lambda: [], "views_broken holds no episode"),
    ],
)
def test_recordings_that_are_no_transitions_are_refused_by_name(spec, episodes, reason):
    with pytest.raises(ValueError, match=reason):
        require_fitting_recordings(spec("line", "dataset", episodes=episodes))
