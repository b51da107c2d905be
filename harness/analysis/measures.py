"""What one run scored, by the name of a measure: the numbers that are compared, gated and claimed about.

The names are those of docs/semantics.md. A run that is not done has no score, and is listed all the same: what
becomes of it is for whoever asks to say.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.analysis import metrics
from harness.analysis.curves import CELL, Curve, run_curves
from harness.analysis.efficiency import SUSTAINED
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.analysis.results import Results

DIAGNOSTIC = "diagnostic_"
OF_CURVE: dict[str, Callable[[Curve], float]] = {
    "final_score": lambda curve: metrics.final_score(curve.scores),
    "area_under_curve": lambda curve: metrics.area_under_curve(curve.steps, curve.scores),
    "worst_drop": lambda curve: float(np.max(np.maximum.accumulate(curve.scores) - curve.scores)),
}
LESS_IS_BETTER = ("steps_to_threshold", "worst_drop")  # and every diagnostic
COLUMNS = ["key", *CELL, "seed", "status"]


def measured(results: "Results", measure: str) -> pd.DataFrame:
    """One number per run.

    Args:
        results: stored runs.
        measure: a name of `OF_CURVE`, "online_return", "steps_to_threshold" or "diagnostic_NAME".

    Returns:
        A row per run, whatever became of it, in the order of ``results.runs``; columns key, environment,
        algorithm, device, seed, status, value. The value is NaN for a run that is not done, or has nothing
        that could be measured so (no training episode ended, nothing was logged under NAME or something that is not
        finite, no threshold). Steps to the threshold are infinite (`metrics.NEVER`) where it was not reached.

    Raises:
        UsageError: there is no such measure.
    """
    values = _values(results, measure)
    table = results.runs[COLUMNS].copy()
    table["value"] = table["key"].map(values).astype(float)
    table.loc[table["status"] != "done", "value"] = np.nan
    return table


def more_is_better(measure: str) -> bool:
    """Whether a higher value of this measure is a better one."""
    return measure not in LESS_IS_BETTER and not measure.startswith(DIAGNOSTIC)


def _values(results: "Results", measure: str) -> pd.Series:
    """Values by key, of those runs that have one."""
    if measure in OF_CURVE:
        of_curve = OF_CURVE[measure]
        return pd.Series(
            {key: of_curve(curve) for key, curve in run_curves(results.points).items()}, dtype=float
        )
    if measure == "online_return":
        return results.episodes.groupby("key", observed=True)["return"].mean()
    if measure == "steps_to_threshold":
        return _steps_to_threshold(results)
    if measure.startswith(DIAGNOSTIC):
        logged = results.diagnostics
        named = logged[logged["name"] == measure.removeprefix(DIAGNOSTIC)]
        # A mean would leave out what is NaN.
        endless = named["value"].where(np.isfinite(named["value"]), np.inf)
        return endless.groupby(named["key"], observed=True).mean().replace(np.inf, np.nan)
    known = (*OF_CURVE, "online_return", "steps_to_threshold", "diagnostic_NAME")
    raise UsageError(f"{measure!r} is no measure of a run; there are {', '.join(known)}")


def _steps_to_threshold(results: "Results") -> pd.Series:
    thresholds = results.runs.set_index("key")["threshold"].dropna()
    return pd.Series(
        {
            key: metrics.steps_to_threshold(curve.steps, curve.scores, thresholds[key], SUSTAINED)
            for key, curve in run_curves(results.points).items()
            if key in thresholds.index
        },
        dtype=float,
    )
