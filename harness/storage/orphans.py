"""Processes that outlive what started them: ended with it, adopted, or recognised by where they work."""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def end_with_parent() -> None:
    """Have Linux kill this process when its parent ends, for whatever reason."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Have Linux make this process the parent of orphaned descendants, so that none escapes by daemonising."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def end_processes_in(folder: Path) -> None:
    """Kill every process whose working folder lies inside ``folder``."""
    inside = str(folder.resolve()) + os.sep
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd().startswith(inside):
                process.kill()
