"""Who is drawn: one name for an algorithm, and its device where there are several, in every figure."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.reporting.figure_style import MUTED, Look, legend, looks

if TYPE_CHECKING:
    from harness.analysis.results import Results

BAND = "band: pointwise 95 % interval"


def named(results: "Results", table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column contestant, and than_contestant where it is about pairs."""
    several = results.runs["device"].nunique() > 1
    for prefix in ("", "than_") if "than_algorithm" in table else ("",):
        names = table[f"{prefix}algorithm"].astype(str)
        if several:
            names = names + " on " + table[f"{prefix}device"].astype(str)
        table = table.assign(**{f"{prefix}contestant": names})
    return table


def contestants(results: "Results") -> dict[str, Look]:
    """Every contestant with its look, the same in all figures of a report."""
    return looks(sorted(named(results, results.runs)["contestant"].unique()))


def handle(look: Look) -> Line2D:
    """How a contestant's line looks in a legend."""
    return Line2D(
        [],
        [],
        color=look.color,
        linestyle=(0, look.dash),
        marker=look.marker,
        markersize=5,
        linewidth=1.6,
    )


def legend_with_runs(figure: Figure, look: dict[str, Look], counts: dict[str, tuple[int, int]]) -> None:
    """A legend of lines with bands: names with their number of runs, few to many."""
    labels = [
        f"{name} (n = {few if few == many else f'{few} to {many}'})" for name, (few, many) in counts.items()
    ]
    handles = [handle(look[name]) for name in counts]
    legend(figure, [*handles, Patch(color=MUTED, alpha=0.25, linewidth=0)], [*labels, BAND])
