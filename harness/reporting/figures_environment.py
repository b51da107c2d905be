"""The figures of one environment. Each takes the results and the environment's name, and returns a figure, or None.

Every figure says how many runs stand behind what it shows, and shows the runs themselves beside their mean.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from harness.analysis.curves import Curve, run_curves
from harness.analysis.efficiency import threshold_times
from harness.analysis.results import Results
from harness.analysis.summaries import FAILED, SECONDS
from harness.reporting import figure_style
from harness.reporting.contestants import contestants, fill_bands, legend_with_runs, named
from harness.reporting.figure_style import INK, MUTED, PAPER, RETURNS, SERIES, SPEED, STEPS, Style, dots, mark

LOG_FROM = 8  # times between the slowest and the fastest contestant
OUTLYING = 4  # times the range of 95 % of the returns
UNITS = {"ply": "plies of self-play", "step": "environment steps", "update": "updates"}
AXES = {"step": "environment steps", "seconds": "training seconds per run"}
PARTS = dict(zip(SECONDS, (SERIES[7], SERIES[0], SERIES[1], SERIES[4]), strict=True))


def learning_curves(results: Results, environment: str) -> Figure | None:
    """Learning curves against environment steps, and against seconds of training."""
    if _here(results, results.points, environment).empty:
        return None
    return curves(results, ["", ""], [(environment, against) for against in AXES], height=2.9)


def curves(results: Results, titles: Sequence[str], plots: Sequence[tuple[str, str]], height: float) -> Figure:
    """Plots side by side, each of an environment against "step" or "seconds".

    In each is every run's curve, and each contestant's mean with its band.
    """
    styles = contestants(results)
    figure, axes = figure_style.facets(titles, len(titles), height)
    for axis, (environment, against) in zip(axes, plots, strict=True):
        points = _here(results, results.points, environment)
        means = _here(results, results.curves(against), environment)
        _draw_runs(axis, points, means, against, styles)
        _label_curves(axis, results, environment, against)
        if against == "seconds":
            _spread_out(axis, means)
        _limit_returns(axis, points["score"])
    axes[0].set_ylabel("mean return")
    means = named(results, results.curves("step"))
    done = means[means["environment"].isin([environment for environment, _ in plots])].groupby("contestant")["done"]
    legend_with_runs(figure, styles, done.agg(["min", "max"]))
    return figure


def _here(results: Results, table: pd.DataFrame, environment: str) -> pd.DataFrame:
    return named(results, table[table["environment"] == environment])


def _draw_runs(axis: Axes, points: pd.DataFrame, means: pd.DataFrame, against: str, styles: dict[str, Style]) -> None:
    """A thin line per run; a thick line and a band per contestant."""
    for name, group in points.groupby("contestant"):
        xy, keys = group[[against, "score"]].to_numpy(), group["key"].to_numpy()
        lines = np.split(xy, np.flatnonzero(keys[1:] != keys[:-1]) + 1)
        axis.add_collection(LineCollection(lines, colors=styles[str(name)].color, linewidths=0.5, alpha=0.3))
    for name, mean in means.groupby("contestant"):
        this = styles[str(name)]
        fill_bands(axis, mean, against, this.color)
        every = max(1, len(mean) // 5)
        axis.plot(mean[against], mean["mean"], **this.line, markevery=every, markeredgecolor=PAPER)


def _label_curves(axis: Axes, results: Results, environment: str, against: str) -> None:
    thresholds = results.runs.loc[results.runs["environment"] == environment, "threshold"].dropna()
    if len(thresholds):
        axis.axhline(float(thresholds.iloc[0]), color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axis.set(xlabel=unit(results, environment) if against == "step" else AXES[against], ylabel="")
    axis.xaxis.set_major_formatter(STEPS if against == "step" else RETURNS)
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


def unit(results: Results, environment: str) -> str:
    """What the budgets of an environment's runs count, in words."""
    runs = results.runs[results.runs["environment"] == environment]
    return " or ".join(UNITS[each] for each in sorted(set(runs["budget_unit"].fillna("step"))))


def _spread_out(axis: Axes, means: pd.DataFrame) -> None:
    """A logarithmic axis of seconds where contestants differ much in speed, or the fast ones would be a stroke."""
    ends = means.groupby("contestant")["seconds"].max()
    if ends.min() > 0 and ends.max() > LOG_FROM * ends.min():
        axis.set_xscale("log")
        axis.set(xlim=(ends.min() / LOG_FROM, ends.max() * 1.2), xlabel=f"{axis.get_xlabel()}, logarithmic")
        axis.xaxis.set_major_formatter(RETURNS)
        axis.xaxis.set_minor_formatter(NullFormatter())


class Line(NamedTuple):
    """A contestant in a plot that has a line for each."""

    facts: dict[Any, Any]  # its row of the tables of scores, sample efficiency and wall-clock
    style: Style  # how it is drawn
    done: pd.DataFrame  # its done runs, as rows of the table of runs
    failed: pd.DataFrame  # its failed runs
    curves: list[Curve]  # of the done runs


def every_run(results: Results, environment: str) -> Figure | None:
    """The final score and the steps to the threshold of every run, and where the seconds went."""
    lines = _lines(results, environment)
    if not any(line.curves for line in lines):
        return None
    panels = {"final score": _draw_final_scores, "where the time went": _draw_seconds}
    if any(line.facts["of"] > 0 for line in lines if pd.notna(line.facts["of"])):
        panels = {"final score": _draw_final_scores, "steps to the threshold": _draw_steps} | panels
    names = [figure_style.wrapped(line.facts["contestant"], 44) for line in lines]
    figure, axes = figure_style.facets(list(panels), len(panels), figure_style.height_of(names))
    for axis, draw in zip(axes, panels.values(), strict=True):
        figure_style.rows(axis, names, first=axis is axes[0])
        for height, text in enumerate(draw(axis, lines, pd.DataFrame([line.facts for line in lines]))):
            figure_style.note(axis, text, height)
        if draw is _draw_steps:
            axis.set_xlabel(unit(results, environment))
    handles: dict[str, Artist] = {
        "one run": mark("o", MUTED),
        "mean, or median of steps": mark("|", INK, 11),
        "95 % interval": Line2D([], [], color=INK),
        "not reached within the budget": mark(">", MUTED, hollow=True),
    }
    for part, color in PARTS.items():
        handles["set-up" if part == "setup" else part] = Patch(color=color, linewidth=0)
    figure_style.legend(figure, list(handles.values()), list(handles))
    return figure


def _lines(results: Results, environment: str) -> list[Line]:
    tables = [results.scores(), results.sample_efficiency(), results.wall_clock()]
    facts = pd.concat(tables, axis=1)  # each has a row per cell, in the same order
    facts = _here(results, facts.loc[:, ~facts.columns.duplicated()], environment)
    runs, styles = _here(results, results.runs, environment), contestants(results)
    curves = run_curves(results.points[results.points["environment"] == environment])
    return [
        Line(row, styles[row["contestant"]], done, here[here["status"].isin(FAILED)], [curves[k] for k in done["key"]])
        for row in facts.to_dict("records")
        for here in [runs[runs["contestant"] == row["contestant"]]]
        for done in [here[here["status"] == "done"]]
    ]


def _draw_final_scores(axis: Axes, lines: Sequence[Line], facts: pd.DataFrame) -> list[str]:
    """A mark per run, their mean and its interval; the axis spans the runs. The notes are runs done of all runs."""
    for height, line in enumerate(lines):
        dots(axis, [curve.scores[-1] for curve in line.curves], height, line.style)
    _draw_centres(axis, facts["mean"], facts["low"], facts["high"])
    scores = [curve.scores[-1] for line in lines for curve in line.curves]
    margin = 0.1 * np.ptp(scores) or 0.5
    axis.set(xlim=(min(scores) - margin, max(scores) + margin), xlabel="return of the final evaluation")
    axis.xaxis.set_major_formatter(RETURNS)
    counts = facts[["done", "failed", "other"]].to_numpy(int)
    return [f"{of[0]}/{of.sum()}" for of in counts]


def _draw_steps(axis: Axes, lines: Sequence[Line], facts: pd.DataFrame) -> list[str]:
    """A mark per run, hollow at the budget where it did not arrive; the notes are runs that did of those that count."""
    for height, line in enumerate(lines):
        times, reached = threshold_times(line.done, line.failed, line.curves)
        dots(axis, times[reached], height, line.style)
        dots(axis, times[~reached], height, line.style._replace(marker=">"), hollow=True)
    median, low, high = (facts[f"median_steps{end}"].astype(float) for end in ("", "_low", "_high"))
    last = max(line.facts["budget"] for line in lines if line.curves)
    _draw_centres(axis, median.where(np.isfinite(median)), low.where(np.isfinite(low)), high.clip(upper=1.04 * last))
    axis.set_xlim(0, 1.04 * last)
    axis.xaxis.set_major_formatter(STEPS)
    return [f"{row['reached']}/{row['of']}" if pd.notna(row["of"]) else "" for row, *_ in lines]


def _draw_seconds(axis: Axes, lines: Sequence[Line], facts: pd.DataFrame) -> list[str]:
    """The parts of a run's time end to end; the notes are steps per second of training."""
    starts = np.zeros(len(lines))
    for part, color in PARTS.items():
        widths = np.nan_to_num(np.array([line.facts[f"{part}_seconds"] for line in lines], float))
        axis.barh(range(len(lines)), widths, left=starts, height=0.62, color=color, linewidth=0)
        starts += widths
    axis.hlines(range(len(lines)), facts["run_seconds_low"], facts["run_seconds_high"], color=INK, linewidth=1.4)
    axis.set_xlabel("seconds per run")
    return [SPEED(line.facts["steps_per_second"]) if line.curves else "" for line in lines]


def _draw_centres(axis: Axes, values: pd.Series, low: pd.Series, high: pd.Series) -> None:
    """Upright strokes, one per line, and their intervals."""
    heights = range(len(values))
    axis.hlines(heights, low, high, color=INK, linewidth=1.4)
    axis.plot(values, heights, "|", color=INK, markersize=11, markeredgewidth=1.8, zorder=4)
