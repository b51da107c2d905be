"""What runs on a node: ``python -m harness_slurm.work FOLDER NAME`` trains the job in a folder, within its limits.

SLURM may kill this at any moment and start it again, elsewhere: what the attempt before it left is removed, unless it
had come to its end.
"""

import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness.api import Ended, supervise
from harness_slurm.tickets import TICKET, ended_in, mark_ended, ticket_in

OUTCOME = "outcome.json"  # what `run_job` writes last
GRACE_SECONDS = 1.0  # in which a signal that killed the trial has come to this process, too, and ends it
LOG = "log.txt"  # to which every attempt appends


def main(arguments: Sequence[str]) -> int:
    """Run a job if it is still to be run, by the array of this name."""
    folder, name = Path(arguments[0]), arguments[1]
    ticket = ticket_in(folder)
    if ticket is None or ticket.name != name or ended_in(folder, name) is not None:
        print(f"{name}: nothing is to be done here: the job has ended, or is another array's by now", flush=True)
        return 0
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # SLURM's announcement that time is nearly up, or of preemption
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends the trial, and says nothing
    job = ticket.of_job(folder)
    if (folder / OUTCOME).is_file():  # the attempt before was killed when all was done
        ended: Ended | None = Ended(job.id, "ended", "", _seconds(folder))
    else:
        _clear(folder, (*ticket.kept, TICKET, LOG))
        ended = supervise(job, lambda steps: _is_wanted(folder, name))
    if ended is not None and ended.ending == "crashed":
        time.sleep(GRACE_SECONDS)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if ended is None:
        print(f"{name}: stopped, since the job is another array's by now, or nobody's", flush=True)
    else:
        mark_ended(folder, ended)
    return 0


def _is_wanted(folder: Path, name: str) -> bool:
    """Whether the job is still this array's; a file system that stutters does not end it."""
    try:
        (folder / TICKET).lstat()
    except OSError as error:
        return not isinstance(error, FileNotFoundError)
    ticket = ticket_in(folder)
    return ticket is None or ticket.name == name


def _seconds(folder: Path) -> float:
    """From the beginning of an attempt to its end, by the files that it left."""
    return max(0.0, (folder / OUTCOME).stat().st_mtime - (folder / "place.json").stat().st_mtime)


def _clear(folder: Path, kept: Sequence[str]) -> None:
    for path in folder.iterdir():
        if path.name not in kept:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
