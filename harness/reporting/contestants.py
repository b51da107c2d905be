"""Who is drawn: one name for an algorithm, and its device where there are several, in every figure."""

from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.analysis.results import Results
from harness.reporting.figure_style import MUTED, Style, legend, styles_of

POINTWISE, SIMULTANEOUS = 0.18, 0.09  # opacity of a band
# Opacity of their grey patches in the legend.
BANDS = {"95 % band of any one point": 0.35, "of the whole line": 0.17}


def named(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column contestant, and than_contestant where it is about pairs."""
    several = results.runs["device"].nunique() > 1
    for prefix in ("", "than_") if "than_algorithm" in table else ("",):
        names = table[f"{prefix}algorithm"].astype(str)
        if several:
            names = names + " on " + table[f"{prefix}device"].astype(str)
        table = table.assign(**{f"{prefix}contestant": names})
    return table


def contestants(results: Results) -> dict[str, Style]:
    """Every contestant with its style, the same in all figures of a report."""
    return styles_of(sorted(named(results, results.runs)["contestant"].unique()))


def fill_bands(axis: Axes, line: pd.DataFrame, x: str, color: str, step: Literal["post"] | None = None) -> None:
    """The pointwise band of a line and, if it has one, the simultaneous band, which is lighter and wider."""
    for prefix, alpha in (("simultaneous_", SIMULTANEOUS), ("", POINTWISE)):
        if f"{prefix}low" in line:
            ends = line[f"{prefix}low"], line[f"{prefix}high"]
            axis.fill_between(line[x], *ends, color=color, alpha=alpha, linewidth=0, step=step)


def legend_with_runs(figure: Figure, styles: dict[str, Style], counts: pd.DataFrame, bands: int = len(BANDS)) -> None:
    """A legend of lines with so many of `BANDS`: names with their number of runs; the fewest and the most by name."""
    labels = [f"{name} (n = {few if few == many else f'{few} to {many}'})" for name, few, many in counts.itertuples()]
    lines = [Line2D([], [], **styles[name].line) for name in counts.index]
    shown = dict([*BANDS.items()][:bands])
    patches = [Patch(color=MUTED, alpha=alpha, linewidth=0) for alpha in shown.values()]
    legend(figure, [*lines, *patches], [*labels, *shown])
