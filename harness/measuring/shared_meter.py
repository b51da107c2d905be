"""The meter of a run whose environments step in several processes.

One counter for all copies lies in a file of the trial's folder, mapped into every process and guarded by a file
lock that the system drops when its holder dies. A step is taken from the budget before it is made, so no process
can overshoot. When a mark is reached, every process blocks in ``step`` until the trial has evaluated.
"""

import fcntl
import functools
import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from harness.contract.specs import EnvironmentSpec, as_json, environment_from_json
from harness.contract.trial import BudgetExhausted
from harness.measuring.clock import Clock
from harness.measuring.environments import Env, EnvFactory
from harness.measuring.meter import Meter, check_return
from harness.measuring.metered_env import metered
from harness.measuring.records import Episode
from harness.measuring.unmetered import WATCH

CONTROL = "meter"
STEPS, BUDGET, MARK, STATE, OFFSET, UNMETERED = range(6)  # fields of the control file, eight bytes each
RUNNING, EVALUATING, SPENT = range(3)
POLL_SECONDS = 0.001
EPISODE = struct.Struct("<qqddq??")  # the fields of `Episode`
FAR = 2**62


class Control:
    """The control file in a trial's folder: steps taken, budget, next mark, state, and the training clock's zero."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / CONTROL, os.O_RDWR)
        self._map = mmap.mmap(self._descriptor, 8 * (UNMETERED + 1))
        self._integers = memoryview(self._map).cast("q")
        self._seconds = memoryview(self._map).cast("d")
        self.unmetered = self._integers[UNMETERED:]

    @staticmethod
    def create(folder: Path, budget: int, first_mark: float) -> "Control":
        """A new control file."""
        (folder / CONTROL).write_bytes(bytes(8 * (UNMETERED + 1)))
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
    def state(self) -> int:
        """`RUNNING`, `EVALUATING` while every process waits for that, or `SPENT` once a step was refused."""
        return self._integers[STATE]

    def take(self, count: int) -> int:
        """Take steps, waiting while the trial evaluates; returns the number of the last or raises `BudgetExhausted`."""
        while True:
            with self.locked():
                numbers = self._integers
                if numbers[STATE] == RUNNING and numbers[STEPS] + count <= numbers[BUDGET]:
                    numbers[STEPS] += count
                    if numbers[STEPS] >= numbers[MARK]:
                        numbers[STATE] = EVALUATING
                    return numbers[STEPS]
                if numbers[STATE] != EVALUATING:
                    numbers[STATE] = SPENT
                    raise BudgetExhausted(f"the budget of {numbers[BUDGET]} steps is spent")
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


class CopyOfMeter:
    """The shared meter as one environment copy sees it, in whatever process that was made."""

    def __init__(self, folder: Path, copy: int) -> None:
        self.clock = Clock()  # what it is billed is in no table: there is no such split of a time that is shared
        self._control = Control(folder)
        WATCH.begin(self._control.unmetered)
        self._step = 0
        self._episodes = (folder / f"episodes-{copy}-{os.getpid()}").open("ab", buffering=0)

    def take(self, count: int = 1) -> bool:
        """Take steps from the trial's budget, waiting while it evaluates."""
        self._step = self._control.take(count)
        return False

    def settle(self) -> None:
        """The trial's process evaluates; the next step waits for it."""

    def ended(self, run: int, copy: int, value: float, length: int, terminated: bool, truncated: bool) -> None:
        """Write down a finished episode."""
        episode = Episode(copy, self._step, self._control.clock(), value, length, terminated, truncated)
        self._episodes.write(EPISODE.pack(*episode))

    def close(self) -> None:
        """Close the record of episodes."""
        self._episodes.close()


def metered_copy(folder: str, environment: Mapping[str, Any], seed: int, copy: int) -> Env:
    """One environment copy of the trial in that folder, made of its description as JSON values, in any process."""
    return metered(environment_from_json(environment), CopyOfMeter(Path(folder), copy), seed, copy)


class SharedMeter(Meter):
    """The trial's side of the shared meter: it evaluates at marks, in a thread, and collects what all copies did."""

    own_process = False

    def __init__(self, folder: Path, *counted: Any) -> None:
        super().__init__(*counted)
        self._folder = folder
        self._control = Control.create(folder, self.budget, self._marks.next)
        self.unmetered = self._control.unmetered
        self._over = threading.Event()
        self._error: BaseException | None = None

    @property
    def steps(self) -> int:
        """Steps taken; waits for an evaluation, whose clock stands still, so that training does, too."""
        while not self.evaluates and self._control.state == EVALUATING:
            time.sleep(POLL_SECONDS)
        return self._control.steps

    @property
    def exhausted(self) -> bool:
        """Whether a step was refused."""
        return self._control.state == SPENT

    def take(self, count: int = 1) -> bool:
        """Take steps from the budget in the trial's own process."""
        self._control.take(count)
        return False

    def settle(self) -> None:
        """The thread evaluates."""

    def ended(self, run: int, copy: int, value: float, length: int, terminated: bool, truncated: bool) -> None:
        """Record an episode of the trial's own process."""
        episode = Episode(copy, self._control.steps, self.clock.training, value, length, terminated, truncated)
        self._runs[run].episodes.append(episode)

    def stop(self) -> BudgetExhausted:
        """Refuse every further step."""
        self._control.stop()
        return super().stop()

    def start(self) -> None:
        """Evaluate at 0, here and now, and let steps begin."""
        self._evaluate(0)

    def _evaluate(self, steps: int) -> None:
        self._marks.pass_by(steps)
        self._on_mark()
        self._control.set_clock(self.clock.training)
        self._control.proceed(self._marks.next)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Evaluate from a thread meanwhile; then raise what an evaluation raised, or collect all copies' episodes."""
        self._control.set_clock(self.clock.training)
        thread = threading.Thread(target=self._watch, name="harness-evaluation", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self._control.stop()  # for nobody would evaluate further steps
            if self._error is not None:
                raise self._error
            (run,) = self._runs
            run.episodes += recorded_episodes(self._folder)
            for episode in run.episodes:
                check_return(self._runs, run, episode.value, "training", episode.step)

    def _watch(self) -> None:
        try:
            while not self._over.wait(POLL_SECONDS):
                self._attend()
            self._attend()  # to a mark that the last step reached
        except BaseException as error:
            self._error = error
            self._control.stop()

    def _attend(self) -> None:
        if self._control.state == EVALUATING:
            self._evaluate(self._control.steps)

    def env_factory(self, environment: EnvironmentSpec, seed: int, copy: int) -> EnvFactory:
        """Makes one metered copy, in any process."""
        return functools.partial(metered_copy, str(self._folder), as_json(environment), seed, copy)

    def is_end(self, error: Exception) -> bool:
        """Any error after a step was refused: a worker may die of that, and its library see a closed pipe."""
        return self.exhausted


def recorded_episodes(folder: Path) -> list[Episode]:
    """Training episodes that all copies have recorded, in the order of their last steps."""
    found = []
    for path in folder.glob("episodes-*"):
        content = path.read_bytes()
        whole = len(content) - len(content) % EPISODE.size  # a killed process may leave half a record
        found += [Episode(*fields) for fields in EPISODE.iter_unpack(content[:whole])]
    return sorted(found, key=lambda episode: episode.step)
