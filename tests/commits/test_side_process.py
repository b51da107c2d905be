"""What a gate has started ends with it, even by `kill -9`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.commits import speed
from harness.commits.checkout import Code
from harness.commits.question import Question
from support.hostile import HOSTILE, write_suite

GATE = """
import sys
from pathlib import Path
from harness.commits import interleaved, speed
from harness.commits.checkout import Code
from harness.commits.question import Question

class Side(Code):
    def variables(self):
        return {{**super().variables(), "PYTHONPATH": {plugins!r}}}

folder = Path({folder!r})
side = Side("0" * 40, "side", Path(sys.executable), folder)
question = Question(folder / "hostile.toml", only=["hostile"])
{work}
"""
LEARNING = 'interleaved._run("head", side, question, (0, 1), folder / "results", 2)'
SPEED = "speed._prepared(side, side, question, print)"


def descendants(process: "subprocess.Popen[bytes]", name: str) -> list[psutil.Process]:
    """All descendants, once one that leads a session of its own, as workers do, has worked for a while."""
    while True:
        assert process.poll() is None
        found = psutil.Process(process.pid).children(recursive=True)
        try:
            leaders = [each for each in found if os.getsid(each.pid) == each.pid]
            if any(name in " ".join(each.cmdline()) and each.cpu_times().user > 2 for each in leaders):
                return found
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass
        time.sleep(0.05)


@pytest.mark.parametrize(("work", "trains"), [(LEARNING, "forkserver"), (SPEED, "time-blocks")])
def test_trap_what_a_gate_trains_ends_with_the_gate_that_was_killed(tmp_path: Path, work: str, trains: str):
    write_suite(tmp_path, ["loops"], ["short"], 2)
    program = GATE.format(plugins=str(HOSTILE), folder=str(tmp_path), work=work)
    gate = subprocess.Popen([sys.executable, "-c", program])
    at_work = descendants(gate, trains)
    gate.kill()
    gate.wait()
    _, alive = psutil.wait_procs(at_work, timeout=10)
    for process in alive:
        process.kill()

    assert at_work
    assert alive == []


def test_trap_what_a_timed_side_has_started_ends_with_it(tmp_path: Path):
    """The worker is killed, and the thread in it that would end its group with it."""
    worker = tmp_path / "side"
    worker.write_text(
        f"#!{sys.executable}\n"
        "import json, subprocess, sys\n"
        "alone = dict.fromkeys(('stdin', 'stdout', 'stderr'), subprocess.DEVNULL)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], **alone)\n"
        "print(json.dumps({'child': child.pid}), flush=True)\n"
        "child.wait()\n"
    )
    worker.chmod(0o755)
    code = Code("0" * 40, "side", worker, tmp_path)
    with speed._started(code, "base", Question(tmp_path / "demo.toml")) as side:
        child = psutil.Process(side.hear()["child"])
    _, alive = psutil.wait_procs([child], timeout=10)
    for process in alive:
        process.kill()

    assert alive == []
