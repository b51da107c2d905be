"""Draws how much faster A3C is with more workers, in virtual time, beside the paper's own figures.

python docs/speedup.py results/claims-parallel   # writes docs/parallel-speedup.svg and prints its numbers
"""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

FIGURE = Path(__file__).parent / "parallel-speedup.svg"
WORKERS = re.compile(r"a3c\[workers=(\d+)\]$")
SCORE = 195.0  # of CartPole: the mean return that is waited for
PAPER = {1: 1.0, 2: 2.1, 4: 3.7, 8: 6.9, 16: 12.5}  # Mnih et al., 2016, table 2: A3C, mean of seven Atari games


def speedups(folder: Path) -> pd.DataFrame:
    """Per number of workers: steps per virtual second, and the rate of coming to a score, as multiples of one worker's.

    Times count from the first step to the first evaluation at or above the score, those of runs that never come there
    as the whole of the run. Columns: workers, throughput, to_score, reached (runs that came there), runs.
    """
    import harness

    results = harness.load(folder)
    runs = results.runs[results.runs["status"] == "done"]
    rows = []
    for label, cell in runs.groupby("algorithm"):
        if not (match := WORKERS.search(str(label))):
            continue
        logged = results.diagnostics[results.diagnostics["key"].isin(cell["key"])]
        clock = logged[logged["name"] == "virtual_seconds"].groupby("step")["value"].first()  # the same for every seed
        points = results.evaluations[results.evaluations["key"].isin(cell["key"])]
        scores = points.groupby(["key", "step"], observed=True)["return"].mean().unstack("key")
        reached = (scores >= SCORE).to_numpy()
        steps = np.where(reached.any(0), scores.index.to_numpy()[reached.argmax(0)], clock.index[-1])
        seconds = np.interp(steps, [0, *clock.index], [0.0, *clock])
        rate = clock.index[-1] / clock.iloc[-1]
        rows.append((int(match[1]), rate, 1 / seconds.mean(), int(reached.any(0).sum()), len(cell)))
    table = pd.DataFrame(sorted(rows), columns=["workers", "throughput", "to_score", "reached", "runs"])
    for column in ("throughput", "to_score"):
        table[column] /= table[column].iloc[0]
    return table


def draw(table: pd.DataFrame) -> None:
    """The picture: own background, letters as outlines."""
    import matplotlib
    import matplotlib.pyplot as plt

    from harness.reporting.figure_style import style

    with (
        style(),
        matplotlib.rc_context({"svg.fonttype": "path", "savefig.transparent": False, "svg.hashsalt": "speed"}),
    ):
        figure, axes = plt.subplots(figsize=(6, 4))
        axes.plot(table["workers"], table["workers"], color="0.7", linestyle=":", label="as many times as workers")
        axes.plot(table["workers"], table["throughput"], marker="o", label="steps per virtual second")
        axes.plot(table["workers"], table["to_score"], marker="s", label=f"virtual time to {SCORE:g} on CartPole")
        axes.plot(
            list(PAPER), list(PAPER.values()), marker="^", linestyle="--", label="the paper: time to a score, Atari"
        )
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xticks(table["workers"], [str(n) for n in table["workers"]])
        axes.set_yticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axes.set_xlabel("workers of A3C")
        axes.set_ylabel("times as fast as one worker")
        axes.legend(frameon=False)
        figure.savefig(FIGURE, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    found = speedups(Path(sys.argv[1]))
    print(found.to_string(index=False, float_format="%.2f"))
    draw(found)
