"""Running the command line with the hostile plugin, and reading what it stored."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.paths import FIXTURES

HOSTILE = FIXTURES / "hostile"
SUITE = """
[suite]
name = "hostile"
version = "1"
question = "Does one bad contestant spoil the others?"
environments = {environments}
algorithms = {algorithms}
seeds = {seeds}
[budget]
steps = {steps}
[evaluation]
points = 2
episodes = 2
"""


def command(*arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment in which the hostile plugin is installed, and no other."""
    environment = {**os.environ, "PYTHONPATH": str(HOSTILE), "HARNESS_PLUGINS": "hostile"}
    return [sys.executable, "-m", "harness", *arguments], environment


def harness(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    line, environment = command(*arguments)
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=280)


def start(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    """The command line in the background, in a process group of its own."""
    line, environment = command(*arguments)

    def heed_interrupts() -> None:  # which a shell has its background jobs ignore
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        line,
        cwd=cwd,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def write_suite(folder: Path, algorithms: list[str], environments: list[str], seeds: Any = 1, steps: int = 60) -> str:
    """A suite file in ``folder``; returns its path."""
    lists = {name: json.dumps(value) for name, value in (("algorithms", algorithms), ("environments", environments))}
    path = folder / "hostile.toml"
    path.write_text(SUITE.format(**lists, seeds=json.dumps(seeds), steps=steps))
    return str(path)


def stored_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """The row of every stored run, by key."""
    contents = [json.loads(path.read_text())["run"] for path in folder.glob("results/hostile/*/run.json")]
    return {run["key"]: run for run in contents}
