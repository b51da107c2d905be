"""Forty equal trials of five seconds: Ray beside the local executor, in one call; prints the ratio. Bar: 1.05.

python tests/bench/ray_beside_local.py [TRIALS [SECONDS]]

A trial sleeps at every step, so that it lasts as long beside others. Ray's own start, until its executor stands, is not
counted; either side's first imports in a trial are.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from harness.contract.executor import ExecutorOptions
from harness.contract.specs import made
from harness.discovery.registry import Registry
from harness.running.manifest import Session
from harness.running.plan import make_plan
from harness.running.progress import Plain
from harness.running.runner import Runner
from harness.storage.store import Store
from harness.suite.reading import load_suite

ROOT = Path(__file__).parents[2]
HOSTILE = ROOT / "tests" / "fixtures" / "hostile"
JOBS, STEPS_PER_SECOND = 2, 470  # of the fixture `slow`, which sleeps for 2 ms at every step

SUITE = """
[suite]
name = "beside"
version = "1"
question = "What does Ray cost?"
environments = ["hostile/short"]
algorithms = ["hostile/slow"]
seeds = {trials}
[budget]
steps = {steps}
[evaluation]
points = 1
episodes = 1
"""


def seconds(executor_name: str, trials: int, steps: int) -> float:
    """Wall-clock seconds of the suite, without starting and ending the executor."""
    registry = Registry.load()
    plan = make_plan(load_suite(SUITE.format(trials=trials, steps=steps)), registry)
    executor = made(registry.resolve("executor", executor_name).spec, ExecutorOptions(JOBS))
    ended: list[float] = []
    registry.run_finished = lambda row: ended.append(time.monotonic()) or []
    session = Session("beside", "1", "What does Ray cost?", JOBS)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        runner = Runner(Store(Path(folder)), executor, registry, session, Plain(plan.runs, nowhere), None, 4.0)
        began = time.monotonic()
        assert not runner.run(plan).unfinished
    assert len(ended) == trials
    return ended[-1] - began


def main(trials: int = 40, each: float = 5.0) -> None:
    """Print both times and their ratio."""
    sys.path.insert(0, str(HOSTILE))
    os.environ["PYTHONPATH"] = str(HOSTILE)
    steps = int(each * STEPS_PER_SECOND)
    local, ray = (seconds(name, trials, steps) for name in ("local", "ray"))
    times = f"local {local:.1f} s, ray {ray:.1f} s, ratio {ray / local:.3f}"
    print(f"{trials} trials of {each:g} s, {JOBS} at a time: {times}")


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, float), sys.argv[1:], strict=False)))
