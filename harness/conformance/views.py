"""Does an environment show truly what else it shows of itself: what may be known, a game, recorded transitions?"""

import importlib
import itertools
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch

from harness.conformance.arrays import STARTS, require_alike, require_rows_apart, rows_that_differ
from harness.conformance.check import CheckFailed, require
from harness.contract.specs import EnvironmentSpec
from harness.contract.trial import GameRules
from harness.measuring import environments, seeding
from harness.measuring.environments import Env
from harness.measuring.lockstep import array_dtype
from harness.measuring.recorded import load_dataset
from harness.running.describe import FUNCTIONS_OF_VIEWS

TOLERANCE = 1e-4  # absolute, and relative above 1: observations are float32
TRANSITIONS = 100_000  # at least, in whole episodes
GAMES = 200
LONGEST_GAME = 10_000  # plies


def require_true_knowledge(spec: EnvironmentSpec) -> None:
    """Fail unless the functions of ``known`` give what the environment does; says which does not, and where."""
    assert spec.known is not None
    module: Any = importlib.import_module(spec.known)
    given = [name for name in FUNCTIONS_OF_VIEWS["known"] if callable(getattr(module, name, None))]
    require(given, f"{spec.known} has none of {', '.join(FUNCTIONS_OF_VIEWS['known'])}")
    env = environments.make(spec)
    obs, action, next_obs, reward, terminated = _transitions(env)
    questions: dict[str, tuple[tuple[torch.Tensor, ...], torch.Tensor]] = {
        "reward_fn": ((obs, action, next_obs), reward),
        "termination_fn": ((obs, action, next_obs), terminated),
        "dynamics_fn": ((obs, action), next_obs),
    }
    for name in (name for name in given if name in questions):
        whole, truth = questions[name]
        function, arguments = getattr(module, name), [argument.clone() for argument in whole]
        told = function(*arguments)
        require(all(map(torch.equal, arguments, whole)), f"{name} changes its arguments in place")
        require(told.shape == truth.shape, f"{name} gives {[*told.shape]}, not {[*truth.shape]}")
        if places := rows_that_differ(told, truth, TOLERANCE):
            k = places[0]
            raise CheckFailed(
                f"{name} is wrong of {len(places)} of {len(told)} transitions; for observation {obs[k].tolist()} and "
                f"action {action[k].tolist()} it gives {told[k].tolist()}, the environment {truth[k].tolist()}"
            )
        require_rows_apart(name, function, whole)
    if "initial_fn" in given:
        firsts = [env.reset(seed=seeding.integer(0, "conformance", k))[0] for k in range(STARTS)]
        theirs = torch.from_numpy(np.asarray(firsts, array_dtype(env.observation_space)))
        require_alike("initial_fn", module.initial_fn, theirs, "observations of resets")


def _transitions(env: Env) -> tuple[torch.Tensor, ...]:
    """Observations, actions, successors, rewards and terminations of random actions, [B, ...]."""
    env.action_space.seed(0)
    kinds = array_dtype(env.observation_space), array_dtype(env.action_space)
    rows: list[tuple[Any, ...]] = []
    for episode in itertools.count():
        obs, _ = env.reset(seed=seeding.integer(0, "conformance", episode))
        over = False
        while not over:
            before, action = np.array(obs), env.action_space.sample()
            obs, reward, terminated, truncated, _ = env.step(action)
            rows.append((before, action, np.array(obs), float(reward), bool(terminated)))
            over = terminated or truncated
        if len(rows) >= TRANSITIONS:
            break
    dtypes: tuple[Any, ...] = (*kinds, kinds[0], np.float32, bool)
    columns = zip(zip(*rows, strict=True), dtypes, strict=True)
    return tuple(torch.from_numpy(np.asarray(column, dtype)) for column, dtype in columns)


def require_whole_game(spec: EnvironmentSpec) -> None:
    """Fail unless random games by the rules end, with outcomes, players and observations as they must be."""
    assert spec.game is not None
    rules = cast(GameRules, importlib.import_module(spec.game))
    env = environments.make(spec)
    actions = int(cast(Any, env.action_space).n)
    positions = list(_played(rules, actions))
    for state in positions:
        ended = ~rules.outcome(state).isnan()
        require(rules.to_move(state).lt(2).all() and rules.to_move(state).ge(0).all(), "to_move is neither 0 nor 1")
        outcome = rules.outcome(state)[ended]
        require(outcome.abs().le(1).all(), f"outcome lies outside of -1 to 1: {outcome.tolist()[:3]}")
        require(rules.legal(state)[~ended].any(-1).all(), "a game goes on, and no move is legal")
        seen = rules.observe(state)[0].numpy()
        require(env.observation_space.contains(seen), f"observe gives {seen}, not in {env.observation_space}")
    states = torch.cat(positions)
    going_on = states[rules.outcome(states).isnan()]
    again = rules.observe(rules.position(rules.observe(going_on)))
    require(torch.equal(again, rules.observe(going_on)), "position gives another position than was observed")
    for name in ("legal", "to_move", "outcome", "observe"):
        require_rows_apart(name, getattr(rules, name), (states,))


def _played(rules: GameRules, actions: int) -> Iterator[torch.Tensor]:
    """Positions [GAMES, D] after every ply of random games; one that has ended stays."""
    state, chance = rules.initial((GAMES,)), torch.Generator().manual_seed(0)
    for _ in range(LONGEST_GAME):
        yield state
        going_on, legal = rules.outcome(state).isnan(), rules.legal(state)
        require(legal.shape == (GAMES, actions), f"legal has shape {[*legal.shape]}, for {actions} actions")
        if not going_on.any():
            return
        action = (torch.rand(GAMES, actions, generator=chance) * legal).argmax(-1)
        before = state.clone()
        after = rules.apply(state, action)
        require(torch.equal(before, state), "apply changes its argument in place")
        state = torch.where(going_on.unsqueeze(-1), after, state)
    require(False, f"a random game goes on for more than {LONGEST_GAME} plies")


def require_fitting_recordings(spec: EnvironmentSpec) -> None:
    """Fail unless recorded transitions are always the same, and lie in the spaces of the environment."""
    env = environments.make(spec)
    data, again = (load_dataset(spec, torch.device("cpu")) for _ in range(2))
    require(torch.isfinite(data.reward).all(), "a recorded reward is not finite")
    require(all(map(torch.equal, data, again)), "the data set is another one when it is read again")
    for name, column, space in (("obs", data.obs, env.observation_space), ("action", data.action, env.action_space)):
        for k, row in enumerate(column[:STARTS].numpy()):
            require(space.contains(row), f"transition {k}: {name} {row} does not lie in {space}")
