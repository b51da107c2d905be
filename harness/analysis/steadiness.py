"""How reliably each algorithm learns (Chan et al., 2020, arXiv:1912.05663), per environment and contestant."""

import numpy as np
import pandas as pd

from harness.analysis.curves import aligned, run_curves
from harness.analysis.stats import NO_INTERVAL, Interval, mean_intervals, possible, resampled_interval
from harness.analysis.summaries import Row, ends, mean, per_cell
from harness.statistics.groups import FEWEST_RUNS, worst_quarter, worst_quarter_ends
from harness.statistics.reliability import dispersion_across_time, interquartile_range, long_term_risk
from harness.statistics.runs import Floats

WINDOW = 5  # changes from one evaluation to the next that are looked at together
MEASURES = ("across_runs", "across_time", "drawdown", "worst_quarter")


def reliability(runs: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Dispersion and risk across runs and over time, of done runs, in units of return.

    Returns:
        Columns environment, algorithm, device, done, failed, other; with the 95 % interval of each (_low, _high):
        across_runs (interquartile range over runs of the final score; no interval below 5 runs), across_time
        (interquartile range of `WINDOW` successive changes from one evaluation to the next, mean over windows and
        runs), drawdown (mean over runs of the deepest 5 % of falls below the best score before), worst_quarter (mean
        final score of the worst quarter of the runs; no interval below 9).
    """
    every = run_curves(points)

    def row(done: pd.DataFrame, _: pd.DataFrame) -> Row:
        scores = aligned([every[key] for key in done["key"]], "step")[1]
        found = _measures(scores, *possible(done)) if scores.size else dict.fromkeys(MEASURES, (np.nan, NO_INTERVAL))
        return {
            column: number
            for name, (value, interval) in found.items()
            for column, number in {name: value, **ends(f"{name}_", interval)}.items()
        }

    return per_cell(runs, row)


def _measures(scores: Floats, least: float, most: float) -> dict[str, tuple[float, Interval]]:
    """Each measure of curves [N, L] on one grid, whose scores can be from ``least`` to ``most``."""
    final, changes = scores[:, -1], scores.shape[1] - 1
    over_time = np.full(len(scores), np.nan)
    if changes:
        over_time = dispersion_across_time(np.arange(changes + 1), scores, min(WINDOW, changes))
    drawdowns = np.array([long_term_risk(curve) for curve in scores])
    spread = resampled_interval(final, interquartile_range) if len(final) >= FEWEST_RUNS else NO_INTERVAL
    columns = np.column_stack([over_time, drawdowns, final])
    of_time, of_drawdown, of_mean = mean_intervals(columns, [0, 0, least], [np.inf, np.inf, most])
    low, high = worst_quarter_ends(final)
    of_quarter = max(low, least), min(high, of_mean[1])
    return {
        "across_runs": (float(interquartile_range(final)), (max(spread[0], 0.0), spread[1])),
        "across_time": (mean(over_time), of_time),
        "drawdown": (mean(drawdowns), of_drawdown),
        "worst_quarter": (float(worst_quarter(final)), of_quarter),
    }
