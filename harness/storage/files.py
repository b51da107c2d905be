"""Opening what strangers left: regular files of bounded size, so that none hangs or fills memory.

A stored file may be a link to such a file, as data sets on other disks are; what a job left may not.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

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
    """The content of a stored file of at most so many bytes; raises what `size_of` does."""
    size = size_of(path)
    if size > largest:
        raise UnusableError(path, f"larger than such a file can be: {size:,} bytes, at most {largest:,}")
    try:
        with _opened(path, 0) as file:
            return file.read(size)
    except (OSError, ValueError, MemoryError) as error:
        raise UnusableError(path, f"not readable: {error}") from None


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file that a job may still be writing, of at most ``limit`` bytes.

    Raises:
        OSError: it is missing, a link, or not readable.
        ValueError: it is not a regular file, or larger; the message says which.
    """
    with _opened(path, os.O_NOFOLLOW) as file:
        small = os.fstat(file.fileno()).st_size <= limit
        content = file.read(limit + 1) if small else b""
    if not small or len(content) > limit:
        raise ValueError(f"larger than {limit:,} bytes")
    return content


def read_end(path: Path, most: int) -> bytes:
    """The last bytes of such a file, however large it is; errors are those of `read_bytes`."""
    with _opened(path, os.O_NOFOLLOW) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most))
        return file.read(most)


def _opened(path: Path, flags: int) -> BinaryIO:
    def regular(name: str, given: int) -> int:
        # Without O_NONBLOCK, opening a FIFO waits for a writer, and opening a device may never return.
        descriptor = os.open(name, given | flags | os.O_NONBLOCK)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise ValueError("not a regular file")

    return open(path, "rb", opener=regular)


def state_of(path: Path) -> tuple[int, ...]:
    """What changes whenever another file takes this place; empty if none is there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
