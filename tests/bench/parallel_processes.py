"""What processes gain: A3C with two workers beside one, and DPPO with two beside one at the same batch, by wall time.

    python tests/bench/parallel_processes.py

Bars, on two cores that nobody else uses: 1.5 times as many steps per second; 0.7 times as long. Both sides of a ratio
run in turn, since the speed of a machine drifts. Starting processes counts; nothing is evaluated. The load that is
printed is that of all others and of this together, so on an idle machine not above 3.
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

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


def seconds(algorithm: Any, config: Any, steps: int) -> float:
    """How long one run takes."""
    with tempfile.TemporaryDirectory() as folder:
        description = TrialDescription(CARTPOLE, (0,), steps, needs=Needs(processes="many"))
        trial = LocalTrial(description, "cpu", Path(folder), at_mark=lambda trial: None)
        began = perf_counter()
        run_training(trial, algorithm.train, config)
        return perf_counter() - began


def pairs(algorithm: Any, config: Any, steps: int, rounds: int) -> list[tuple[float, float]]:
    """Seconds of one worker and of two, time after time; who goes first changes."""
    found = []
    for number in range(rounds):
        order = (1, 2) if number % 2 else (2, 1)
        took = {workers: seconds(algorithm, replace(config, workers=workers), steps) for workers in order}
        found.append((took[1], took[2]))
    return found


def main(steps: int = STEPS, rounds: int = ROUNDS) -> None:
    """Print medians and ratios."""
    torch.set_num_threads(1)
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, {steps:,} steps, {rounds} rounds")
    print("              1 worker   2 workers   median ratio   least to most        bar")
    for algorithm, config, bar in ((a3c, A3C, "speed >= 1.5"), (dppo, DPPO, "time <= 0.7")):
        found = pairs(algorithm, config, steps, rounds)
        faster = bar.startswith("speed")
        ratios = sorted(one / two if faster else two / one for one, two in found)
        one, two = (median(column) for column in zip(*found, strict=True))
        print(
            f"{algorithm.__name__.rpartition('.')[2]:8}{steps / one:8,.0f}/s{steps / two:11,.0f}/s"
            f"{median(ratios):15.2f}{ratios[0]:9.2f} to {ratios[-1]:.2f}{bar:>16}"
        )
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
