"""The executor: jobs go to SLURM as arrays. Files beside them say how they ended, and SLURM where they cannot."""

import contextlib
import math
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.api import Ended, Ending, ExecutorOptions, Job, UsageError
from harness_slurm import cluster, silence
from harness_slurm.cluster import ALIVE, ID, TAKEN, NoAnswerError, States
from harness_slurm.script import WALLTIME, script
from harness_slurm.settings import Settings
from harness_slurm.tickets import (
    ENDED,
    PLACE,
    PROGRESS,
    TICKET,
    Ticket,
    attempts,
    bring,
    ended_in,
    finished_attempt,
    has_mark,
    is_late,
    last_line,
    mark_ended,
    read,
    ticket_in,
    write,
)

MOST = 500  # jobs in flight of a session that stays, each of which keeps a file open
LOOK_SECONDS = 0.5  # between two looks for jobs that have ended
ATTEMPTS = 10  # with a job that is taken away each time
CLOSING_SECONDS = 60.0  # until all that was cancelled has ended
STOPPED = (*TAKEN, "CANCELLED")  # by others
SCRIPTS = "slurm"  # the folder, beside those of jobs, of scripts and of what they print


def create(options: ExecutorOptions) -> "SlurmExecutor":
    """The executor for these options."""
    return SlurmExecutor(options, Settings.of(options))


class SlurmExecutor:
    """Runs jobs on a cluster that shares their folders with this machine."""

    def __init__(self, options: ExecutorOptions, settings: Settings) -> None:
        self.jobs = options.jobs or MOST
        self._cap = options.jobs  # of a session that does not stay to count; 0 is none
        self._settings = settings
        self._new: list[Job] = []  # started, not yet submitted
        self._jobs: dict[str, Job] = {}  # started and not ended, by id
        self._tickets: dict[str, Ticket] = {}  # of those that were submitted
        self._arrays_of: dict[str, str] = {}  # SLURM's ids of arrays, by name
        self._watched: set[str] = set()  # ids of those that another session started
        self._asked = self._counted = -math.inf
        self._steps: dict[str, int] = {}

    def lacks(self, device: str) -> str:
        """Whether no node has such a device, as far as SLURM can be asked."""
        partition = str(self._settings.slurm.get("partition") or "")
        if device == "cpu" or cluster.has_gpus(partition):
            return ""
        return f"no GPU in {f'the partition {partition}' if partition else 'this cluster'}"

    def has_room(self, device: str, cpus: int) -> bool:
        """Whether fewer jobs than may be are in flight; the rest is SLURM's to decide."""
        return len(self._jobs) < self.jobs

    def start(self, job: Job) -> None:
        """Take a job, which is submitted with the others that are started before the next `wait`."""
        self._jobs[job.id] = job
        self._new.append(job)

    def preview(self, jobs: Sequence[Job]) -> str:
        """The scripts that would be submitted."""
        arrays = self._arrays(jobs, self._cap)
        chained = [f"ARRAY-{number}" if after is not None else "" for number, (_, _, after) in enumerate(arrays)]
        return "\n".join(
            self._script("harness-000000000000", array, share, after)
            for (array, share, _), after in zip(arrays, chained, strict=True)
        )

    def detach(self) -> str:
        """Submit what was started, at most ``--jobs`` of it to run at once, and forget all."""
        self._submit(self._cap)
        ids = sorted({id.partition("_")[0] for id in self.names().values()}, key=int)
        for known in (self._jobs, self._tickets, self._watched, self._steps):
            known.clear()
        return (
            f"SLURM's job{'s' * (len(ids) > 1)} {', '.join(ids)}; give up with `scancel {' '.join(ids)}`" if ids else ""
        )

    def names(self) -> Mapping[str, str]:
        """SLURM's ids, as its commands take them."""
        known = {id: (self._arrays_of.get(ticket.name, ""), ticket.index) for id, ticket in self._tickets.items()}
        return {id: f"{array}_{index}" for id, (array, index) in known.items() if array}

    def reattach(self, job: Job) -> None:
        """Watch a job of another session."""
        self._jobs[job.id] = job
        self._watched.add(job.id)
        if (ticket := ticket_in(job.folder)) is not None:
            self._tickets[job.id] = ticket
            if ticket.name not in self._arrays_of:
                told = read(job.folder.parent / SCRIPTS / f"{ticket.name}.json").get("id")
                self._arrays_of[ticket.name] = told if isinstance(told, str) and ID.fullmatch(told) else ""

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Jobs that have ended within ``seconds``; those that lost their node are submitted anew."""
        deadline = time.monotonic() + seconds
        while True:
            self._submit(0)
            ended = list(self._marked()) or list(self._lost())
            for each in ended:
                del self._jobs[each.id]
                self._tickets.pop(each.id, None)
            left = deadline - time.monotonic()
            if ended or left <= 0:
                return ended
            time.sleep(min(LOOK_SECONDS, left))

    def progress(self) -> Mapping[str, int]:
        """Steps taken by jobs, read as seldom as SLURM is asked."""
        if time.monotonic() - self._counted > self._settings.poll:
            self._counted, self._steps = time.monotonic(), {}
            for job in self._jobs.values():
                with contextlib.suppress(OSError):
                    descriptor = os.open(job.folder / PROGRESS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                    with open(descriptor, "rb") as file:
                        self._steps[job.id] = int.from_bytes(file.read(8), "little")
        return {job: steps for job, steps in self._steps.items() if job in self._jobs}

    def close(self) -> None:
        """Cancel what this session started and wait until it has ended; a job that is missed ends by itself."""
        mine = [id for id in self._jobs if id not in self._watched]
        for id in mine:
            (self._jobs.pop(id).folder / TICKET).unlink(missing_ok=True)  # without which a job does not go on
        names = {self._tickets.pop(id).name for id in mine if id in self._tickets}
        self._new.clear()
        deadline = time.monotonic() + CLOSING_SECONDS
        with contextlib.suppress(UsageError):  # without the commands nothing was submitted
            while names and time.monotonic() < deadline:
                cluster.cancel(names)
                with contextlib.suppress(NoAnswerError):
                    names = {name for (name, _), state in cluster.states(names).items() if state in ALIVE}
                time.sleep(LOOK_SECONDS if names else 0)

    def _arrays(self, jobs: Sequence[Job], cap: int) -> list[tuple[list[Job], int, int | None]]:
        """Jobs that need the same as arrays; how many of each run at once, and after which of the arrays it begins.

        Where there is a cap, as many arrays as it allows run beside each other, each with its share of it.
        """
        alike: dict[object, list[Job]] = defaultdict(list)
        for job in jobs:
            alike[job.device, job.cpus, job.seconds, job.memory_gib, tuple(job.variables.items())].append(job)
        size = self._settings.array_size
        arrays = [each[start : start + size] for each in alike.values() for start in range(0, len(each), size)]
        lanes = min(cap, len(arrays)) or len(arrays)
        shares = [cap // lanes + (lane < cap % lanes) for lane in range(lanes)]
        return [(a, shares[i % lanes], i - lanes if i >= lanes else None) for i, a in enumerate(arrays)]

    def _script(self, name: str, array: Sequence[Job], at_once: int, after: str) -> str:
        return script(name, array[0].folder.parent / SCRIPTS, array, at_once, after, self._settings)

    def _submit(self, cap: int) -> None:
        """Submit what was started since. A session that stays counts for itself, and has no cap here."""
        jobs, self._new = self._new, []
        ids: list[str] = []
        for array, share, after in self._arrays(jobs, cap):
            name = f"harness-{uuid.uuid4().hex[:12]}"
            path = array[0].folder.parent / SCRIPTS / f"{name}.sh"
            path.parent.mkdir(exist_ok=True)
            path.write_text(self._script(name, array, share, "" if after is None else ids[after]), encoding="utf-8")
            for index, job in enumerate(array):
                self._tickets[job.id] = self._ticket(name, index, job)
                self._tickets[job.id].leave(job.folder)
            ids.append(cluster.submit(path))
            self._arrays_of[name] = ids[-1]
            with contextlib.suppress(OSError):  # it is submitted all the same
                write(path.with_suffix(".json"), {"id": ids[-1]})

    def _ticket(self, name: str, index: int, job: Job) -> Ticket:
        before = self._tickets.get(job.id)
        if before is not None:
            return replace(before, name=name, index=index, day=_today(), attempt=before.attempt + 1)
        needs = (job.device, job.cpus, job.seconds, job.memory_gib, job.variables)
        return Ticket(name, index, _today(), 1, *needs, tuple(os.listdir(job.folder)))

    def _marked(self) -> Iterator[Ended]:
        """Jobs that say that they have ended; one look into a folder for all that lie side by side."""
        marked: dict[Path, set[str]] = {}
        for place in {job.folder.parent for job in self._jobs.values()}:
            with contextlib.suppress(OSError):  # there is none yet, or a stranger put something else there
                marked[place] = set(os.listdir(place / ENDED))
        for job in self._jobs.values():
            if job.folder.name in marked.get(job.folder.parent, ()) and (ended := _ended(job)):
                yield ended

    def _lost(self) -> Iterator[Ended]:
        """Jobs that SLURM has no more and that do not say how they ended, as far as they are not submitted anew."""
        submitted = {id: self._tickets.get(id) for id in self._jobs if id in self._tickets or id in self._watched}
        if not submitted or time.monotonic() - self._asked < self._settings.poll:
            return
        self._asked = time.monotonic()
        with contextlib.suppress(NoAnswerError):  # as while SLURM restarts: it will answer later
            states = _states([ticket for ticket in submitted.values() if ticket is not None])
            for id, ticket in submitted.items():
                state = "" if ticket is None else states.get((ticket.name, ticket.index), "")
                job = self._jobs[id]
                if state in ALIVE:
                    silence.forget(job.folder)
                elif (ended := _ended(job)) is not None:  # as it says by now
                    yield ended
                elif ticket and id not in self._watched and state in (*TAKEN, "") and ticket.attempt < ATTEMPTS:
                    self._new.append(job)
                elif _left_nothing(state, job.folder) or silence.is_over(job.folder, _end(state, job, ticket)):
                    with contextlib.suppress(OSError):  # a mark that cannot be written: tried again later
                        yield _ended_silently(state, job, ticket)


def _ended(job: Job) -> Ended | None:
    """How a job ended, its files in its folder; None as long as it does not say, or what it left cannot be seen."""
    ended = ended_in(job.folder, job.id)
    if ended is None or is_late(job.folder):
        return None
    bring(job.folder)
    return ended


def _left_nothing(state: str, folder: Path) -> bool:
    """Whether a job was stopped before it came to its node, as far as can be seen: there is nothing to wait for."""
    return state in STOPPED and not attempts(folder) and not has_mark(folder)


def _ended_silently(state: str, job: Job, ticket: Ticket | None) -> Ended:
    """How a job ended that SLURM has ended, and that did not say how in all the time there was for it."""
    if attempt := finished_attempt(job.folder):  # killed when all was done but the mark
        ended = Ended(job.id, "ended", "", math.nan)
        mark_ended(job.folder, ended, attempt, left=True)  # first: who stores it may be killed once files are moved
        bring(job.folder)
        return ended
    return Ended(job.id, *_verdict(state, job.folder, ticket), math.nan)


def _end(state: str, job: Job, ticket: Ticket | None) -> tuple[object, ...]:
    """What patience is with: another array, another state, or a mark that is there by now, is another end."""
    return "" if ticket is None else ticket.name, state, has_mark(job.folder)


def _today() -> str:
    return time.strftime("%Y-%m-%d")


def _states(tickets: Sequence[Ticket]) -> States:
    """The states of jobs; of those that the queue does not hold any more, as accounting has them."""
    if not tickets:
        return {}
    states = cluster.states({ticket.name for ticket in tickets})
    gone = [ticket for ticket in tickets if (ticket.name, ticket.index) not in states]
    if gone:
        told = cluster.accounted({ticket.name for ticket in gone}, min(ticket.day for ticket in gone))
        states = {**told, **states}
    return states


def _verdict(state: str, folder: Path, ticket: Ticket | None) -> tuple[Ending, str]:
    """How a job ended that left nothing; what says nothing of its trial is no crash, which would count against it."""
    said = "" if ticket is None else last_line(folder.parent / SCRIPTS / f"{ticket.name}_{ticket.index}.log")
    told = f"(SLURM: {state}){said and f': {said}'}"
    if not folder.is_dir():
        return "interrupted", f"{folder} is gone: somebody removed what its job left, or would have"
    if is_late(folder):
        return "interrupted", f"its job ended and left an outcome, which is gone from {folder}"
    if has_mark(folder):
        return "interrupted", f"{folder.parent / ENDED / folder.name}: it does not say how the job ended"
    if state in STOPPED:
        return "interrupted", f"SLURM took it away and did not start it again ({state})"
    if not state:
        return "interrupted", "SLURM does not know it: it was never submitted, or has been forgotten"
    if state == "COMPLETED":
        return "interrupted", f"its job ended well, yet nothing that it left is in {folder} {told}"
    if not any((attempt / PLACE).is_file() for attempt in attempts(folder)):
        return "interrupted", f"its job ended before the trial began {told}"
    if state in ("TIMEOUT", "DEADLINE"):
        limit = (
            "" if ticket is None or ticket.seconds is None else f", {WALLTIME:g} times the trial's {ticket.seconds:g} s"
        )
        return "timeout", f"stopped by SLURM at the time limit of its job{limit} ({state})"
    if state == "OUT_OF_MEMORY":
        return "crashed", f"out of memory: stopped by SLURM ({state})"
    return "crashed", f"its process ended without a word {told}"
