"""Learning curves: the evaluations of each run as points, and their mean over runs with a band."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.metrics import held
from harness.analysis.stats import mean_bands, possible
from harness.statistics.intervals import Bands
from harness.statistics.runs import Floats

CELL = ["environment", "algorithm", "device"]
OF_RUNS = ["key", *CELL, "seed", "machine", "lowest_return", "highest_return"]
BANDS = list(Bands._fields[1:])  # low, high, simultaneous_low, simultaneous_high
SECONDS_POINTS = 51  # of the common grid; runs are never evaluated at the same second


class Curve(NamedTuple):
    """The evaluations of one run."""

    steps: Floats  # [L] at which it was evaluated
    seconds: Floats  # [L] of training until then; a run's share, where a trial trained several
    scores: Floats  # [L] mean returns


def points(runs: pd.DataFrame, evaluations: pd.DataFrame) -> pd.DataFrame:
    """A row per evaluation of a done run, in the order of the table of runs.

    Returns:
        Columns key, environment, algorithm, device, seed, machine, lowest_return, highest_return, step, seconds, score.
    """
    groups = evaluations.groupby(["key", "evaluation"], observed=True, sort=True)
    means = groups.agg(step=("step", "first"), train_seconds=("train_seconds", "first"), score=("return", "mean"))
    done = runs.loc[runs["status"] == "done", [*OF_RUNS, "runs_in_trial"]]
    means = means.reset_index().astype({"key": done["key"].dtype})
    table = done.merge(means, on="key", how="inner", validate="1:m")
    table["seconds"] = table["train_seconds"] / table["runs_in_trial"]
    return table[[*OF_RUNS, "step", "seconds", "score"]]


def run_curves(points: pd.DataFrame) -> dict[str, Curve]:
    """The curve of every done run, by key, in the order of the table."""
    columns = [points[name].to_numpy(float) for name in ("step", "seconds", "score")]
    keys = points["key"].to_numpy()
    ends = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    pieces = zip(*(np.split(column, ends) for column in columns), strict=True)
    return dict(zip(dict.fromkeys(keys), map(Curve._make, pieces), strict=False))


def mean_curves(points: pd.DataFrame, against: str) -> pd.DataFrame:
    """The mean over runs, with a pointwise and a simultaneous 95 % bootstrap band over whole runs.

    Between evaluations a run keeps its last score. Against seconds, the mean ends where the first run of the
    cell ends: beyond, it would be the mean of whichever runs are slow. Seconds of several machines have no band.

    Returns:
        Columns environment, algorithm, device, step or seconds, done, mean, low, high (of any one point),
        simultaneous_low, simultaneous_high (of the whole curve).
    """
    every, frames = run_curves(points), []
    for cell, group in points.groupby(CELL, sort=True):
        grid, scores = aligned([every[key] for key in dict.fromkeys(group["key"])], against)
        several = against == "seconds" and group["machine"].nunique() > 1
        ends = [np.full(len(grid), np.nan)] * len(BANDS) if several else mean_bands(scores).within(*possible(group))[1:]
        where = {**dict(zip(CELL, cell, strict=True)), against: grid, "done": len(scores), "mean": scores.mean(axis=0)}
        frames.append(pd.DataFrame({**where, **dict(zip(BANDS, ends, strict=True))}))
    columns = [*CELL, against, "done", "mean", *BANDS]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def aligned(runs: list[Curve], against: str) -> tuple[Floats, Floats]:
    """A grid [G] that all of the runs [N] span, and their scores on it [N, G]; [0] and [0, 0] of no run.

    The grid is every step at which a run was evaluated; against seconds it is evenly spaced.
    """
    if not runs:
        return np.empty(0), np.empty((0, 0))
    axes = [run.steps if against == "step" else run.seconds for run in runs]
    first, last = max(axis[0] for axis in axes), min(axis[-1] for axis in axes)
    if against == "step":
        grid = np.unique(np.concatenate(axes))
        grid = grid[(grid >= first) & (grid <= last)]
    else:
        grid = np.linspace(first, max(first, last), SECONDS_POINTS)
    return grid, np.array([held(axis, run.scores, grid) for axis, run in zip(axes, runs, strict=True)])
