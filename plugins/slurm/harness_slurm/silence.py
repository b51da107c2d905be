"""Patience with jobs that SLURM has ended: what they left may be seen late, and sessions come and go meanwhile."""

import json
import os
import time
from pathlib import Path

from harness_slurm.tickets import read

PATIENCE_SECONDS = 70.0  # a client of NFS may show a folder as it was 60 s ago (acdirmax), and some time is on the way
SILENT = "silent"  # a folder, with a file named after the folder of each job, which says since when


def is_over(folder: Path) -> bool:
    """Whether what a job left would be seen by now; the first call of any session begins to count.

    Where that cannot be written down there is nothing to wait for: the folder beside is gone, or a stranger's.
    """
    place, now = folder.parent / SILENT, time.time()
    since = read(place / folder.name).get("since")
    if not isinstance(since, int | float) or not 0 <= since <= now:
        try:
            _write(place, folder.name, since := now)
        except OSError:
            return True
    return now - since >= PATIENCE_SECONDS


def forget(folder: Path) -> None:
    """Begin anew: the job runs after all."""
    if not (folder.parent / SILENT).is_symlink():
        (folder.parent / SILENT / folder.name).unlink(missing_ok=True)


def _write(place: Path, name: str, since: float) -> None:
    """Write through no link."""
    if place.is_symlink():
        raise FileExistsError(place)
    place.mkdir(exist_ok=True)
    (place / name).unlink(missing_ok=True)
    with open(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
        json.dump({"since": since}, file)
