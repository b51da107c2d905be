"""A library that changes its process, of which no trace shall remain."""

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def left_as_found() -> Iterator[None]:
    """Undo in the end what was done to the environment, to paths, warnings, and to what SIGTERM does."""
    variables, path, filters = dict(os.environ), [*sys.path], [*warnings.filters]
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(variables)
        sys.path[:], warnings.filters[:] = path, filters
        signal.signal(signal.SIGTERM, handler)
