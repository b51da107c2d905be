"""What a person sees while a suite runs: a live table on a terminal, plain lines elsewhere."""

import contextlib
import io
import os
import pty
import re
import sys
import threading
import traceback
from types import SimpleNamespace

import pytest

from harness.running.progress import Plain, shown, summary
from harness.text import reason


class Trial:
    """As much of a planned trial as is shown."""

    cell = SimpleNamespace(task=SimpleNamespace(steps=1_000))

    def __str__(self) -> str:
        return "plugin/algorithm / world / seed 0"


TRIAL = Trial()


def row(status: str, error: str = "", seconds: float | None = None) -> dict:
    return {"status": status, "error": error, "total_seconds": seconds}


def test_a_trial_of_which_nobody_knows_how_long_it_took_is_shown_without_seconds():
    assert summary("a / world", [row("interrupted", "taken away")]) == "interrupted a / world: taken away"


def test_plain_progress_is_a_line_at_the_start_and_one_at_the_end():
    stream = io.StringIO()
    plain = Plain(3, stream)
    plain.started("a", TRIAL)
    plain.advanced({"a": 500})
    plain.finished("a", str(TRIAL), [row("done", "", 1.5), row("done", "", 1.5)])
    first, second = stream.getvalue().splitlines()

    assert first == "start  plugin/algorithm / world / seed 0"
    assert second == "done   plugin/algorithm / world / seed 0  1.5 s  [2/3]"


def test_a_failure_is_shown_with_its_reason():
    error = 'Traceback ...\n  File "a.py"\n    raise\nValueError: torn\n'
    line = summary(str(TRIAL), [row("done", "", 2.0), row("failed", error, 2.0)])
    assert line == "failed/done plugin/algorithm / world / seed 0  2.0 s: ValueError: torn"


def test_a_reason_of_several_lines_keeps_its_type_and_all_of_them():
    try:
        raise ValueError("boom\x1b[31m line1\nline2")
    except ValueError:
        error = traceback.format_exc()
    assert reason(error) == "ValueError: boom?[31m line1 line2"
    assert reason("train returned after 1 of 60 steps") == "train returned after 1 of 60 steps"


def test_output_that_is_no_terminal_is_plain(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with shown(1) as progress:
        assert isinstance(progress, Plain)


def read_to_end(terminal: int, into: list[bytes]) -> None:
    """Read what a terminal shows until its other end is closed."""
    with contextlib.suppress(OSError):  # how Linux says that it is
        while piece := os.read(terminal, 4096):
            into.append(piece)


def test_a_terminal_shows_bars_and_lines_that_stay(monkeypatch: pytest.MonkeyPatch):
    leader, follower = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    pieces: list[bytes] = []
    reader = threading.Thread(target=read_to_end, args=(leader, pieces))
    reader.start()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with shown(2) as progress:
            progress.started("a", TRIAL)
            progress.advanced({"a": 500, "unknown": 3})
            progress.finished("a", str(TRIAL), [row("done", "", 1.0)])
    reader.join()
    os.close(leader)
    output = b"".join(pieces).decode()

    assert "0/2" in output
    assert "1/2" in output
    assert "/1000" in output
    assert re.search(r"done   plugin/algorithm / world / seed 0  \d", output)
