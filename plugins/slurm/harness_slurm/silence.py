"""Patience with jobs that SLURM has ended: what they left may be seen late, and sessions come and go meanwhile."""

import contextlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

from harness_slurm.tickets import read, write

PATIENCE_SECONDS = 70.0  # a client of NFS may show a folder as it was 60 s ago (acdirmax), and some time is on the way
SILENT = "silent"  # a folder, with a file named after the folder of each job: of which end, and by its time since when
NOW = "now"  # a file beside these


def is_over(folder: Path, end: Sequence[object]) -> bool:
    """Whether what a job left would be seen by now; the first call of any session with this end begins to count.

    Time is the file server's, since login nodes may not agree on theirs. Where the end cannot be written down there is
    nothing to wait for: the folder beside is gone, or a stranger's.
    """
    place = folder.parent / SILENT
    try:
        if place.is_symlink():
            return True
        place.mkdir(exist_ok=True)
        stamp, now = place / folder.name, _touched(place / NOW)
        since = stamp.lstat().st_mtime if read(stamp).get("of") == list(end) else math.inf
        if since > now:
            write(stamp, {"of": end})
            _touched(stamp)
            since = now
    except OSError:
        return True
    return now - since >= PATIENCE_SECONDS


def forget(folder: Path) -> None:
    """Begin anew: the job runs after all."""
    with contextlib.suppress(OSError):  # there is none, or a file system that stutters: the next call comes soon
        if not (folder.parent / SILENT).is_symlink():
            (folder.parent / SILENT / folder.name).unlink()


def _touched(path: Path) -> float:
    """The time of a file, new or not, that is changed now."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644), "wb") as file:
        os.utime(file.fileno())
        return os.fstat(file.fileno()).st_mtime
