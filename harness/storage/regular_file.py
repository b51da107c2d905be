"""Reading what strangers left: regular files of bounded size, nothing that blocks, links elsewhere or has no end."""

import os
import stat
from pathlib import Path


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes, which may grow meanwhile.

    Raises:
        OSError: it is missing, a link, or not readable.
        ValueError: it is not a regular file, or larger; the message says which.
    """
    with open(path, "rb", opener=_open) as file:
        small = os.fstat(file.fileno()).st_size <= limit
        content = file.read(limit + 1) if small else b""
    if not small or len(content) > limit:
        raise ValueError(f"larger than {limit:,} bytes")
    return content


def read_end(path: Path, most: int) -> bytes:
    """The last bytes of a regular file, however large it is; errors are those of `read_bytes`."""
    with open(path, "rb", opener=_open) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most))
        return file.read(most)


def _open(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a FIFO waits for a writer, and opening a device may never return.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise ValueError("not a regular file")
