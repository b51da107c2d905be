"""The tables of a report: a row per environment, algorithm and device, each with its number of runs.

Only done runs have scores. Runs that did not finish are counted beside them, so that no mean of survivors
passes for a mean of all.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import metrics
from harness.analysis.curves import CELL, Curve, run_curves
from harness.analysis.stats import mean_interval
from harness.statistics.survival import median_interval

FAILED = ("failed", "crashed", "timeout", "diverged")
SUSTAINED = 2  # consecutive evaluations that must reach the threshold
INTEGERS = ("reached", "of", "budget", "runs_in_trial", "jobs", "threads")  # missing where a cell has no run
OF_RUNS = [
    "key",
    "steps",
    "budget",
    "random_score",
    "reference_score",
    "threshold",
    "machine",
    "threads",
    "jobs",
]
OF_RUNS += ["runs_in_trial", "peak_memory_mib", "peak_gpu_memory_mib", "train_seconds", "cpu_seconds"]
SECONDS = ("setup", "environment", "learning", "evaluation")
OF_RUNS += [f"{part}_seconds" for part in SECONDS]

Row = Mapping[str, Any]


def scores(runs: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Final scores: the mean return of each run's evaluation at the end of its budget.

    Returns:
        Columns environment, algorithm, device, done, failed, other (interrupted or skipped); mean, std (over
        runs, ddof 1), low, high (95 % interval of the mean; NaN below 3 runs); normalised (0 random, 1
        reference), normalised_low, normalised_high; best (mean of the runs' best evaluations: an optimistic number,
        for orientation), best_low, best_high.
    """
    every = run_curves(points)

    def row(done: pd.DataFrame, _: pd.DataFrame) -> Row:
        curves = [every[key] for key in done["key"]]
        final = np.array([metrics.final_score(curve.scores) for curve in curves])
        scaled = metrics.normalised(final, done["random_score"], done["reference_score"])
        best = [curve.scores.max() for curve in curves]
        return {
            "mean": mean(final),
            "std": final.std(ddof=1) if len(final) > 1 else np.nan,
            **_ends("", final),
            "normalised": mean(scaled),
            **_ends("normalised_", scaled),
            "best": mean(best),
            **_ends("best_", best),
        }

    return per_cell(runs, row)


def sample_efficiency(runs: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """How much was learned with how many steps.

    The threshold counts as reached at the first of `SUSTAINED` consecutive evaluations at or above it. A run
    that was not there by the end of its budget is censored at the budget; so is a run that failed, crashed,
    diverged or ran out of time, whatever it scored before. Interrupted and skipped runs do not count.

    Returns:
        Columns environment, algorithm, device, done, failed, other; area (mean height of the evaluation
        curve, in units of return), area_low, area_high (95 % interval); threshold, reached (how many runs), of
        (how many count); median_steps (Kaplan-Meier; infinite where it is not reached), median_low, median_high (NaN
        below 6 runs); restricted_steps (mean of the steps to the threshold or the budget, whichever comes first),
        restricted_low, restricted_high (NaN where no run reached it); budget.
    """
    every = run_curves(points)

    def row(done: pd.DataFrame, failed: pd.DataFrame) -> Row:
        curves = [every[key] for key in done["key"]]
        areas = [metrics.area_under_curve(curve.steps, curve.scores) for curve in curves]
        return {
            "area": mean(areas),
            **_ends("area_", areas),
            **_steps_to_threshold(done, failed, curves),
        }

    return per_cell(runs, row)


def _steps_to_threshold(done: pd.DataFrame, failed: pd.DataFrame, curves: list[Curve]) -> Row:
    started = pd.concat([done, failed])
    budget = float(started["budget"].max()) if len(started) else np.nan
    threshold = started["threshold"].max()
    if np.isnan(threshold):
        missing = ["threshold", "reached", "of", "median_steps", "median_low", "median_high"]
        missing += ["restricted_steps", "restricted_low", "restricted_high"]
        return {**dict.fromkeys(missing, np.nan), "budget": budget}
    times, reached = threshold_times(done, failed, curves)
    low, high = median_interval(np.where(reached, times, metrics.NEVER))
    return {
        "threshold": threshold,
        "reached": int(reached.sum()),
        "of": len(times),
        "median_steps": metrics.kaplan_meier(times, reached).median,
        "median_low": low,
        "median_high": high,
        "restricted_steps": metrics.restricted_mean(times, reached, budget),
        **_ends("restricted_", times if reached.any() else []),  # equal budgets say nothing about the mean
        "budget": budget,
    }


def threshold_times(
    done: pd.DataFrame, failed: pd.DataFrame, curves: list[Curve]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Steps to the threshold of the done, then the failed runs, and whether it was reached; else the budget.

    Args:
        done: D rows of the table of runs.
        failed: F rows of it.
        curves: of the done runs.

    Returns:
        Steps and whether they end at the threshold, [D + F] each.
    """
    steps = [
        metrics.steps_to_threshold(curve.steps, curve.scores, threshold, SUSTAINED)
        for curve, threshold in zip(curves, done["threshold"], strict=True)
    ]
    times = np.array([*steps, *[metrics.NEVER] * len(failed)])
    budgets = np.array([*done["budget"], *failed["budget"]], float)
    return np.minimum(times, budgets), np.isfinite(times)


def wall_clock(runs: pd.DataFrame) -> pd.DataFrame:
    """What the done runs cost. A trial that trained several runs is shared out equally among them.

    Returns:
        Columns environment, algorithm, device, done, failed, other; steps_per_second (of training, evaluation
        and set-up excluded), train_seconds, setup_seconds, environment_seconds, learning_seconds,
        evaluation_seconds and cpu_seconds (means per run), train_low, train_high (95 % interval of the mean; NaN where
        runs shared a trial, for then they are one measurement), peak_memory_mib and peak_gpu_memory_mib (largest of
        a trial's process), runs_in_trial, jobs, threads (largest), machines (how many different ones).
    """

    def row(done: pd.DataFrame, _: pd.DataFrame) -> Row:
        names = [f"{part}_seconds" for part in ("train", *SECONDS, "cpu")]
        shares = done[names].div(done["runs_in_trial"], axis=0)
        seconds = shares["train_seconds"].sum(skipna=False)
        largest = ("peak_memory_mib", "peak_gpu_memory_mib", "runs_in_trial", "jobs", "threads")
        return {
            "steps_per_second": done["steps"].sum() / seconds if seconds > 0 else np.nan,
            **{name: mean(shares[name]) for name in names},
            **_ends("train_", shares["train_seconds"] if (done["runs_in_trial"] == 1).all() else []),
            **{name: done[name].max() if len(done) else np.nan for name in largest},
            "machines": done["machine"].nunique(),
        }

    return per_cell(runs, row)


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
    facts = runs[[*CELL, *OF_RUNS]].astype(
        dict.fromkeys(("key", "machine"), object)
    )  # faster to take rows of
    done_or_failed = (runs["status"] == "done").to_numpy(), runs["status"].isin(FAILED).to_numpy()
    for _, places in sorted(runs.groupby(CELL).indices.items()):
        places = np.asarray(places)
        done, failed = (facts.take(places[kind[places]]) for kind in done_or_failed)
        counts = {"done": len(done), "failed": len(failed), "other": len(places) - len(done) - len(failed)}
        cell = {name: str(facts[name].iloc[places[0]]) for name in CELL}
        rows.append({**cell, **counts, **row(done, failed)})
    table = pd.DataFrame(rows)
    return table.astype({name: "Int64" for name in INTEGERS if name in table})


def _ends(prefix: str, values: Any) -> Row:
    """The 95 % interval of the mean, as two columns."""
    return dict(zip((f"{prefix}low", f"{prefix}high"), mean_interval(values), strict=True))


def mean(values: Any) -> float:
    """The mean; NaN of nothing, and NaN if any value is NaN, for a missing value is no reason to ignore it."""
    array = np.asarray(values, float)
    return float(array.mean()) if array.size else np.nan
