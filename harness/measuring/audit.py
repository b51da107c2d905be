"""What an evaluation left behind in a policy: did it learn from the observations it was shown?"""

import contextlib
import copy
import gc
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any

import gymnasium
import numpy as np
import torch

MOST_OBJECTS = 100_000  # a policy that reaches more is not judged
NO_PART = (type, ModuleType, CodeType, gymnasium.Env, gymnasium.vector.VectorEnv)  # of a policy


def audited(actor: Callable[..., Any], policy: Any) -> tuple[Callable[..., Any], Callable[[], bool]]:
    """An actor that keeps its first question; and, to be asked last, whether the policy has learned since.

    To act leaves parameters as they are. Other arrays may be memory, noise or buffers, which are the same once the
    same is asked, or new whenever anything is. What was another before, and is now the same twice, was learned.
    """
    question: list[Any] = []
    held: list[dict[int, tuple[bool, str]]] = []

    def asked(*given: Any) -> Any:
        first = not question
        question.extend(copy.deepcopy(given) if first else ())
        actions = actor(*given)
        if first:
            held.append(arrays(policy))
        return actions

    def learned() -> bool:
        for _ in range(2):
            actor(*question)
            held.append(arrays(policy))
        before, now, again = held
        changed = [place for place in before.keys() & now.keys() if before[place] != now[place]]
        return any(now[place][0] or now[place] == again.get(place) for place in changed)

    return asked, learned


def arrays(policy: Any) -> dict[int, tuple[bool, str]]:
    """The real arrays that a policy reaches, by place: whether each is a parameter, and its sum."""
    waiting = [(1, policy), (2, getattr(policy, "act", None)), (3, getattr(policy, "reset", None))]
    seen: dict[int, Any] = {}
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
            function = isinstance(thing, FunctionType)  # which refers to all of its module
            parts = [thing.__closure__, thing.__defaults__] if function else gc.get_referents(thing)
            waiting += [(hash((place, i)), part) for i, part in enumerate(parts)]
    return {} if waiting else found
