"""Steps that no meter allowed, seen at the innermost environment.

Nothing keeps an algorithm from stepping ``env.unwrapped``, a copy of it or an environment of its own making. So the
class of every environment made while there is a trial counts the steps that are taken while no call of the harness
into an environment is under way. Environments that nobody steps, as those made to read spaces, count nothing.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium import vector

# What steps other environments, which count for themselves.
OUTER = (gymnasium.Wrapper, vector.VectorWrapper, vector.SyncVectorEnv, vector.AsyncVectorEnv)


class Watch:
    """Watches the environments of this process; as a context, it is a call of the harness into them.

    There is one, `WATCH`, for classes are the process's.
    """

    def __init__(self) -> None:
        self.entered = self.left = 0  # such calls: begun, and over
        self._unmetered = memoryview(bytearray(8)).cast("q")  # one number, which processes may share
        self._steps: dict[Any, Any] = {}  # what counts, by class

    def begin(self, unmetered: memoryview) -> None:
        """Count into this number from now on, until another is given."""
        self._unmetered = unmetered
        self._steps = {kind: step for kind, step in self._steps.items() if kind.step is step}
        for base in (gymnasium.Env, vector.VectorEnv):
            base.__new__ = staticmethod(self._maker(base))  # type: ignore[method-assign]  # deep copies pass it, too

    def replaced(self) -> list[str]:
        """Environments whose ``step`` somebody has replaced since."""
        return [kind.__name__ for kind, step in self._steps.items() if kind.step is not step]

    def __enter__(self) -> None:
        self.entered += 1

    def __exit__(self, *_: object) -> None:
        self.left += 1

    def _maker(self, base: Any) -> Callable[..., Any]:
        def make(kind: Any, *arguments: Any, **named: Any) -> Any:
            if kind not in self._steps and not issubclass(kind, OUTER):
                self._have_counted(kind)
            following = super(base, kind).__new__
            return following(kind) if following is object.__new__ else following(kind, *arguments, **named)

        return make

    def _have_counted(self, kind: Any) -> None:
        step, in_vector = kind.step, issubclass(kind, vector.VectorEnv)
        if len(inspect.signature(step).parameters) != 2:  # an environment and an action, for the sake of speed
            return

        @functools.wraps(step)
        def counting(env: Any, action: Any) -> Any:
            if self.entered != self.left:
                return step(env, action)
            before = self.entered, self._unmetered[0]
            result = step(env, action)
            if (self.entered, self._unmetered[0]) == before:  # else it only passed the step on
                self._unmetered[0] += env.num_envs if in_vector else 1
            return result

        kind.step = self._steps[kind] = counting


WATCH = Watch()
