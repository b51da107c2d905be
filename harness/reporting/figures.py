"""The figures of every report. Each takes the results and returns a figure, or None where there is nothing to show.

Every figure says how many runs stand behind what it shows, and shows the runs themselves beside their mean.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from harness.analysis.curves import run_curves
from harness.analysis.metrics import kaplan_meier
from harness.analysis.summaries import FAILED, SECONDS, threshold_times
from harness.reporting.figure_style import (
    INK,
    MUTED,
    PAPER,
    RETURNS,
    SERIES,
    SPEED,
    STEPS,
    Look,
    facets,
    legend,
    looks,
    wrapped,
)

if TYPE_CHECKING:
    from harness.analysis.results import Results

LOG_FROM = 8  # times between the slowest and the fastest contestant
OUTLYING = 4  # times the range of 95 % of the returns


def curves_over_steps(results: "Results") -> Figure | None:
    """Learning curves against environment steps."""
    return _learning_curves(results, "step", "environment steps")


def curves_over_seconds(results: "Results") -> Figure | None:
    """Learning curves against seconds of training."""
    return _learning_curves(results, "seconds", "training seconds per run")


def _learning_curves(results: "Results", against: str, label: str) -> Figure | None:
    means = _with_contestant(results.curves(against))
    if means.empty:
        return None
    points = _with_contestant(results.points)
    look = looks(_contestants(results))
    environments = sorted(means["environment"].unique())
    figure, axes = facets(environments, columns=min(3, len(environments)), height=2.3)
    for environment, axis in zip(environments, axes, strict=True):
        _draw_runs(axis, points[points["environment"] == environment], against, look)
        _draw_means(axis, means[means["environment"] == environment], against, look)
        _label_curves(axis, results, environment, label)
        if against == "seconds":
            _spread_out(axis, means[means["environment"] == environment])
        _limit_returns(axis, points.loc[points["environment"] == environment, "score"])
    _label_outer(axes, "mean return")
    _contestant_legend(figure, results, look)
    return figure


def _draw_runs(axis: Axes, points: pd.DataFrame, against: str, look: dict[str, Look]) -> None:
    """A thin line per run."""
    for name, group in points.groupby("contestant"):
        lines = [run[[against, "score"]].to_numpy() for _, run in group.groupby("key", sort=False)]
        axis.add_collection(LineCollection(lines, colors=look[str(name)].color, linewidths=0.5, alpha=0.3))


def _draw_means(axis: Axes, means: pd.DataFrame, against: str, look: dict[str, Look]) -> None:
    """A thick line and a band per contestant."""
    here = {name: look[name] for name in means["contestant"].unique()}
    for name, mean in means.groupby("contestant"):
        color = look[str(name)].color
        axis.fill_between(mean[against], mean["low"], mean["high"], color=color, alpha=0.18, linewidth=0)
    sns.lineplot(
        means,
        x=against,
        y="mean",
        hue="contestant",
        style="contestant",
        palette={name: this.color for name, this in here.items()},
        markers={name: this.marker for name, this in here.items()},
        dashes={name: this.dash for name, this in here.items()},
        estimator=None,
        linewidth=1.6,
        markersize=5,
        markevery=max(1, len(means) // len(here) // 5),
        markeredgecolor=PAPER,
        legend=False,
        ax=axis,
    )


def _label_curves(axis: Axes, results: "Results", environment: str, label: str) -> None:
    thresholds = results.runs.loc[results.runs["environment"] == environment, "threshold"].dropna()
    if len(thresholds):
        axis.axhline(float(thresholds.iloc[0]), color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axis.set(xlabel=label, ylabel="")
    axis.xaxis.set_major_formatter(STEPS)
    axis.yaxis.set_major_formatter(RETURNS)
    axis.locator_params(axis="x", nbins=5)
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


def final_scores(results: "Results") -> Figure | None:
    """The final score of every run, with the mean of each contestant and its interval."""
    scores = _with_contestant(results.scores())
    if scores.empty or not scores["done"].any():
        return None
    last = _with_contestant(results.points.groupby("key", sort=False).tail(1))

    def draw(axis: Axes, row: pd.Series, height: int, look: Look) -> str:
        runs = last[(last["environment"] == row["environment"]) & (last["contestant"] == row["contestant"])]
        _dots(axis, runs["score"], height, look)
        if row["done"]:
            axis.plot([row["low"], row["high"]], [height, height], color=INK, linewidth=1.4)
            axis.plot(row["mean"], height, "|", color=INK, markersize=11, markeredgewidth=1.8, zorder=4)
        return f"{row['done']}/{row['done'] + row['failed'] + row['other']}"

    figure = _rows(results, scores, "return of the final evaluation", draw)
    for axis in figure.axes:
        axis.xaxis.set_major_formatter(RETURNS)
    handles = [_marker("o", MUTED), _marker("|", INK, 11), Line2D([], [], color=INK)]
    legend(figure, handles, ["one run", "mean", "95 % interval of the mean"])
    return figure


def steps_to_threshold(results: "Results") -> Figure | None:
    """When each run reached the threshold; those that never did are shown where they were last seen."""
    table = _with_contestant(results.sample_efficiency())
    table = table[table["of"].fillna(0) > 0] if len(table) else table
    if table.empty:
        return None
    curves, runs = run_curves(results.points), _with_contestant(results.runs)

    def draw(axis: Axes, row: pd.Series, height: int, look: Look) -> str:
        here = (runs["environment"] == row["environment"]) & (runs["contestant"] == row["contestant"])
        done = runs[here & (runs["status"] == "done")]
        failed = runs[here & runs["status"].isin(FAILED)]
        times, reached = threshold_times(done, failed, [curves[key] for key in done["key"]])
        _dots(axis, times[reached], height, look)
        _dots(axis, times[~reached], height, look._replace(marker=">"), hollow=True)
        median = kaplan_meier(times, reached).median
        if np.isfinite(median):
            axis.plot(median, height, "|", color=INK, markersize=11, markeredgewidth=1.8, zorder=4)
        axis.set_xlim(0, float(row["budget"]) * 1.04)
        return f"{row['reached']}/{row['of']}"

    figure = _rows(results, table, "environment steps", draw)
    for axis in figure.axes:
        axis.xaxis.set_major_formatter(STEPS)
    handles = [_marker("o", MUTED), _marker(">", MUTED, hollow=True), _marker("|", INK, 11)]
    legend(figure, handles, ["reached", "not reached within the budget", "median (Kaplan-Meier)"])
    return figure


def wall_clock(results: "Results") -> Figure | None:
    """Where the seconds of a run went."""
    table = _with_contestant(results.wall_clock())
    table = table[table["train_seconds"].notna()] if len(table) else table
    if table.empty:
        return None
    colors = dict(zip(SECONDS, (SERIES[7], SERIES[0], SERIES[1], SERIES[4]), strict=True))

    def draw(axis: Axes, row: pd.Series, height: int, _: Look) -> str:
        start = 0.0
        for part in SECONDS:
            width = float(row[f"{part}_seconds"])
            if np.isfinite(width):
                axis.barh(height, width, left=start, height=0.62, color=colors[part], linewidth=0)
                start += width
        return f"{SPEED(row['steps_per_second'])} · n = {row['done']}"

    figure = _rows(results, table, "seconds per run", draw)
    names = ["set-up" if part == "setup" else part for part in colors]
    legend(figure, [Patch(color=color) for color in colors.values()], names)
    return figure


def _rows(
    results: "Results",
    table: pd.DataFrame,
    label: str,
    draw: Callable[[Axes, pd.Series, int, Look], str],
) -> Figure:
    """A plot per environment and a line per contestant; ``draw`` fills it and returns the note at its end."""
    contestants = [name for name in _contestants(results) if name in set(table["contestant"])]
    look = looks(_contestants(results))
    environments = sorted(table["environment"].unique())
    columns = min(2, len(environments))
    names = [wrapped(name, 44) for name in contestants]
    line = 0.1 + 0.14 * max(name.count("\n") + 1 for name in names)
    figure, axes = facets(environments, columns, height=0.75 + line * len(names))
    for index, (environment, axis) in enumerate(zip(environments, axes, strict=True)):
        for _, row in table[table["environment"] == environment].iterrows():
            height = contestants.index(row["contestant"])
            note = draw(axis, row, height, look[row["contestant"]])
            axis.annotate(
                note,
                (1, height),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=MUTED,
                fontsize=8,
            )
        axis.set(xlabel=label, ylim=(len(contestants) - 0.45, -0.55))
        axis.set_yticks(range(len(names)), names if index % columns == 0 else [""] * len(names))
        axis.tick_params(axis="y", length=0)
        axis.grid(visible=False, axis="y")
        axis.locator_params(axis="x", nbins=6)
    return figure


def _dots(axis: Axes, values: Any, height: int, look: Look, hollow: bool = False) -> None:
    """A dot per run, side by side so that equal ones are seen."""
    values = np.asarray(values, float)
    offsets = np.linspace(-0.24, 0.24, len(values)) if len(values) > 1 else np.zeros(len(values))
    (dots,) = axis.plot(
        values,
        height + offsets,
        linestyle="",
        marker=look.marker,
        markersize=3.6,
        markerfacecolor="none" if hollow else look.color,
        markeredgecolor=look.color,
        markeredgewidth=0.8,
        alpha=0.8,
        clip_on=False,
        zorder=3,
    )
    dots.set_in_layout(False)  # or dots on the edge would make the plot narrower


def _marker(marker: str, color: str, size: float = 5, hollow: bool = False) -> Line2D:
    face = "none" if hollow else color
    return Line2D(
        [],
        [],
        linestyle="",
        marker=marker,
        color=color,
        markersize=size,
        markerfacecolor=face,
        markeredgewidth=1.2,
    )


def _with_contestant(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the name under which a row is drawn: its algorithm, and its device where it matters."""
    if table.empty:
        return table.assign(contestant=[])
    devices = table["device"].nunique() > 1
    names = table["algorithm"] + " on " + table["device"] if devices else table["algorithm"]
    return table.assign(contestant=names.astype(str))


def _contestants(results: "Results") -> list[str]:
    return sorted(_with_contestant(results.runs)["contestant"].unique())


def _contestant_legend(figure: Figure, results: "Results", look: dict[str, Look]) -> None:
    """Names with their number of done runs per environment."""
    scores = _with_contestant(results.scores())
    counts = scores[scores["done"] > 0].groupby("contestant")["done"].agg(["min", "max"])
    handles, labels = [], []
    for name, count in counts.iterrows():
        this = look[str(name)]
        handles.append(
            Line2D(
                [],
                [],
                color=this.color,
                linestyle=(0, this.dash),
                marker=this.marker,
                markersize=5,
                linewidth=1.6,
            )
        )
        few, many = count["min"], count["max"]
        labels.append(f"{name} (n = {many})" if few == many else f"{name} (n = {few} to {many})")
    legend(figure, handles, labels)


def _label_outer(axes: Sequence[Axes], label: str) -> None:
    """The y label on the first plot of every row only."""
    for axis in axes:
        if axis.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            axis.set_ylabel(label)
