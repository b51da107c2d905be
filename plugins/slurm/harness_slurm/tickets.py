"""Files by which the executor and its jobs talk: a ticket in the folder of each job, a mark beside it once it ended.

Whoever starts with a job looks whether its ticket names the array that it belongs to. So a job that was given up, or
submitted once more, does nothing when it comes to its turn after all.
"""

import contextlib
import json
import math
import os
import re
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.api import Ended, Job

TICKET = "slurm.json"
PLACE = "place.json"  # what `run_job` writes first
OUTCOME = "outcome.json"  # and last
PROGRESS = "progress"  # the file in which a job says how many steps it has taken
ENDED = "ended"  # a folder, with a file named after the folder of each job that has
NAME = re.compile(r"harness-[0-9a-f]{12}")  # of an array
LARGEST = 2**20  # bytes of such a file
ATTEMPT = re.compile(r"attempt-[0-9a-f]{32}")  # the folder of one, in that of its job
ENDINGS = ("ended", "crashed", "timeout")


@dataclass(frozen=True)
class Ticket:
    """What a node is told of a job, and where SLURM has it."""

    name: str  # of the array
    index: int  # in it
    day: str  # on which it was submitted, as sacct takes it
    attempt: int  # the first is 1
    device: str
    cpus: int
    seconds: float | None
    memory_gib: float
    variables: Mapping[str, str]
    kept: tuple[str, ...]  # names in the folder before the trial began, which each attempt finds

    def of_job(self, folder: Path) -> Job:
        """The job, as on its node."""
        return Job(self.name, folder, self.device, self.cpus, self.seconds, self.memory_gib, self.variables)

    def leave(self, folder: Path) -> None:
        """Put it into the folder of its job."""
        write(folder / TICKET, asdict(self))


def ticket_in(folder: Path) -> Ticket | None:
    """The ticket in a folder; None if there is none, or it cannot be one."""
    told = read(folder / TICKET)
    try:
        ticket = Ticket(**{**told, "kept": tuple(told["kept"])})
    except (TypeError, KeyError):
        return None
    texts = (ticket.name, ticket.day, ticket.device)
    sound = all(isinstance(text, str) for text in texts) and type(ticket.index) is type(ticket.attempt) is int
    sound = sound and (ticket.seconds is None or _is_number(ticket.seconds))
    return ticket if sound and NAME.fullmatch(ticket.name) and _is_day(ticket.day) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _is_day(text: str) -> bool:
    """Whether sacct could take it for one; of many jobs it is asked since the first day."""
    try:
        return text >= "2002" and time.strftime("%Y-%m-%d", time.strptime(text, "%Y-%m-%d")) == text  # SLURM's age
    except ValueError:
        return False


def mark_ended(folder: Path, ended: Ended, attempt: str, left: bool = False) -> None:
    """Say how the job in a folder ended, by its last attempt, which is this, and whether that left an outcome."""
    place = folder.parent / ENDED
    place.mkdir(exist_ok=True)
    told = {"ending": ended.ending, "error": ended.error, "seconds": ended.total_seconds, "attempt": attempt}
    write(place / folder.name, {**told, "left": left})


def attempts(folder: Path) -> list[Path]:
    """The folders of attempts in that of their job; a stranger's links are none."""
    found = (path for path in sorted(folder.glob("attempt-*")) if ATTEMPT.fullmatch(path.name))
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def finished_attempt(folder: Path) -> str:
    """The name of the first attempt that trained to the end and said so; empty if none did."""
    return next((path.name for path in attempts(folder) if (path / OUTCOME).is_file()), "")


def is_late(folder: Path) -> bool:
    """Whether an outcome that was left, by the mark, cannot be seen: it is shown later, or was removed."""
    told = read(folder.parent / ENDED / folder.name)
    places = [folder, *(path for path in attempts(folder) if path.name == told.get("attempt"))]
    return told.get("left") is True and not any((path / OUTCOME).is_file() for path in places)


def bring(folder: Path) -> None:
    """Move what the attempt that ended, by its mark, has left to where files of its job are looked for.

    What a stranger has put in the way is left out.
    """
    attempt = read(folder.parent / ENDED / folder.name).get("attempt")
    for place in (path for path in attempts(folder) if path.name == attempt):
        for path in place.iterdir():
            with contextlib.suppress(OSError):
                path.rename(folder / path.name)


def has_mark(folder: Path) -> bool:
    """Whether the job in a folder has left a mark, of whatever kind."""
    return os.path.lexists(folder.parent / ENDED / folder.name)


def ended_in(folder: Path, id: str) -> Ended | None:
    """How the job in a folder ended, asked of the file by its name; None as long as it does not say."""
    told = read(folder.parent / ENDED / folder.name)
    ending, error, seconds = (told.get(name) for name in ("ending", "error", "seconds"))
    if ending not in ENDINGS or not isinstance(error, str) or not isinstance(seconds, int | float):
        return None
    return Ended(id, ending, error, float(seconds) if _is_number(seconds) else math.nan)


def write(path: Path, content: Mapping[str, object]) -> None:
    """A JSON file that is on disk as a whole or not at all, whoever else writes it now."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def read(path: Path) -> dict[str, object]:
    """What `write` wrote; empty if it is missing, or is something else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            told = json.loads(file.read(LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def last_line(path: Path) -> str:
    """The last line that a script printed, as far as it can be shown."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            file.seek(max(0, os.fstat(descriptor).st_size - 2000))
            lines = file.read(2000).decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
