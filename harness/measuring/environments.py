"""From an environment's description to a Gymnasium environment."""

import importlib
import pkgutil
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium

from harness.contract.specs import EnvironmentSpec

Env = gymnasium.Env[Any, Any]
EnvFactory = Callable[[], Env]
VectorEnv = gymnasium.vector.VectorEnv[Any, Any, Any]


class EnvironmentError_(ValueError):  # noqa: N801, N818, because the builtin has the name
    """An environment that cannot be made as described; the message names it, the field and the fix."""


def make(spec: EnvironmentSpec, render_mode: str | None = None) -> Env:
    """A fresh environment: registered id, time limit (`EnvironmentError_` without), then wrappers, innermost first.

    Gymnasium's checker is left out: it looks at the first step only and costs a call on every later one.
    """
    rendered: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    env: Env = gymnasium.make(spec.id, disable_env_checker=True, **_arguments(spec), **rendered)
    if env.spec is None or env.spec.max_episode_steps is None:
        lacking = "has no time limit, so an episode might never end; set max_episode_steps"
        raise EnvironmentError_(f"environment {spec.name!r}: {spec.id} {lacking}")
    for target, kwargs in spec.wrappers:
        env = pkgutil.resolve_name(target)(env, **kwargs)
    env.close = partial(_close_once, spec.name, [env.close])  # type: ignore[method-assign]
    return env


def _close_once(name: str, first: list[Callable[[], None]]) -> None:
    """Close what algorithm, vector and trial may each close; its complaint, when all is done, is a warning."""
    if first:
        try:
            first.pop()()
        except Exception as error:
            complaint = f"environment {name!r}: its close() raised {error!r}"
            try:
                warnings.warn(complaint, RuntimeWarning, stacklevel=2)
            except RuntimeWarning:  # where warnings are errors, this is still none
                print(complaint, file=sys.stderr)


def reward_of(given: Any) -> float:
    """The reward that a step gave, as a number; an `EnvironmentError_` if it is not one number."""
    try:
        if type(given) is float or getattr(given, "ndim", 0) == 0:
            return float(given)
    except (TypeError, ValueError):
        pass
    raise EnvironmentError_(f"the environment's step() gave the reward {given!r:.80}; it must be one number")


def _arguments(spec: EnvironmentSpec) -> dict[str, Any]:
    """What the environment is made with, once the modules that register it are imported."""
    for module in spec.imports:
        importlib.import_module(module)
    limit = {} if spec.max_episode_steps is None else {"max_episode_steps": spec.max_episode_steps}
    return {**spec.kwargs, **limit}


def make_native_vector(spec: EnvironmentSpec, copies: int, autoreset: str) -> VectorEnv:
    """The environment's own vector with autoreset "next_step", "same_step" or "disabled"; else `EnvironmentError_`."""
    arguments = _arguments(spec)
    if spec.wrappers:
        raise EnvironmentError_(f"environment {spec.name!r}: a native vector environment cannot carry wrappers")
    env = gymnasium.make_vec(spec.id, copies, vectorization_mode="vector_entry_point", **arguments)
    mode = env.metadata.get("autoreset_mode")
    if getattr(mode, "name", "").lower() != autoreset:
        raise EnvironmentError_(f"environment {spec.name!r}: its native vector environment has autoreset {mode}")
    env.close = partial(_close_once, spec.name, [env.close])  # type: ignore[method-assign]
    return env
