"""The meter of a run whose environments step in several processes.

One counter for all copies lies in a file of the trial's folder, mapped into every process and guarded by a file
lock that the system drops when its holder dies. A step is taken from the budget before it is made, so no process
can overshoot. When a mark is reached, every process blocks in ``step`` until the trial has evaluated.
"""

import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import gymnasium

from harness.contract import BudgetExhausted
from harness.measuring import environments, seeding
from harness.measuring.environments import Env
from harness.measuring.meter import Episode, Meter
from harness.measuring.metered_env import StepResult, reset_first
from harness.specs import environment_from_json

CONTROL = "meter"
STEPS, BUDGET, MARK, STATE, OFFSET = range(5)  # fields of the control file, eight bytes each
RUNNING, EVALUATING, SPENT = range(3)
POLL_SECONDS = 0.001
EPISODE = struct.Struct("<qqddq??")  # the fields of `Episode`
FAR = 2**62


class Control:
    """The control file: steps taken, budget, next mark, state, and the training clock's zero.

    Args:
        folder: of the trial.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / CONTROL, os.O_RDWR)
        self._map = mmap.mmap(self._descriptor, 8 * (OFFSET + 1))
        self._integers = memoryview(self._map).cast("q")
        self._seconds = memoryview(self._map).cast("d")

    @staticmethod
    def create(folder: Path, budget: int, first_mark: float) -> "Control":
        """A new control file."""
        (folder / CONTROL).write_bytes(bytes(8 * (OFFSET + 1)))
        control = Control(folder)
        control._integers[BUDGET] = budget
        control.proceed(first_mark)
        return control

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    @property
    def steps(self) -> int:
        """Steps taken from the budget by all copies."""
        return self._integers[STEPS]

    @property
    def evaluating(self) -> bool:
        """Whether every process waits for an evaluation."""
        return self._integers[STATE] == EVALUATING

    @property
    def spent(self) -> bool:
        """Whether a step was refused."""
        return self._integers[STATE] == SPENT

    def take(self) -> int:
        """Take one step from the budget, waiting while the trial evaluates; returns its number.

        Raises:
            BudgetExhausted: none is left.
        """
        while True:
            with self.locked():
                numbers = self._integers
                if numbers[STATE] == RUNNING and numbers[STEPS] < numbers[BUDGET]:
                    numbers[STEPS] += 1
                    if numbers[STEPS] >= numbers[MARK]:
                        numbers[STATE] = EVALUATING
                    return numbers[STEPS]
                if numbers[STATE] != EVALUATING:
                    numbers[STATE] = SPENT
                    raise BudgetExhausted(f"the budget of {numbers[BUDGET]} steps is spent")
            time.sleep(POLL_SECONDS)

    def wait_for_evaluation(self) -> None:
        """Return once no evaluation is under way."""
        while self.evaluating:
            time.sleep(POLL_SECONDS)

    def proceed(self, next_mark: float) -> None:
        """Let steps go on until the next mark."""
        with self.locked():
            self._integers[MARK] = int(min(next_mark, FAR))
            self._integers[STATE] = RUNNING

    def stop(self) -> None:
        """Refuse every further step."""
        with self.locked():
            self._integers[STATE] = SPENT

    def set_clock(self, training_seconds: float) -> None:
        """Tell all processes the training clock, which runs from now on."""
        self._seconds[OFFSET] = perf_counter() - training_seconds

    def clock(self) -> float:
        """The training clock. The system's monotonic clock is one for all processes."""
        return perf_counter() - self._seconds[OFFSET]


class SharedMeteredEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment copy on the trial's shared meter, in whatever process it was made.

    Args:
        env: the environment copy.
        folder: of the trial.
        seed: the run's seed.
        copy: index of this copy within the run.
    """

    def __init__(self, env: Env, folder: Path, seed: int, copy: int) -> None:
        super().__init__(env)
        self._control = Control(folder)
        self._copy = copy
        self._seed: int | None = seeding.integer(seed, seeding.ENVIRONMENT, copy)
        self._episodes = (folder / f"episodes-{copy}-{os.getpid()}").open("ab", buffering=0)
        self._take: Callable[[Any], StepResult] = reset_first
        self._return = 0.0
        self._length = 0
        self.action_space.seed(seeding.integer(seed, "action_space", copy))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode. ``seed`` is ignored: seeds belong to the harness."""
        result = self.env.reset(seed=self._seed, options=options)
        self._seed = None
        self._take = self.env.step
        self._return = 0.0
        self._length = 0
        return result

    def step(self, action: Any) -> StepResult:
        """Take one step from the trial's budget and make it.

        Raises:
            BudgetExhausted: the budget holds no further step; nothing was done.
        """
        if self._take is reset_first:
            reset_first(action)  # before a step is taken from the budget
        number = self._control.take()
        result = self._take(action)
        self._return += float(result[1])
        self._length += 1
        if result[2] or result[3]:
            self._take = reset_first
            ends = (bool(result[2]), bool(result[3]))
            episode = Episode(self._copy, number, self._control.clock(), self._return, self._length, *ends)
            self._episodes.write(EPISODE.pack(*episode))
        return result

    def close(self) -> None:
        """Close the environment and its record."""
        self._episodes.close()
        super().close()


@dataclass(frozen=True)
class SharedEnvFactory:
    """Makes one environment copy of a trial; can be pickled into another process.

    Attributes:
        folder: of the trial.
        environment: description, as JSON values.
        seed: the run's seed.
        copy: index of the copy.
    """

    folder: str
    environment: Mapping[str, Any]
    seed: int
    copy: int

    def __call__(self) -> Env:
        """The metered copy."""
        env = environments.make(environment_from_json(self.environment))
        return SharedMeteredEnv(env, Path(self.folder), self.seed, self.copy)


class Watcher:
    """Evaluates, in a thread of the trial's process, when the shared meter has reached a mark.

    Args:
        control: the shared meter.
        meter: of the run; knows the marks, and calls what evaluates.
    """

    def __init__(self, control: Control, meter: Meter) -> None:
        self._control = control
        self._meter = meter
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="harness-evaluation", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def _watch(self) -> None:
        try:
            while not self._over.wait(POLL_SECONDS):
                self._attend()
            self._attend()  # to a mark that the last step reached
        except BaseException as error:
            self.error = error
            self._control.stop()

    def _attend(self) -> None:
        if self._control.evaluating:
            self._meter.steps = self._control.steps
            self._meter.reached_mark()
            self._control.set_clock(self._meter.clock.training)
            self._control.proceed(self._meter.next_mark)

    def stop(self) -> None:
        """End, and refuse further steps, which nobody would evaluate; raises what an evaluation raised."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._control.stop()
        if self.error is not None:
            raise self.error


def recorded_episodes(folder: Path) -> list[Episode]:
    """Training episodes that all copies have recorded, in the order of their last steps."""
    found = []
    for path in folder.glob("episodes-*"):
        content = path.read_bytes()
        whole = len(content) - len(content) % EPISODE.size  # a killed process may leave half a record
        found += [Episode(*fields) for fields in EPISODE.iter_unpack(content[:whole])]
    return sorted(found, key=lambda episode: episode.step)
