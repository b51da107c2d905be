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
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a regular file")
        content = file.read(limit + 1) if found.st_size <= limit else None
    if content is None or len(content) > limit:
        raise ValueError(f"larger than {limit:,} bytes")
    return content


def _open(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a FIFO waits for a writer, and opening a device may never return.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
