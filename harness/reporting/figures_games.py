"""The figure about games: how strong algorithms and their opponents are."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.results import Results
from harness.reporting.contestants import contestants, named
from harness.reporting.figure_style import MUTED, PAPER, RETURNS, Style, facets, height_of, rows, wrapped

OPPONENT = Style(MUTED, "s", (1, 0))
MARGIN = 0.08  # of the width


def ratings(results: Results) -> Figure | None:
    """The ratings of each game, the strongest player above."""
    table = named(results, results.ratings()).dropna(subset=["rating"])
    if table.empty:
        return None
    styles = contestants(results)
    groups = table.groupby(["game", "anchor"], sort=False)
    games = {(str(game), str(anchor)): of for (game, anchor), of in groups}
    names = {game: [wrapped(name, 34) for name in of["player"]] for game, of in games.items()}
    titles = [game for game, _ in games]
    figure, axes = facets(titles, min(len(games), 2), max(map(height_of, names.values())) + 0.2)
    for axis, (game, of) in zip(axes, games.items(), strict=True):
        rows(axis, names[game], first=True)
        axis.set_xlabel(f"Elo above {game[1]}")
        axis.xaxis.set_major_formatter(RETURNS)
        _draw(axis, of, styles)
    return figure


def _draw(axis: Axes, table: pd.DataFrame, styles: dict[str, Style]) -> None:
    numbers = table[["rating", "low", "high"]].to_numpy(float)
    finite = numbers[np.isfinite(numbers)]
    margin = MARGIN * (np.ptp(finite) or 100)
    least, most = finite.min() - margin, finite.max() + margin
    axis.set_xlim(least, most)
    for height, row in enumerate(table.to_dict("records")):
        this = styles[row["contestant"]] if row["kind"] == "algorithm" else OPPONENT
        line: dict[str, Any] = {"color": this.color, "linewidth": 1.6, "clip_on": False}
        inner = least + margin / 2, most - margin / 2  # where arrows have room
        axis.plot(np.clip([row["low"], row["high"]], *inner), [height] * 2, **line)
        for end, edge, arrow in ((row["low"], inner[0], "<"), (row["high"], inner[1], ">")):
            if np.isinf(end):
                axis.plot(edge, height, arrow, color=this.color, markersize=6, clip_on=False)
        axis.plot(row["rating"], height, this.marker, color=this.color, markersize=6, markeredgecolor=PAPER)
