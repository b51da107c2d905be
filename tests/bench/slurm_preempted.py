"""Tiny runs on a fake SLURM that takes a fifth of all jobs away at random: is anything lost, does anything run twice?

PYTHONPATH=tests python tests/bench/slurm_preempted.py [RUNS]

Of jobs that are taken away, SLURM requeues seven in ten, and the session submits the others anew. Starts and ends are
counted from the records of the fake SLURM, results from what the store holds.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import harness
from harness.commands import cli
from harness.contract.errors import ExitCode
from harness.text import reason
from support.hostile import HOSTILE, write_suite
from support.slurm import FakeSlurm

PREEMPTED, REQUEUED, WITHIN_SECONDS = 0.2, 0.7, 0.4
SLOTS, AT_ONCE = 8, 6


def session(slurm: FakeSlurm, suite: str) -> tuple[int, str]:
    """One `harness run` until its end: its exit code, and what it said."""
    settings = (word for each in (slurm.warm, "poll=0.5") for word in ("--executor-option", each))
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(["run", suite, "--executor", "slurm", "--jobs", str(AT_ONCE), *settings])
    return code, said.getvalue()


def counted(runs: int, place: Path) -> dict[str, int]:
    """Run a suite on such a cluster, and count."""
    path = os.pathsep.join((str(HOSTILE), os.environ.get("PYTHONPATH", "")))
    variables = {**os.environ, "PYTHONPATH": path, "HARNESS_PLUGINS": "hostile,slurm"}
    rules = {"slots": SLOTS, "preempted": PREEMPTED, "within": WITHIN_SECONDS, "requeues": REQUEUED, "warm": True}
    sys.path.insert(0, str(HOSTILE))
    os.environ.update(variables)
    suite = write_suite(place, ["steady"], ["short"], seeds=runs, steps=20)
    with contextlib.chdir(place), FakeSlurm(place / "slurm", variables, **rules) as slurm:
        os.environ["PATH"] = slurm.environment["PATH"]
        code, said = session(slurm, suite)
        stored = harness.load("results/hostile").runs
        for status, error in stored.loc[stored["status"] != "done", ["status", "error"]].itertuples(index=False):
            print(f"{status}: {reason(error)}")
        ends = Counter(event["state"] for event in slurm.events("end"))
        taken, begun = slurm.events("preempt"), slurm.events("start")
        return {
            "exit code": code,
            "runs stored as done": int((stored["status"] == "done").sum()),
            "runs stored otherwise": int((stored["status"] != "done").sum()),
            "keys stored twice": int(stored["key"].duplicated().sum()),
            "runs told to be done": said.count("\ndone "),
            "jobs submitted": sum(event["jobs"] for event in slurm.events("submit")),
            "jobs taken away": len(taken),
            "of these requeued": sum(event["again"] for event in taken),
            "starts": len(begun),
            "ends by themselves": ends["COMPLETED"],
            "other ends": ends.total() - ends["COMPLETED"],
        }


def problems(runs: int, told: dict[str, int]) -> list[str]:
    """What was lost, or ran twice."""
    bounds = {
        "exit code": (ExitCode.YES, ExitCode.YES),
        "runs stored as done": (runs, runs),
        "runs stored otherwise": (0, 0),
        "keys stored twice": (0, 0),
        "runs told to be done": (runs, runs),
        "starts": (runs, runs + told["jobs taken away"]),  # nothing starts again that was not taken away
        "ends by themselves": (0, runs),  # one that was taken away with its mark left does not start again
    }
    return [f"{name}: {told[name]}" for name, (low, high) in bounds.items() if not low <= told[name] <= high]


def main(runs: int = 1_000) -> int:
    """Print what was counted, and what is wrong with it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told = counted(runs, Path(folder).resolve())
    wrong = problems(runs, told)
    print(f"{runs} runs in {time.monotonic() - began:.0f} s")
    print("\n".join(f"{count:>7,}  {name}" for name, count in told.items()))
    print(f"WRONG: {'; '.join(wrong)}" if wrong else "nothing lost, nothing run twice")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
