"""The clock of a trial: monotonic, device-synchronised, stopped during evaluation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter


class Clock:
    """Splits a trial's time into set-up, training (of it environment and learning) and evaluation, in seconds.

    ``synchronize`` waits until the device has finished its queue, so that a pause bills nobody else's work.
    """

    def __init__(self, synchronize: Callable[[], None] = lambda: None) -> None:
        self.synchronize = synchronize
        self._made = perf_counter()
        self._trained = 0.0
        self._running_since: float | None = None
        self._plans = 0  # under way: they may be nested, and evaluations too
        self._planned_since = 0.0  # on the training clock
        self.setup = 0.0  # from the making of the clock to the start of training
        self.environment = 0.0  # inside environment steps and resets; metered environments add to it
        self.planning = 0.0  # of learning
        self.evaluation = 0.0  # with the training clock stopped

    def start(self) -> None:
        """Begin training; the time until now was set-up."""
        self._running_since = perf_counter()
        self.setup = self._running_since - self._made

    def stop(self) -> None:
        """End training, once the device has finished."""
        if self._running_since is not None:
            self.synchronize()
            self._trained += perf_counter() - self._running_since
            self._running_since = None

    @property
    def training(self) -> float:
        """Training seconds so far, evaluation excluded."""
        running = 0.0 if self._running_since is None else perf_counter() - self._running_since
        return self._trained + running

    @property
    def learning(self) -> float:
        """Training seconds outside the environment."""
        return self.training - self.environment

    @contextmanager
    def planned(self) -> Iterator[None]:
        """Bill the training time inside to planning, once however often this is nested."""
        if self._plans == 0:
            self.synchronize()
            self._planned_since = self.training
        self._plans += 1
        try:
            yield
        finally:
            self._plans -= 1
            if self._plans == 0:
                self.synchronize()
                self.planning += self.training - self._planned_since

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the training clock and bill the time inside to evaluation."""
        was_running = self._running_since is not None
        self.stop()
        began = perf_counter()
        try:
            yield
        finally:
            self.synchronize()
            now = perf_counter()
            self.evaluation += now - began
            if was_running:
                self._running_since = now
