"""Where trials run: the interface between the runner and an executor plugin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

Ending = Literal["ended", "crashed", "timeout", "interrupted"]


@dataclass(frozen=True)
class Job:
    """One trial to run.

    Attributes:
        id: unique in the session.
        folder: where ``job.json`` lies on this machine, and where everything that the job writes must lie when its end
            is reported. It runs by ``harness.api.run_job(folder, device)``, in a process of its own.
        device: "cpu" or "cuda".
        cpus: cores it keeps busy.
        variables: environment variables that its process must have been started with.
        seconds: wall-clock limit, or None.
        memory_gib: limit of the memory of all its processes together.
    """

    id: str
    folder: Path
    device: str
    cpus: int
    seconds: float | None
    memory_gib: float
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a job's process came to its end.

    Attributes:
        id: of the job.
        ending: "ended" if its process ended by itself (the outcome file says how training went), "crashed" if it
            died or was stopped for memory, "timeout" if it was stopped for time, "interrupted" if somebody stopped it
            or took its machine away: it says nothing about the trial.
        error: what happened, unless "ended".
        total_seconds: wall-clock time from start to end; NaN if that is not known.
    """

    id: str
    ending: Ending
    error: str
    total_seconds: float


@dataclass(frozen=True)
class ExecutorOptions:
    """What the command line says about executing.

    Attributes:
        jobs: trials at the same time; 0 lets the executor choose.
        gpu_share: part of a GPU that one trial takes.
        settings: what ``--executor-option key=value`` says, for this executor alone to understand.
    """

    jobs: int = 0
    gpu_share: float = 1.0
    settings: Mapping[str, str] = field(default_factory=dict)


class Executor(Protocol):
    """Runs jobs. Used from one thread."""

    @property
    def jobs(self) -> int:
        """How many one-core jobs can run at the same time."""

    def lacks(self, device: str) -> str:
        """Why no job for this device can run here, in words; empty if it can. Asked before anything runs."""

    def has_room(self, device: str, cpus: int) -> bool:
        """Whether a job for that device, busy on that many cores, could start now."""

    def start(self, job: Job) -> None:
        """Start a job for which there is room."""

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Jobs that have ended; returns early when one does."""

    def progress(self) -> Mapping[str, int]:
        """Steps taken, by id of running job, as far as known."""

    def close(self) -> None:
        """Stop every running job and whatever it started; also called after an interruption."""


@runtime_checkable
class DetachableExecutor(Executor, Protocol):
    """An executor whose jobs can go on without the process that started them, and be found again by their folders.

    It takes jobs for which it has no room, and starts them later by itself.
    """

    def preview(self, jobs: Sequence[Job]) -> str:
        """What would be handed over for these jobs, as a text; nothing is started and no folder looked at."""

    def detach(self) -> str:
        """Hand over every job that was started, and let go of them; `close` ends them until this has returned.

        Returns what a person needs to find them and to give them up by other means, in one line, or nothing.
        """

    def names(self) -> Mapping[str, str]:
        """What commands of the system beneath call the jobs that are watched, by id, as far as known."""

    def reattach(self, job: Job) -> None:
        """Watch a job that was let go, of which folder and id alone count: `wait` reports its end, `close` spares it.

        Its folder may be a stranger's: what lies in it is never followed, and nothing that it says is executed.
        """
