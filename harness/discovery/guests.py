"""Strangers' code in the process of a command: it cannot end that in silence, keep it for ever, or pass for Ctrl-C."""

import contextlib
import os
import signal
import traceback
from collections.abc import Iterator
from types import FrameType

from harness.contract.errors import ExitCode
from harness.text import one_line

LOAD_SECONDS = 60.0  # that a plugin may take to be loaded, or to show what it brings


class GuestError(Exception):
    """What a plugin's code did instead of returning or raising an exception."""


def described(error: BaseException) -> str:
    """Type and message of a stranger's exception on one line, even where its own ``__str__`` raises."""
    if isinstance(error, GuestError):
        return str(error)
    return " ".join(traceback.format_exception_only(error)[-1].split())


@contextlib.contextmanager
def guest(who: str, seconds: float | None = None) -> Iterator[None]:
    """Around a call of a plugin's code: all that it does to end the program, or to hold it up, is an exception here.

    A Ctrl-C that somebody pressed passes. Code that catches what is raised after its ``seconds`` (`LOAD_SECONDS`) ends
    the program after as many again, with a line that names it. Native code that never returns to Python is beyond it.
    """
    leave, own, seconds = os._exit, os.getpid(), seconds or LOAD_SECONDS
    pressed, rung = list[bool](), list[bool]()

    def refuse(code: int) -> None:
        if os.getpid() != own:  # a process that it forked, as multiprocessing does, ends so
            leave(code)
        raise SystemExit(code)

    def ring(number: int, frame: FrameType | None) -> None:
        if rung:
            told = f"harness: {one_line(who)} took longer than {seconds:g} s and caught what would stop it"
            os.write(2, f"{told}; leave it out with -p no:NAME\n".encode(errors="replace"))
            leave(ExitCode.MISSING)
        rung.append(True)
        raise KeyboardInterrupt  # which `except Exception` lets pass

    with contextlib.ExitStack() as stack:
        stack.callback(setattr, os, "_exit", leave)
        os._exit = refuse  # type: ignore[assignment]
        for number in range(3):  # the standard streams, which it may close
            with contextlib.suppress(OSError):
                stack.callback(os.close, kept := os.dup(number))
                stack.callback(os.dup2, kept, number)
        with contextlib.suppress(ValueError):  # in a thread, which gets no signals
            for number in (signal.SIGINT, signal.SIGTERM):
                _overhear(number, pressed, stack)
            stack.callback(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, ring) or signal.SIG_DFL)
            before = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
            stack.callback(signal.setitimer, signal.ITIMER_REAL, *before)
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and pressed:
                raise
            told = f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else described(error)
            raise GuestError(f"it took longer than {seconds:g} s" if rung else told) from error
        finally:
            if os.getpid() != own:  # a fork that was to be a second harness
                leave(1)


def _overhear(number: int, heard: list[bool], stack: contextlib.ExitStack) -> None:
    """Note that a signal came, and handle it as before; a plugin can raise KeyboardInterrupt by itself."""
    before = signal.getsignal(number)

    def heed(number: int, frame: FrameType | None) -> None:
        heard.append(True)
        before(number, frame)  # type: ignore[operator, misc]

    if callable(before):
        signal.signal(number, heed)
        stack.callback(signal.signal, number, before)
