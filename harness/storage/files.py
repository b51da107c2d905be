"""Opening stored files, whoever put them there: regular ones of bounded size, so that none hangs or fills memory."""

import os
import stat
from pathlib import Path

from harness.contract.errors import HarnessError


class StoreError(HarnessError):
    """A results folder that cannot be used; the message names the path and the reason."""


class UnusableError(Exception):
    """A stored file that cannot be used: its path and why."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class NewerFormatError(UnusableError):
    """What a newer harness wrote: no worse than what would take its place."""


def size_of(path: Path) -> int:
    """Bytes of a regular file, or of one that a link leads to; an `UnusableError` unless it, or nothing, is there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableError(path, f"not readable: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise UnusableError(path, "not a regular file")
    return found.st_size


def read_file(path: Path, largest: int) -> bytes:
    """The content of a regular file of at most so many bytes; raises what `size_of` does."""
    size = size_of(path)
    if size > largest:
        raise UnusableError(path, f"larger than such a file can be: {size:,} bytes, at most {largest:,}")
    try:  # without waiting, as for the writer of a FIFO that has just come into its place
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            return file.read(size)
    except (OSError, MemoryError) as error:
        raise UnusableError(path, f"not readable: {error}") from None


def state_of(path: Path) -> tuple[int, ...]:
    """What changes whenever another file takes this place; empty if none is there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
