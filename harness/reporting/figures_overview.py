"""The figures about all environments together. Each takes the results, and returns a figure, or None.

The first shows a few environments side by side. The others show normalised scores over the environments that every
contestant has run: 0 is the random policy, 1 the reference. Statistics that pool environments are not drawn of a single
one.
"""

from typing import Any, Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from harness.analysis.results import Results
from harness.reporting.contestants import contestants, fill_bands, legend_with_runs, named
from harness.reporting.figure_style import MUTED, PAPER, RETURNS, SERIES, Style, facets, height_of, note, rows, wrapped
from harness.reporting.figures_environment import curves

STATISTICS = {"iqm": "IQM", "mean": "mean", "median": "median", "optimality_gap": "optimality gap\n(less is better)"}
SIDE_BY_SIDE = 4  # environments at most
FEWEST_TASKS = 2  # that are pooled
LOG_FROM = 8  # times between the slowest and the fastest contestant
WRITTEN_INTERVALS = 8  # contestants, up to which the matrix has room for them


def side_by_side(results: Results) -> Figure | None:
    """Learning curves against environment steps, a plot per environment, where these are few."""
    environments = [str(name) for name in results.curves("step")["environment"].unique()]
    if not 0 < len(environments) <= SIDE_BY_SIDE:
        return None
    titles = [wrapped(name, 96 // len(environments)) for name in environments]
    return curves(results, titles, [(name, "step") for name in environments], height=2.5)


def aggregates(results: Results) -> Figure | None:
    """IQM, mean, median and optimality gap of each contestant, with intervals."""
    table = named(results, results.aggregates())
    if table.empty or table["n_tasks"].iloc[0] < FEWEST_TASKS:
        return None
    styles = contestants(results)
    order = list(dict.fromkeys(table["contestant"]))
    names = [wrapped(name, 34) for name in order]
    figure, axes = facets(list(STATISTICS.values()), len(STATISTICS), height_of(names) + 0.2)
    for axis, statistic in zip(axes, STATISTICS, strict=True):
        rows(axis, names, first=axis is axes[0])
        axis.set_xlabel("normalised score")
        axis.locator_params(axis="x", nbins=4)
        for height, row in enumerate(table[table["statistic"] == statistic].to_dict("records")):
            this = styles[row["contestant"]]
            band: dict[str, Any] = {"linewidth": 6, "alpha": 0.35, "solid_capstyle": "butt"}
            axis.plot([row["low"], row["high"]], [height] * 2, color=this.color, **band)
            axis.plot(row["value"], height, this.marker, color=this.color, markersize=6, markeredgecolor=PAPER)
            if axis is axes[-1]:
                note(axis, f"n = {row['n_runs']}", height)
    return figure


def profiles(results: Results) -> Figure | None:
    """Performance profiles of runs, and of environments by the mean of their runs."""
    table = named(results, results.profiles())
    if table.empty or table["n_tasks"].iloc[0] < FEWEST_TASKS:
        return None
    styles = contestants(results)
    figure, axes = facets(["runs", "environments, by the mean of their runs"], 2, 3.0)
    for axis, of in zip(axes, ("runs", "means"), strict=True):
        _draw_lines(axis, table[table["of"] == of], "threshold", "share", styles, step="post")
        changing = table[table["share"].between(0.001, 0.999)]["threshold"]
        if len(changing):
            axis.set_xlim(changing.min() - 0.04, changing.max() + 0.04)
        axis.set(xlabel="normalised score τ", ylabel="", ylim=(-0.03, 1.03))
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0].set_ylabel("share that scores more than τ")
    legend_with_runs(figure, styles, _counts(table), bands=1)
    return figure


def overall_curves(results: Results) -> Figure | None:
    """The IQM of normalised scores while the budget is spent."""
    table = named(results, results.overall_curves())
    if table.empty or table["n_tasks"].iloc[0] < FEWEST_TASKS:
        return None
    styles = contestants(results)
    figure, (axis,) = facets([""], 1, 3.4)
    _draw_lines(axis, table, "share", "iqm", styles)
    axis.set(xlabel="share of each environment's budget", ylabel="IQM of normalised scores")
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.margins(x=0.01)
    legend_with_runs(figure, styles, _counts(table))
    return figure


def improvement(results: Results) -> Figure | None:
    """The probability that a run of a row scores more than a run of a column."""
    table = named(results, results.improvement())
    if table.empty:
        return None
    order = sorted(set(table["contestant"]))
    names = [wrapped(f"{number}  {name}", 44) for number, name in enumerate(order, 1)]
    height = max(0.55 * len(names), height_of(names) - 0.75) + 0.9
    figure, (axis,) = facets([""], 1, height)
    for row in table.to_dict("records"):
        place = order.index(row["than_contestant"]), order.index(row["contestant"])
        _draw_probability(axis, row, *place, intervals=len(order) <= WRITTEN_INTERVALS)
    rows(axis, names, first=True)
    runs, tasks = (_range(counts) for counts in (table["n_runs"] / table["n_tasks"], table["n_tasks"]))
    on = f"on an environment, {tasks} environment{'s' * (tasks != '1')}"
    axis.set_xlabel(f"than a run of\n(n = {runs} runs of a side {on})")
    axis.set_xticks(range(len(names)), [str(number) for number in range(1, len(names) + 1)])
    axis.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5))
    axis.tick_params(axis="x", length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return figure


def _range(counts: pd.Series) -> str:
    few, many = counts.min(), counts.max()
    return f"{few:.3g}" if few == many else f"{few:.3g} to {many:.3g}"


def _draw_probability(axis: Axes, row: dict[Any, Any], x: int, y: int, intervals: bool) -> None:
    """A cell: blue where the row wins, orange where the column does, bold where that is sure."""
    p, low, high = row["probability"], row["low"], row["high"]
    color = SERIES[0] if p >= 0.5 else SERIES[1]
    axis.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=color, alpha=1.2 * abs(p - 0.5), linewidth=0))
    # The interval of a side that won every time has no width, however few its runs are.
    many = low < high or min(row["n_runs"], row["than_n_runs"]) > 5
    weight = "bold" if many and (low > 0.5 or high < 0.5) else "normal"
    text = f"{p:.2f}"
    axis.annotate(text, (x, y), ha="center", va="bottom" if intervals else "center", fontsize=9, weight=weight)
    if intervals:
        told = f"{low:.2f} to {high:.2f}" if np.isfinite(low) else "n < 3"
        axis.annotate(told, (x, y), xytext=(0, -2), textcoords="offset points", ha="center", va="top", fontsize=7.5)


def trade_off(results: Results) -> Figure | None:
    """Scores against the steps, and the seconds, that they cost."""
    table = named(results, results.trade_off())
    if table.empty:
        return None
    styles = contestants(results)
    costs = {"steps": "share of the budget until the threshold", "seconds": "training seconds per run"}
    if not (shown := [cost for cost in costs if table[cost].notna().any()]):
        return None
    figure, axes = facets([""] * len(shown), len(shown), 3.2)
    for axis, cost in zip(axes, shown, strict=True):
        _draw_frontier(axis, table, cost)
        for row in table.to_dict("records"):
            _draw_point(axis, row, cost, styles[row["contestant"]])
        several = ", mean over environments" if table["n_tasks"].iloc[0] > 1 else ""
        axis.set_xlabel(f"{costs[cost]}{several}")
    axes[0].set_ylabel("IQM of normalised final scores")
    if "steps" in shown:
        axes[0].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if "seconds" in shown:
        _label_seconds(axes[-1], table)
    legend_with_runs(figure, styles, _counts(table), bands=0)
    return figure


def _draw_point(axis: Axes, row: dict[Any, Any], cost: str, style: Style) -> None:
    x, y = row[cost], row["score"]
    axis.plot([row[f"{cost}_low"], row[f"{cost}_high"]], [y, y], color=style.color, linewidth=1.2, alpha=0.7)
    axis.plot([x, x], [row["score_low"], row["score_high"]], color=style.color, linewidth=1.2, alpha=0.7)
    axis.plot(x, y, style.marker, color=style.color, markersize=7, markeredgecolor=PAPER, zorder=4)


def _draw_frontier(axis: Axes, table: pd.DataFrame, cost: str) -> None:
    """A line through those that nobody beats in both, cheapest first."""
    ordered = table.dropna(subset=[cost]).sort_values([cost, "score"], ascending=[True, False])
    best = ordered[ordered["score"] > ordered["score"].cummax().shift(fill_value=-np.inf)]
    axis.plot(
        best[cost], best["score"], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), drawstyle="steps-post", zorder=1
    )


def _label_seconds(axis: Axes, table: pd.DataFrame) -> None:
    label = axis.get_xlabel()
    if table["seconds"].max() > LOG_FROM * table["seconds"].min() > 0:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_minor_formatter(NullFormatter())
        label += ", logarithmic"
    axis.xaxis.set_major_formatter(RETURNS)
    if table["machines"].max() > 1:
        label += "\n(of several machines: not comparable)"
    axis.set_xlabel(label)


def _draw_lines(
    axis: Axes, table: pd.DataFrame, x: str, y: str, styles: dict[str, Style], step: Literal["post"] | None = None
) -> None:
    """A line with a band per contestant, with ``step`` one that jumps after each point."""
    here = {name: styles[name] for name in dict.fromkeys(table["contestant"])}
    for name, line in table.groupby("contestant"):
        fill_bands(axis, line, x, styles[str(name)].color, step)
    sns.lineplot(
        table,
        x=x,
        y=y,
        hue="contestant",
        style="contestant",
        palette={name: this.color for name, this in here.items()},
        markers={name: this.marker for name, this in here.items()},
        dashes={name: this.dash for name, this in here.items()},
        estimator=None,
        linewidth=1.6,
        markersize=5,
        markevery=10,
        markeredgecolor=PAPER,
        drawstyle="default" if step is None else f"steps-{step}",
        legend=False,
        ax=axis,
    )


def _counts(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby("contestant", sort=False)[["fewest_runs", "most_runs"]].first()
