"""What processes gain: A3C with two workers beside one, and DPPO with two beside one at the same batch.

    python tests/bench/parallel_processes.py

Bars, by wall time on two cores that nobody else uses: 1.5 times as many steps per second; 0.7 times as long. Both sides
of a ratio run in turn, since the speed of a machine drifts. Starting processes counts; nothing is evaluated.

Where others use the cores, wall time says how these are shared. So there is a second ratio, of processor time on the
longest way through a run: of the busiest worker, and of the chief, for whom all workers wait. That is what wall time
would be if nobody ever waited for a core or for a message.
"""

import os
import tempfile
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
import torch._dynamo  # which the first optimizer imports, for a second; those who run trials have it, too

from harness.contract.specs import EnvironmentSpec, Needs
from harness.measuring.description import TrialDescription
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import a3c, dppo

STEPS, ROUNDS = 20_480, 5
CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1")
A3C = a3c.Config(backend="processes", workers=1)
DPPO = dppo.Config(backend="processes", workers=1, batch_size=2_048, window=64)
USED = torch.zeros(8, dtype=torch.float64).share_memory_()  # processor seconds of every node


class Took(NamedTuple):
    """What one run took, in seconds."""

    wall: float
    processor: float  # on the longest way


def clocked(role: Callable[..., Any]) -> Callable[..., Any]:
    """A role that leaves behind what its process used."""

    def run(node: Any, **told: Any) -> Generator[Any, Any, None]:
        try:
            yield from role(node, **told)
        finally:
            USED[node.index] = process_time()

    return run


def took(algorithm: Any, config: Any, steps: int) -> Took:
    """Run once."""
    USED.zero_()
    roles = {name: clocked(getattr(algorithm, name)) for name in ("worker", "chief") if hasattr(algorithm, name)}
    with tempfile.TemporaryDirectory() as folder, patch.multiple(algorithm, **roles):
        description = TrialDescription(CARTPOLE, (0,), steps, needs=Needs(processes="many"))
        trial = LocalTrial(description, "cpu", Path(folder), at_mark=lambda trial: None)
        began = perf_counter()
        run_training(trial, algorithm.train, config)
        wall = perf_counter() - began
    chief = USED[config.workers : config.nodes].sum()
    return Took(wall, float(USED[: config.workers].max() + chief))


def main(steps: int = STEPS, rounds: int = ROUNDS) -> None:
    """Print medians and ratios."""
    torch.set_num_threads(1)
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, {steps:,} steps, {rounds} rounds")
    print("               1 worker  2 workers   ratio   least to most          bar")
    for algorithm, config, bar in ((a3c, A3C, "speed >= 1.5"), (dppo, DPPO, "time <= 0.7")):
        runs: dict[int, list[Took]] = {1: [], 2: []}
        for number in range(rounds):
            for workers in (1, 2) if number % 2 else (2, 1):
                runs[workers].append(took(algorithm, replace(config, workers=workers), steps))
        for kind in Took._fields:
            one, two = ([getattr(run, kind) for run in runs[workers]] for workers in (1, 2))
            faster = bar.startswith("speed")
            ratios = sorted(a / b if faster else b / a for a, b in zip(one, two, strict=True))
            name = f"{algorithm.__name__.rpartition('.')[2]} {kind}"
            print(
                f"{name:15}{median(one):7.2f} s{median(two):9.2f} s{median(ratios):8.2f}"
                f"{ratios[0]:8.2f} to {ratios[-1]:.2f}{bar:>15}"
            )
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
