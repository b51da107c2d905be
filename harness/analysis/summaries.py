"""The tables of scores and of wall-clock time: a row per environment, algorithm and device, with its number of runs.

Only done runs have scores. Runs that did not finish are counted beside them, so that no mean of survivors
passes for a mean of all.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import metrics
from harness.analysis.curves import CELL, run_curves
from harness.analysis.stats import NO_INTERVAL, Interval, deviation_interval, mean_intervals, score_intervals
from harness.contract.specs import INTERPRETING

FAILED = ("failed", "crashed", "timeout", "diverged", "unmetered")
INTEGERS = ("reached", "of", "budget", "runs_in_trial", "jobs", "threads")  # missing where a cell has no run
OF_RUNS = ["key", "steps", "budget", "random_score", "reference_score", *INTERPRETING, "machine", "threads", "jobs"]
SECONDS = ("setup", "environment", "learning", "evaluation")
SPENT = [f"{part}_seconds" for part in ("train", *SECONDS, "planning", "cpu")]
RUN = ["setup_seconds", "train_seconds", "evaluation_seconds"]
MEMORY = ["peak_memory_mib", "peak_gpu_memory_mib"]
MEASURED = [*SPENT, "run_seconds", *MEMORY]
OF_RUNS += ["runs_in_trial", "simulated_steps", *SPENT, *MEMORY]
TURNED = (("", ""), ("_low", "_high"), ("_high", "_low"))  # the fewer seconds, the more steps per second

Row = Mapping[str, Any]


def scores(runs: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Final scores: the mean return of each run's evaluation at the end of its budget.

    Returns:
        Columns environment, algorithm, device, done, failed, other (interrupted or skipped); mean, low, high (95 %
        interval of the mean); std (over runs, ddof 1), std_low, std_high (NaN below 5
        runs); normalised (0 random, 1 reference), normalised_low, normalised_high; best (mean of the runs' best
        evaluations: an optimistic number, for orientation), best_low, best_high; simulated_per_step (steps of models
        and planners for each step); no_interval (why low and high are NaN, in a few words).
    """
    every = run_curves(points)

    def row(done: pd.DataFrame, _: pd.DataFrame) -> Row:
        curves = [every[key] for key in done["key"]]
        final = np.array([metrics.final_score(curve.scores) for curve in curves])
        scaled = metrics.normalised(final, done["random_score"], done["reference_score"])
        best = np.array([curve.scores.max() for curve in curves])
        (of_mean, of_best), why_none = score_intervals(np.column_stack([final, best]), done)
        low, high = sorted(metrics.normalised(of_mean, *done[["random_score", "reference_score"]].max()))
        return {
            "mean": mean(final),
            **ends("", of_mean),
            "std": final.std(ddof=1) if len(final) > 1 else np.nan,
            **ends("std_", deviation_interval(final)),
            "normalised": mean(scaled),
            **ends("normalised_", (low, high)),
            "best": mean(best),
            **ends("best_", of_best),
            "simulated_per_step": _rate(mean(done["simulated_steps"]), mean(done["steps"])),
            "no_interval": why_none,
        }

    return per_cell(runs, row)


def wall_clock(runs: pd.DataFrame) -> pd.DataFrame:
    """What the done runs cost. A trial that trained several runs is shared out equally among them.

    Returns:
        Columns environment, algorithm, device, done, failed, other; steps_per_second (of training, evaluation
        and set-up excluded); means per run of train_seconds (environment and learning), run_seconds (set-up, training
        and evaluation), setup_seconds, environment_seconds, learning_seconds, planning_seconds (part of learning),
        evaluation_seconds and cpu_seconds, and of peak_memory_mib and peak_gpu_memory_mib (of a trial's process); of
        each the 95 % interval (_low, _high; NaN where runs shared a trial, for then they are one measurement, or are of
        several machines); runs_in_trial, jobs, threads (largest), machines (how many different ones);
        simulated_per_step (steps of models and planners for each step).
    """

    def row(done: pd.DataFrame, _: pd.DataFrame) -> Row:
        spent = done[SPENT].to_numpy(float) / done[["runs_in_trial"]].to_numpy(float)
        whole = spent[:, [SPENT.index(part) for part in RUN]].sum(axis=1)
        measured = np.column_stack([spent, whole, done[MEMORY].to_numpy(float)])
        machines = done["machine"].nunique()
        alone = machines == 1 and (done["runs_in_trial"] == 1).all()  # each row is a measurement of its own
        intervals = mean_intervals(measured, 0) if alone else [NO_INTERVAL] * len(MEASURED)
        means: dict[str, float] = {}
        for name, values, interval in zip(MEASURED, measured.T, intervals, strict=True):
            means |= {name: mean(values), **ends(f"{name}_", interval)}
        steps = mean(done["steps"])
        largest = ("runs_in_trial", "jobs", "threads")
        return {
            **{f"steps_per_second{end}": _rate(steps, means[f"train_seconds{of}"]) for end, of in TURNED},
            **means,
            **{name: done[name].max() if len(done) else np.nan for name in largest},
            "machines": machines,
            "simulated_per_step": _rate(mean(done["simulated_steps"]), steps),
        }

    return per_cell(runs, row)


def _rate(steps: float, seconds: float) -> float:
    """How many for each; infinite in no time, as at the end of an interval."""
    if seconds == 0:
        return np.inf if steps > 0 else np.nan
    return steps / seconds


def failures(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that are not done.

    Returns:
        Columns environment, algorithm, device, seed, status, error, steps, key.
    """
    columns = [*CELL, "seed", "status", "error", "steps", "key"]
    return runs.loc[runs["status"] != "done", columns].reset_index(drop=True)


def per_cell(runs: pd.DataFrame, row: Callable[[pd.DataFrame, pd.DataFrame], Row]) -> pd.DataFrame:
    """A row per cell: what it is, how many runs it has, and what ``row(done, failed)`` says of them."""
    rows: list[dict[str, Any]] = []
    facts = runs[OF_RUNS].astype({"key": object, "machine": object})  # faster to take rows of
    done_or_failed = (runs["status"] == "done").to_numpy(), runs["status"].isin(FAILED).to_numpy()
    groups: Mapping[Any, Any] = runs.groupby(CELL).indices
    for cell, places in sorted(groups.items()):
        done, failed = (facts.take(places[kind[places]]) for kind in done_or_failed)
        counts = {"done": len(done), "failed": len(failed), "other": len(places) - len(done) - len(failed)}
        rows.append({**dict(zip(CELL, map(str, cell), strict=True)), **counts, **row(done, failed)})
    table = pd.DataFrame(rows)
    return table.astype({name: "Int64" for name in INTEGERS if name in table})


def ends(prefix: str, interval: Interval) -> dict[str, float]:
    """An interval as two columns."""
    return {f"{prefix}low": interval[0], f"{prefix}high": interval[1]}


def mean(values: Any) -> float:
    """The mean; NaN of nothing, and NaN if any value is NaN, for a missing value is no reason to ignore it."""
    array = np.asarray(values, float)
    return float(array.mean()) if array.size else np.nan
