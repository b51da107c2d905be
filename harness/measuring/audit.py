"""What an evaluation left behind in a policy: did it learn from the observations it was shown?"""

import contextlib
import copy
import gc
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import torch

MOST_OBJECTS = 100_000  # a policy that reaches more is not judged
NO_PART = (type, ModuleType, CodeType, gymnasium.Env, gymnasium.vector.VectorEnv)  # of a policy


def audited(policy: Any) -> tuple[Any, Callable[[], bool]]:
    """A policy that does the same and keeps its first question; and, to be asked last, whether it has learned since.

    To act leaves parameters as they are. Other arrays may be memory, noise or buffers, which are the same once the
    same is asked, or new whenever anything is. What was another before, and is now the same twice, was learned.
    """
    calls = [policy] if callable(policy) else [policy.reset, policy.act]
    asked: list[Any] = []  # of each, its first argument
    held: list[dict[int, tuple[bool, str]]] = []

    def act(obs: Any) -> Any:
        if held:
            return calls[-1](obs)
        asked.append(copy.deepcopy(obs))
        actions = calls[-1](obs)
        held.append(arrays(calls))
        return actions

    def reset(mask: Any) -> None:
        if not asked:
            asked.append(copy.deepcopy(mask))
        calls[0](mask)

    def learned() -> bool:
        for _ in range(2 * bool(asked)):
            with torch.no_grad():
                for call, given in zip(calls, asked, strict=True):
                    call(given)
            held.append(arrays(calls))
        before, now, again = held or ({}, {}, {})
        changed = [place for place in before.keys() & now.keys() if before[place] != now[place]]
        return any(now[place][0] or now[place] == again.get(place) for place in changed)

    return act if len(calls) == 1 else SimpleNamespace(reset=reset, act=act), learned


def arrays(calls: list[Any]) -> dict[int, tuple[bool, str]]:
    """The real arrays that functions reach, by place: whether each is a parameter, and its sum."""
    waiting, seen = list(enumerate(calls)), dict[int, Any]()
    found: dict[int, tuple[bool, str]] = {}
    while waiting and len(seen) < MOST_OBJECTS:
        place, thing = waiting.pop()
        ours = type(thing).__module__.startswith("harness.")  # as the trial, whose evaluation goes on
        if isinstance(thing, np.ndarray | torch.Tensor):
            with contextlib.suppress(Exception), torch.no_grad():  # because some kinds have no sum
                if "float" in str(thing.dtype):
                    found[place] = isinstance(thing, torch.nn.Parameter), str(float(thing.sum()))
        elif not (ours or id(thing) in seen or isinstance(thing, NO_PART)):
            seen[id(thing)] = thing
            parts = [*thing] if isinstance(thing, list) else gc.get_referents(thing)  # which begins with the last
            if isinstance(thing, FunctionType):  # refers to all of its module
                parts = [thing.__closure__, thing.__defaults__]
            waiting += [(hash((place, i)), part) for i, part in enumerate(parts)]
    return {} if waiting else found
