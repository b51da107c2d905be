"""The figures of one environment. Each takes the results and the environment's name, and returns a figure, or None.

Every figure says how many runs stand behind what it shows, and shows the runs themselves beside their mean.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from harness.analysis.curves import run_curves
from harness.analysis.metrics import kaplan_meier
from harness.analysis.summaries import FAILED, SECONDS, threshold_times
from harness.reporting.contestants import contestants, legend_with_runs, named
from harness.reporting.figure_style import (
    INK,
    MUTED,
    PAPER,
    RETURNS,
    SERIES,
    SPEED,
    STEPS,
    Look,
    dots,
    facets,
    height_of,
    legend,
    mark,
    note,
    rows,
    wrapped,
)

if TYPE_CHECKING:
    from harness.analysis.results import Results

LOG_FROM = 8  # times between the slowest and the fastest contestant
OUTLYING = 4  # times the range of 95 % of the returns
PARTS = dict(zip(SECONDS, (SERIES[7], SERIES[0], SERIES[1], SERIES[4]), strict=True))


def learning_curves(results: "Results", environment: str) -> Figure | None:
    """Learning curves against environment steps, and against seconds of training."""
    points = _here(results, results.points, environment)
    if points.empty:
        return None
    look = contestants(results)
    figure, axes = facets(["", ""], columns=2, height=2.9)
    labels = {"step": "environment steps", "seconds": "training seconds per run"}
    for axis, (against, label) in zip(axes, labels.items(), strict=True):
        means = _here(results, results.curves(against), environment)
        _draw_runs(axis, points, against, look)
        _draw_means(axis, means, against, look)
        _label_curves(axis, results, environment, label)
        if against == "seconds":
            _spread_out(axis, means)
        _limit_returns(axis, points["score"])
    axes[0].set_ylabel("mean return")
    done = means.groupby("contestant")["done"].first()
    legend_with_runs(figure, look, {str(name): (int(n), int(n)) for name, n in done.items()})
    return figure


def _here(results: "Results", table: pd.DataFrame, environment: str) -> pd.DataFrame:
    return named(results, table[table["environment"] == environment])


def _draw_runs(axis: Axes, points: pd.DataFrame, against: str, look: dict[str, Look]) -> None:
    """A thin line per run."""
    for name, group in points.groupby("contestant"):
        xy, keys = group[[against, "score"]].to_numpy(), group["key"].to_numpy()
        lines = np.split(xy, np.flatnonzero(keys[1:] != keys[:-1]) + 1)
        axis.add_collection(LineCollection(lines, colors=look[str(name)].color, linewidths=0.5, alpha=0.3))


def _draw_means(axis: Axes, means: pd.DataFrame, against: str, look: dict[str, Look]) -> None:
    """A thick line and a band per contestant."""
    for name, mean in means.groupby("contestant"):
        this = look[str(name)]
        axis.fill_between(mean[against], mean["low"], mean["high"], color=this.color, alpha=0.18, linewidth=0)
        axis.plot(
            mean[against],
            mean["mean"],
            color=this.color,
            marker=this.marker,
            linestyle=(0, this.dash),
            linewidth=1.6,
            markersize=5,
            markevery=max(1, len(mean) // 5),
            markeredgecolor=PAPER,
        )


def _label_curves(axis: Axes, results: "Results", environment: str, label: str) -> None:
    thresholds = results.runs.loc[results.runs["environment"] == environment, "threshold"].dropna()
    if len(thresholds):
        axis.axhline(float(thresholds.iloc[0]), color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axis.set(xlabel=label, ylabel="")
    axis.xaxis.set_major_formatter(STEPS)
    axis.yaxis.set_major_formatter(RETURNS)
    axis.locator_params(axis="x", nbins=6)
    axis.margins(x=0.02)


def _limit_returns(axis: Axes, scores: pd.Series) -> None:
    """An axis as high as the runs, not as their bands; a few returns far below the others are told, not shown."""
    low, high, most = scores.min(), scores.max(), float(scores.quantile(0.05))
    if high - low > OUTLYING * (high - most) > 0:
        axis.set_xlabel(f"{axis.get_xlabel()}\n(lowest return {RETURNS(low)}, not shown)")
        low = most
    margin = 0.06 * (high - low) or 0.5
    axis.set_ylim(low - margin, high + margin)


def _spread_out(axis: Axes, means: pd.DataFrame) -> None:
    """A logarithmic axis of seconds where contestants differ much in speed, or the fast ones would be a stroke."""
    ends = means.groupby("contestant")["seconds"].max()
    if ends.min() > 0 and ends.max() > LOG_FROM * ends.min():
        axis.set_xscale("log")
        axis.set(xlim=(ends.min() / LOG_FROM, ends.max() * 1.2), xlabel=f"{axis.get_xlabel()}, logarithmic")
        axis.xaxis.set_major_formatter(RETURNS)
        axis.xaxis.set_minor_formatter(NullFormatter())


class Panel(NamedTuple):
    """A plot with a line per contestant.

    Attributes:
        title: above it.
        label: of its x-axis.
        draw: fills the line of a row of the table, at a height, and returns the note at its end.
    """

    title: str
    label: str
    draw: Callable[[Axes, pd.Series, int, Look], str]


def every_run(results: "Results", environment: str) -> Figure | None:
    """The final score and the steps to the threshold of every run, and where the seconds went."""
    table = _table_of_runs(results, environment)
    if not table["done"].any():
        return None
    runs = _here(results, results.runs, environment)
    curves = run_curves(results.points[results.points["environment"] == environment])

    def final_score(axis: Axes, row: pd.Series, height: int, look: Look) -> str:
        done = runs[(runs["contestant"] == row["contestant"]) & (runs["status"] == "done")]
        dots(axis, [curves[key].scores[-1] for key in done["key"]], height, look)
        axis.plot([row["low"], row["high"]], [height, height], color=INK, linewidth=1.4)
        axis.plot(row["mean"], height, "|", color=INK, markersize=11, markeredgewidth=1.8, zorder=4)
        axis.xaxis.set_major_formatter(RETURNS)
        return f"{row['done']}/{row['done'] + row['failed'] + row['other']}"

    def steps(axis: Axes, row: pd.Series, height: int, look: Look) -> str:
        of = runs[runs["contestant"] == row["contestant"]]
        done, failed = of[of["status"] == "done"], of[of["status"].isin(FAILED)]
        times, reached = threshold_times(done, failed, [curves[key] for key in done["key"]])
        dots(axis, times[reached], height, look)
        dots(axis, times[~reached], height, look._replace(marker=">"), hollow=True)
        median = kaplan_meier(times, reached).median
        if np.isfinite(median):
            axis.plot(median, height, "|", color=INK, markersize=11, markeredgewidth=1.8, zorder=4)
        axis.set_xlim(0, float(row["budget"]) * 1.04)
        axis.xaxis.set_major_formatter(STEPS)
        return f"{row['reached']}/{row['of']}"

    def seconds(axis: Axes, row: pd.Series, height: int, _: Look) -> str:
        start = 0.0
        for part, color in PARTS.items():
            width = float(row[f"{part}_seconds"])
            if np.isfinite(width):
                axis.barh(height, width, left=start, height=0.62, color=color, linewidth=0)
                start += width
        return SPEED(row["steps_per_second"]) if row["done"] else ""

    panels = [Panel("final score", "return of the final evaluation", final_score)]
    if table["of"].fillna(0).any():
        panels.append(Panel("steps to the threshold", "environment steps", steps))
    panels.append(Panel("where the time went", "seconds per run", seconds))
    return _panels(table, panels, contestants(results))


def _table_of_runs(results: "Results", environment: str) -> pd.DataFrame:
    """What the notes of `every_run` tell, a row per contestant that was to run here."""
    efficiency = ["reached", "of", "budget"]
    clock = ["steps_per_second", *(f"{part}_seconds" for part in PARTS)]
    tables = [results.scores(), results.sample_efficiency()[efficiency], results.wall_clock()[clock]]
    return _here(
        results, pd.concat(tables, axis=1), environment
    )  # each has a row per cell, in the same order


def _panels(table: pd.DataFrame, panels: Sequence[Panel], look: dict[str, Look]) -> Figure:
    """The panels side by side, with a line per row of the table."""
    names = [wrapped(name, 44) for name in table["contestant"]]
    figure, axes = facets([panel.title for panel in panels], len(panels), height_of(names))
    for axis, panel in zip(axes, panels, strict=True):
        rows(axis, names, panel.label, first=axis is axes[0])
        for height, (_, row) in enumerate(table.iterrows()):
            note(axis, panel.draw(axis, row, height, look[row["contestant"]]), height)
    handles: list[Artist] = [
        mark("o", MUTED),
        mark("|", INK, 11),
        Line2D([], [], color=INK),
        mark(">", MUTED, hollow=True),
    ]
    labels = [
        "one run",
        "mean, or median of steps",
        "95 % interval of the mean",
        "not reached within the budget",
    ]
    handles += [Patch(color=color, linewidth=0) for color in PARTS.values()]
    labels += ["set-up" if part == "setup" else part for part in PARTS]
    legend(figure, handles, labels)
    return figure
