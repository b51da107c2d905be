"""What one run scored, by the name of a measure: the numbers that are compared, gated and claimed about.

The measures are those of `harness.suite.measures`. A run that is not done has no score, and is listed all the
same: what it counts as is for `harness.analysis.pairing` to say.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.analysis import metrics
from harness.analysis.curves import CELL, Curve, run_curves
from harness.analysis.efficiency import SUSTAINED
from harness.contract.errors import UsageError
from harness.statistics.groups import GroupStatistic, worst_quarter
from harness.statistics.reliability import drawdown, interquartile_range
from harness.suite.measures import DIAGNOSTIC, OF_RUNS, named

if TYPE_CHECKING:
    from harness.analysis.results import Results

COLUMNS = ["key", *CELL, "seed", "status"]


def measured(results: "Results", measure: str) -> pd.DataFrame:
    """One number per run, of a measure that single runs have.

    Returns:
        A row per run, whatever became of it, in the order of ``results.runs``; columns key, environment,
        algorithm, device, seed, status, value. The value is NaN for a run that is not done, or has nothing
        that could be measured so (no training episode ended, nothing was logged under NAME or something that is not
        finite, no threshold).

    Raises:
        UsageError: there is no such measure.
    """
    record = named(measure)
    if record.of_group:
        raise UsageError(f"{measure!r} is no measure of single runs; those are {', '.join(OF_RUNS)}")
    logged = measure.startswith(DIAGNOSTIC)
    values = _logged(results, measure.removeprefix(DIAGNOSTIC)) if logged else OF_RUN[measure](results)
    table = results.runs[COLUMNS].copy()
    table["value"] = table["key"].map(values).astype(float)
    table.loc[table["status"] != "done", "value"] = np.nan
    return table


def _steps_to_threshold(results: "Results") -> pd.Series:
    """The budget where it was not reached."""
    known = results.runs.set_index("key")[["threshold", "budget"]].dropna().itertuples(name=None)
    curves = run_curves(results.points)
    steps = {
        key: min(metrics.steps_to_threshold(curve.steps, curve.scores, threshold, SUSTAINED), budget)
        for key, threshold, budget in known
        if (curve := curves.get(key))
    }
    return pd.Series(steps, dtype=float)


def _logged(results: "Results", name: str) -> pd.Series:
    """The mean of what was logged under a name; NaN where something is not finite, which a mean would leave out."""
    found = results.diagnostics[results.diagnostics["name"] == name]
    endless = found["value"].where(np.isfinite(found["value"]), np.inf)
    return endless.groupby(found["key"], observed=True).mean().replace(np.inf, np.nan)


def _of_curves(number: Callable[[Curve], float]) -> Callable[["Results"], pd.Series]:
    """What finds a number of every curve, by the key of its run."""
    return lambda results: pd.Series({key: number(of) for key, of in run_curves(results.points).items()}, dtype=float)


OF_RUN: Mapping[str, Callable[["Results"], pd.Series]] = {
    "final_score": _of_curves(lambda curve: metrics.final_score(curve.scores)),
    "online_return": lambda results: results.episodes.groupby("key", observed=True)["return"].mean(),
    "area_under_curve": _of_curves(lambda curve: metrics.area_under_curve(curve.steps, curve.scores)),
    "steps_to_threshold": _steps_to_threshold,
    "worst_drop": _of_curves(lambda curve: float(drawdown(curve.scores).max())),
}
OF_GROUP: Mapping[str, GroupStatistic] = {"worst_quarter": worst_quarter, "spread": interquartile_range}
