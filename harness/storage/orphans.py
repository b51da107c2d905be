"""Processes that outlived what started them, recognised by where they work."""

import contextlib
import os
from pathlib import Path

import psutil


def end_processes_in(folder: Path) -> None:
    """Kill every process whose working folder lies inside ``folder``."""
    inside = str(folder.resolve()) + os.sep
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd().startswith(inside):
                process.kill()
