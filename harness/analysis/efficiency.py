"""How much was learned with how many steps, and in how much time: a row per environment, algorithm and device."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.analysis import metrics
from harness.analysis.curves import Curve, run_curves
from harness.analysis.stats import NO_INTERVAL, mean_interval, score_intervals
from harness.analysis.summaries import Row, ends, mean, per_cell
from harness.statistics.runs import Floats
from harness.statistics.survival import NEVER, kaplan_meier, median_interval, restricted_mean

SUSTAINED = 2  # consecutive evaluations that must reach the threshold
TIMES = [f"{name}{end}" for name in ("median_steps", "restricted_steps") for end in ("", "_low", "_high")]
SECONDS = ["median_seconds", "median_seconds_low", "median_seconds_high"]


def sample_efficiency(runs: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """How much was learned with how many steps, and in how much time.

    The threshold counts as reached at the first of `SUSTAINED` consecutive evaluations at or above it. A run
    that was not there by the end of its budget is censored at the budget; so is a run that failed, crashed,
    diverged or ran out of time, whatever it scored before. Interrupted and skipped runs do not count.

    Returns:
        Columns environment, algorithm, device, done, failed, other; area (mean height of the evaluation curve, in
        units of return), area_low, area_high (95 % interval), no_interval (why not); threshold, reached (how many
        runs), of (how many count); median_steps (Kaplan-Meier; infinite where it is not reached) with median_steps_low
        and _high (NaN below 6 runs); restricted_steps (mean of the steps to the threshold or the budget, whichever
        comes first) with restricted_steps_low and _high (NaN where no run reached it); median_seconds (of training
        until then; of a run's share where a trial trained several, which has no interval, for their clock is one
        measurement; NaN for runs of several machines) with median_seconds_low and _high; budget.
    """
    every = run_curves(points)

    def row(done: pd.DataFrame, failed: pd.DataFrame) -> Row:
        curves = [every[key] for key in done["key"]]
        areas = [metrics.area_under_curve(curve.steps, curve.scores) for curve in curves]
        (of_mean,), why_none = score_intervals(np.reshape(areas, (-1, 1)), done)
        area = {"area": mean(areas), **ends("area_", of_mean), "no_interval": why_none}
        return {**area, **_until_threshold(done, failed, curves)}

    return per_cell(runs, row)


def _until_threshold(done: pd.DataFrame, failed: pd.DataFrame, curves: Sequence[Curve]) -> Row:
    started = pd.concat([done, failed])
    budget = float(started["budget"].max()) if len(started) else np.nan
    threshold = started["threshold"].max()
    if np.isnan(threshold):
        return {**dict.fromkeys(["threshold", "reached", "of", *TIMES, *SECONDS], np.nan), "budget": budget}
    times, reached = threshold_times(done, failed, curves)
    # Equal budgets say nothing about the mean.
    of_mean = mean_interval(times, 0, budget) if reached.any() else NO_INTERVAL
    return {
        "threshold": threshold,
        "reached": int(reached.sum()),
        "of": len(times),
        "median_steps": kaplan_meier(times, reached).median,
        **ends("median_steps_", median_interval(np.where(reached, times, NEVER))),
        "restricted_steps": restricted_mean(times, reached, budget),
        **ends("restricted_steps_", of_mean),
        **_seconds(done, failed, curves),
        "budget": budget,
    }


def _seconds(done: pd.DataFrame, failed: pd.DataFrame, curves: Sequence[Curve]) -> Row:
    """The median seconds of training until the threshold; a run that is not there by its budget never is."""
    if done["machine"].nunique() > 1:
        return dict.fromkeys(SECONDS, np.nan)
    times = _first_reached(done, failed, curves, "seconds")
    alone = bool((done["runs_in_trial"] == 1).all())
    return {
        "median_seconds": kaplan_meier(times, np.isfinite(times)).median,
        **ends("median_seconds_", median_interval(times) if alone else NO_INTERVAL),
    }


def threshold_times(
    done: pd.DataFrame, failed: pd.DataFrame, curves: Sequence[Curve]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Steps to the threshold of D done, then F failed runs, or to the budget; and which of the two, [D + F] each."""
    times = _first_reached(done, failed, curves, "steps")
    budgets = np.array([*done["budget"], *failed["budget"]], float)
    return np.minimum(times, budgets), np.isfinite(times)


def _first_reached(done: pd.DataFrame, failed: pd.DataFrame, curves: Sequence[Curve], axis: str) -> Floats:
    """Where on its axis, steps or seconds, each run first is at the threshold for `SUSTAINED` evaluations."""
    reached = [
        metrics.steps_to_threshold(getattr(curve, axis), curve.scores, threshold, SUSTAINED)
        for curve, threshold in zip(curves, done["threshold"], strict=True)
    ]
    return np.array([*reached, *[NEVER] * len(failed)])
