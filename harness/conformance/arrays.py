"""Is an array module the MDP of its Gymnasium environment? Asked of the functions of `ArrayModule` one by one."""

import importlib
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch

from harness.conformance.check import CheckFailed, require
from harness.contract.specs import EnvironmentSpec
from harness.measuring import environments
from harness.measuring.environments import Env
from harness.measuring.lockstep import array_dtype
from harness.measuring.lockstep_array import ArrayModule

FUNCTIONS = ("initial", "step", "observe", "state_of")
TRANSITIONS = 5_000  # compared
TOLERANCE = 1e-6  # absolute, and relative for numbers above 1
LONGEST_HELD = 64  # steps of one action: held actions reach farther than independent ones
BEYOND = 1.5  # times the bounds of a Box, in every third action, where Gymnasium's environment takes it
STARTS = 5_000  # initial states compared
PROJECTIONS = 8  # of them, to random directions
LARGEST_DISTANCE = 2.9 * (2 / STARTS) ** 0.5  # between distribution functions: exceeded by 1 right one in 10 million
SHAPES = ((), (3,), (2, 3))
STEPPED = ("successor", "reward", "termination", "observation")  # what `_step_and_observe` gives

Draw = Callable[[torch.Generator, tuple[int, ...]], torch.Tensor]


class Walk(NamedTuple):
    """Transitions of Gymnasium's environment, [B, ...]."""

    state: torch.Tensor
    successor: torch.Tensor
    action: torch.Tensor
    obs: torch.Tensor
    reward: torch.Tensor
    terminated: torch.Tensor


def require_same_mdp(spec: EnvironmentSpec) -> None:
    """Fail unless the array module of a description is its MDP; says where the two differ."""
    assert spec.array is not None
    array: Any = importlib.import_module(spec.array)
    missing = [name for name in FUNCTIONS if not callable(getattr(array, name, None))]
    require(not missing, f"{spec.array} has no function {' and no '.join(missing)}")
    _require_initial(array, environments.make(spec))
    walk = _walk(array, spec)
    _require_new_tensors(array, walk)
    _require_transitions(array, walk, array_dtype(environments.make(spec).observation_space))
    for k, name in enumerate(STEPPED):
        require_rows_apart(name, lambda *row, k=k: _step_and_observe(array, *row)[k], (walk.state, walk.action))


def _require_initial(array: ArrayModule, env: Env) -> None:
    """Initial states have the right shapes and distribution, and are drawn from the generator alone."""
    env.reset(seed=0)
    theirs = []
    for _ in range(STARTS):
        env.reset()
        theirs.append(array.state_of(env.unwrapped).clone())
    require_alike("initial", array.initial, torch.stack(theirs), "those of resets")
    obs = array.observe(array.initial(torch.Generator().manual_seed(0), (1,))[0]).numpy()
    require(env.observation_space.contains(obs), f"initial observation {obs} does not lie in its space")


def require_alike(name: str, draw: Draw, theirs: torch.Tensor, what: str) -> None:
    """Fail unless a function draws rows like ``theirs`` [STARTS, ...], in any shape, from its generator alone."""

    def drawn(*shape: int) -> torch.Tensor:
        return draw(torch.Generator().manual_seed(0), shape)

    for shape in SHAPES:
        got = tuple(drawn(*shape).shape)
        require(got == (*shape, *theirs.shape[1:]), f"{name}(generator, {shape}) has shape {got}")
    kept = torch.get_rng_state()
    ours = drawn(STARTS)
    require(torch.equal(kept, torch.get_rng_state()), f"{name} draws from torch's global generator")
    require(torch.equal(ours, drawn(STARTS)), f"{name} gives two results for one generator")
    distance = _distance(*(rows.double().reshape(STARTS, -1) for rows in (ours, theirs)))
    unlike = f"{name} is distributed unlike {what}: {distance:.2g} between distribution functions"
    require(distance <= LARGEST_DISTANCE, unlike)


def _distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest Kolmogorov-Smirnov distance of two samples [B, D], over axes and random directions.

    Directions see dependence between the numbers of a state, which axes do not.
    """
    both = torch.cat((ours, theirs))
    spread = both.std(0)
    size, generator = both.shape[1], torch.Generator().manual_seed(0)
    random = torch.randn(PROJECTIONS, size, generator=generator, dtype=torch.float64)
    directions = torch.cat((torch.eye(size, dtype=torch.float64), random))
    scaled = (both - both.mean(0)) / torch.where(spread > TOLERANCE, spread, 1.0)
    one, other = (scaled @ directions.T).round(decimals=4).T.contiguous().chunk(2, 1)  # [directions, B]
    places = torch.cat((one, other), 1)
    below, above = (torch.searchsorted(x.sort(1).values, places, right=True) / x.shape[1] for x in (one, other))
    return float((below - above).abs().max())


def _walk(array: ArrayModule, spec: EnvironmentSpec) -> Walk:
    """Random actions in Gymnasium's environment, each held for a while, episode after episode."""
    env, rng = environments.make(spec), np.random.default_rng(0)
    env.action_space.seed(0)
    env.reset(seed=0)
    beyond = _takes_beyond(spec)
    rows, held = [], 0
    for _ in range(TRANSITIONS):
        if held == 0:
            action, held = env.action_space.sample(), int(LONGEST_HELD ** rng.random())
            if beyond and rng.random() < 1 / 3:
                action = (action * BEYOND).astype(action.dtype)
        held -= 1
        before = array.state_of(env.unwrapped).clone()
        obs, reward, terminated, truncated, _ = env.step(action)
        after = array.state_of(env.unwrapped).clone()
        numbers = (action, obs, float(reward), bool(terminated))
        rows.append((before, after, *(torch.from_numpy(np.array(number)) for number in numbers)))
        if terminated or truncated:
            env.reset()
    return Walk(*map(torch.stack, zip(*rows, strict=True)))


def _takes_beyond(spec: EnvironmentSpec) -> bool:
    """Whether Gymnasium's environment takes actions out of bounds."""
    env = environments.make(spec)
    space = env.action_space
    if not (isinstance(space, gymnasium.spaces.Box) and space.is_bounded() and space.dtype == np.float32):
        return False
    env.reset(seed=0)
    try:
        for bound in (space.low, space.high):
            env.step(BEYOND * bound)
    except Exception:
        return False
    return True


def _require_transitions(array: ArrayModule, walk: Walk, obs_dtype: np.dtype[Any]) -> None:
    """A step from every state of the walk leads to where it led Gymnasium's environment."""
    stepped = _step_and_observe(array, walk.state, walk.action)
    _, _, terminated, obs = stepped
    require(terminated.dtype == torch.bool, f"step must say termination in torch.bool, not {terminated.dtype}")
    dtype = torch.from_numpy(np.empty(0, obs_dtype)).dtype
    require(obs.dtype == dtype, f"observe must give {dtype}, not {obs.dtype}")
    gymnasiums = (walk.successor, walk.reward, walk.terminated, walk.obs)
    for name, ours, theirs in zip(STEPPED, stepped, gymnasiums, strict=True):
        require(ours.shape == theirs.shape, f"{name} of a batch has shape {[*ours.shape]}, not {[*theirs.shape]}")
        ours, theirs = ours.double(), theirs.double()
        if differ := rows_that_differ(ours, theirs, TOLERANCE, equal_nan=True):
            k = differ[0]
            raise CheckFailed(
                f"{len(differ)} of {TRANSITIONS} transitions have another {name}; for state {walk.state[k].tolist()} "
                f"and action {walk.action[k].tolist()} the array gives {ours[k].tolist()}, "
                f"Gymnasium {theirs[k].tolist()}"
            )


def rows_that_differ(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float, equal_nan: bool = False) -> list[int]:
    """Indices of rows [B, ...] that are not equal to an absolute tolerance, and a relative one for numbers above 1."""
    close = torch.isclose(ours.double(), theirs.double(), rtol=tolerance, atol=tolerance, equal_nan=equal_nan)
    return list((~close).reshape(len(close), -1).any(1).nonzero().reshape(-1).tolist())


def require_rows_apart(name: str, function: Callable[..., torch.Tensor], rows: Sequence[torch.Tensor]) -> None:
    """Fail unless a function gives a row of [B, ...] the same bits in every leading shape, whatever is beside it."""
    whole, count = function(*rows), len(rows[0])
    for shape in SHAPES:
        size = int(np.prod(shape))
        for start in range(0, 60, size):
            part = slice(start, start + size)
            alone = function(*(each[part].reshape((*shape, *each.shape[1:])) for each in rows))
            beside = whole[part].reshape((*shape, *whole.shape[1:]))
            require(
                torch.equal(alone.nan_to_num(7.0), beside.nan_to_num(7.0)),
                f"in leading shape {shape}, a state's {name} is not what it is among {count} states: "
                "seeds would depend on the seeds beside them",
            )


def _require_new_tensors(array: ArrayModule, walk: Walk) -> None:
    """Functions change none of their arguments, and what they return shares no memory with anything."""
    state, action = walk.state.clone(), walk.action.clone()
    named = dict(zip(STEPPED, _step_and_observe(array, state, action), strict=True))
    require(torch.equal(state, walk.state) and torch.equal(action, walk.action), "step changes its arguments in place")
    named |= {"state": state, "action": action}
    places = {name: tensor.untyped_storage().data_ptr() for name, tensor in named.items()}
    for one, other in combinations(named, 2):
        apart = places[one] != places[other]
        require(apart, f"{one} and {other} share memory: a change of the one would change the other")


def _step_and_observe(array: ArrayModule, state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, ...]:
    successor, reward, terminated = array.step(state, action)
    return successor, reward, terminated, array.observe(successor)
