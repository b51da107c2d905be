"""What runs on a node: ``python -m harness_slurm.work FOLDER NAME`` trains the job in a folder, within its limits.

SLURM may kill this at any moment and start it again, elsewhere; on a node that it has lost, the attempt before may go
on beside it. So each has a folder of its own, and the mark of the job's end names the one that came to it.
"""

import contextlib
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from harness.api import Ended, supervise
from harness_slurm.tickets import OUTCOME, PLACE, PROGRESS, TICKET, has_mark, mark_ended, ticket_in

GRACE_SECONDS = 1.0  # in which a signal that killed the trial has come to this process, too, and ends it


def main(arguments: Sequence[str]) -> int:
    """Run a job if it is still to be run, by the array of this name."""
    folder, name = Path(arguments[0]), arguments[1]
    ticket = ticket_in(folder)
    if ticket is None or ticket.name != name or has_mark(folder):
        print(f"{name}: nothing is to be done here: the job has ended, or is another array's by now", flush=True)
        return 0
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # SLURM's announcement that time is nearly up, or of preemption
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends the trial, and says nothing
    place = next((path.parent for path in sorted(folder.glob(f"attempt-*/{OUTCOME}"))), None)
    if place is not None:  # an attempt before was killed when all was done
        ended: Ended | None = Ended(name, "ended", "", _seconds(place))
    else:
        place = folder / f"attempt-{uuid.uuid4().hex}"
        place.mkdir()
        for kept in ticket.kept:
            shutil.copy2(folder / kept, place / kept)
        ended = supervise(ticket.of_job(place), lambda steps: _told(folder, steps) and _is_wanted(folder, name))
    if ended is not None and ended.ending == "crashed":
        time.sleep(GRACE_SECONDS)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if ended is None:
        print(f"{name}: stopped, since the job is another array's by now, or nobody's", flush=True)
    else:
        mark_ended(folder, ended, place.name, (place / OUTCOME).is_file())
    return 0


def _is_wanted(folder: Path, name: str) -> bool:
    """Whether the job is still this array's; a file system that stutters does not end it."""
    try:
        (folder / TICKET).lstat()
    except OSError as error:
        return not isinstance(error, FileNotFoundError)
    ticket = ticket_in(folder)
    return ticket is None or ticket.name == name


def _told(folder: Path, steps: int) -> bool:
    """Say how many steps were taken, where the executor looks."""
    with contextlib.suppress(OSError, OverflowError):
        (folder / PROGRESS).write_bytes(steps.to_bytes(8, "little"))
    return True


def _seconds(place: Path) -> float:
    """From the beginning of an attempt to its end, by the files that it left."""
    return max(0.0, (place / OUTCOME).stat().st_mtime - (place / PLACE).stat().st_mtime)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
