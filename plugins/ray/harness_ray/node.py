"""What runs on the machines of a cluster. Nothing but the network is shared: files come and go with the calls."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from harness.api import Ended, Job, code_differences, supervise
from harness.api import code as installed

Files = Mapping[str, bytes]  # by path inside a job's folder

PREFIX = "harness-ray-"  # of the folders of jobs on a node
LOCK = "lock"  # a file that is locked for as long as there is somebody who needs the folder
WORK = "work"  # where a trial may write what it likes, which stays here
TABLE_BYTES, FILE_BYTES = 2**30, 2**24  # of tables, and of any other file; of a larger one the end is brought back


class Board:
    """Where nodes put how far their jobs are; an actor."""

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}

    def tell(self, job: str, steps: int) -> None:
        """Note the steps that a job has taken."""
        self._steps[job] = steps

    def read(self) -> dict[str, int]:
        """Steps taken, by id of job."""
        return self._steps


def examine(told: Mapping[str, Mapping[str, str]]) -> str:
    """How the code on this node is not the driver's; a plugin that is not here may not be needed."""
    here = installed(*told["sources"])
    return code_differences(
        {kind: {name: fact for name, fact in facts.items() if here[kind].get(name)} for kind, facts in told.items()}
    )


def run(job: Job, files: Files, board: Any) -> tuple[Ended, Files]:
    """Run a job from its files, supervised as on the driver's own machine; returns its end, and the files it left.

    Ray interrupts it as Ctrl-C would, or kills its process: the job does not outlive either.
    """
    with _folder() as place:
        folder = place / "job"
        put(files, folder)
        device = "cuda:0" if job.device == "cuda" else job.device  # of those that Ray has left visible

        def told(steps: int) -> bool:
            board.tell.remote(job.id, steps)
            return True

        ended = supervise(replace(job, folder=folder, device=device), told)
        assert ended is not None, "it is wanted until it ends"
        return ended, taken(folder)


def taken(folder: Path) -> Files:
    """The files of a job but those it keeps to itself."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        links = any((folder / part).is_symlink() for part in (name, *name.parents))
        if name.parts[0] != WORK and path.is_file() and not links:
            with path.open("rb") as file:
                most = TABLE_BYTES if path.suffix == ".parquet" else FILE_BYTES
                file.seek(max(0, path.stat().st_size - most))
                files[name.as_posix()] = file.read(most)
    return files


def put(files: Files, folder: Path) -> None:
    """Write files into a folder, and nowhere else."""
    for name, content in files.items():
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise ValueError(f"a file of a job is called {name!r}, which is not in its folder")
        path = folder / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A private folder for a job, gone afterwards; those of jobs whose node, driver or task was killed go, too."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (left / LOCK).open("rb") as lock:
            if left.lstat().st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(left)
    place = Path(tempfile.mkdtemp(prefix=PREFIX))
    with (place / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield place
        finally:
            _remove(place)


def _remove(place: Path) -> None:
    """Remove the folder of a job, at last its lock, without which nobody would do the rest."""
    for folder in (place / "job", place):
        shutil.rmtree(folder, ignore_errors=True)
