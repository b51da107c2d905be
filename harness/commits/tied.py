"""Runs a module that ends when the process that started it does, be it by ``kill -9``.

``python tied.py asked|alone MODULE ARGUMENT...``, in a session of its own and with a pipe as stdin, whose other end the
starting process alone holds; "alone" shuts it off from the module. This file is run by its path under the interpreter
of either side of a gate, so it needs nothing but Python.
"""

import os
import runpy
import select
import signal
import sys
import threading


def end_with_starter() -> None:
    """Kill this process and its group as soon as the other end of stdin is closed; what it says is left unread."""
    starter = select.poll()
    starter.register(os.dup(0), 0)  # no events: only that nobody can write any more

    def wait() -> None:
        starter.poll()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="harness-gate", daemon=True).start()


def run(manner: str, module: str, *arguments: str) -> None:
    """Run a module as Python itself would, had it been told to."""
    if manner == "alone":
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    end_with_starter()
    run(*sys.argv[1:])
