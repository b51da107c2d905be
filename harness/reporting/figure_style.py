"""How figures look: colours that survive colour blindness, a light and a dark page, print, and any name.

Figures are drawn in the light colours on nothing. In the report each of these colours becomes a CSS variable, so
the page chooses; a figure of a plugin that is drawn in the same colours follows it.
"""

import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import product
from typing import Any, NamedTuple, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter
from numpy.typing import ArrayLike

INK, MUTED, GRID, PAPER = "#1f2328", "#59636e", "#d8dee4", "#fefefe"
SERIES = ("#0072b2", "#d55e00", "#008f6b", "#b0478f", "#9a7200", "#3d9bd6", "#7c4a2d", "#6e7781")

# CSS variable, colour on a light page, colour on a dark one.
THEME = (
    ("ink", INK, "#e6edf3"),
    ("muted", MUTED, "#9da7b3"),
    ("grid", GRID, "#343b43"),
    ("paper", PAPER, "#0f141a"),
    *zip(
        (f"series-{index}" for index in range(len(SERIES))),
        SERIES,
        ("#4aa8e8", "#ff8f45", "#35c99f", "#e793ce", "#d9b23c", "#9bd0f5", "#cf9c7b", "#9aa5b1"),
        strict=True,
    ),
)

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES = ((1, 0), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2))  # ink and gaps, in line widths

WIDTH = 9.6  # inches
STEPS = EngFormatter(sep="")  # 20k
SPEED = EngFormatter(unit="/s", places=1)  # 2.4 k/s
RETURNS = FuncFormatter(lambda value, _: f"{value:,.5g}".replace("-", "−"))

_RC: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.solid_capstyle": "round",
    "savefig.transparent": True,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "harness",
    "text.color": INK,
    "text.parse_math": False,  # a name may hold "$"
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}


class Style(NamedTuple):
    """How one contestant is drawn in every figure."""

    color: str
    marker: str
    dash: tuple[float, ...]

    @property
    def line(self) -> dict[str, Any]:
        """Matplotlib's settings of its line."""
        dash = (0, self.dash)
        return {"color": self.color, "linestyle": dash, "marker": self.marker, "linewidth": 1.6, "markersize": 5}


def style() -> AbstractContextManager[None]:
    """Matplotlib's settings while a figure is made and written; the caller's are restored."""
    return matplotlib.rc_context(cast(Any, _RC))


def styles_of(contestants: Sequence[str]) -> dict[str, Style]:
    """A style for each contestant: colours first, then dashes, never the same twice up to 32 of them."""
    choices = list(product(DASHES, zip(SERIES, MARKERS, strict=True)))
    return {
        name: Style(color, marker, dash)
        for index, name in enumerate(contestants)
        for dash, (color, marker) in [choices[index % len(choices)]]
    }


def facets(names: Sequence[str], columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with one titled plot per name, ``height`` inches each.

    The figure belongs to nobody: it is not registered with pyplot, so it needs no closing.
    """
    rows = -(-len(names) // columns)
    spacing = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.02, hspace=0.04)
    figure = Figure(figsize=(WIDTH, rows * height), layout=spacing)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for unused in axes[len(names) :]:
        unused.remove()
    for name, axis in zip(names, axes, strict=False):
        axis.set_title(name)
    return figure, axes[: len(names)]


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend above the plots, as many columns as fit; the figure grows by its height."""
    names = [wrapped(label, 44) for label in labels]
    longest = max(len(line) for name in names for line in name.split("\n"))
    columns = max(1, min(len(names), int(WIDTH / (0.075 * longest + 0.65))))
    rows = sum(name.count("\n") + 1 for name in names) / columns
    figure.set_figheight(figure.get_figheight() + 0.2 * (rows + 1))
    figure.legend(handles, names, loc="outside upper left", ncols=columns, handlelength=3.0)


def rows(axis: Axes, names: Sequence[str], first: bool) -> None:
    """A line per name, from the top; only the ``first`` plot beside others writes the names."""
    axis.set_ylim(len(names) - 0.45, -0.55)
    axis.set_yticks(range(len(names)), names)
    axis.tick_params(axis="y", length=0, labelleft=first)
    axis.grid(visible=False, axis="y")
    axis.locator_params(axis="x", nbins=5)


def note(axis: Axes, text: str, height: int) -> None:
    """A few words at the right end of a line."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "xytext": (6, 0), "textcoords": "offset points"}
    axis.annotate(text, (1, height), **place, va="center", color=MUTED, fontsize=8)


def height_of(names: Sequence[str]) -> float:
    """Inches of a plot with a line per name, which may itself have several lines; neighbours do not touch."""
    counts = [name.count("\n") + 1 for name in names]
    pairs = zip([1, *counts], [*counts, 1], strict=True)
    return 0.75 + len(names) * (0.1 + 0.14 * max(sum(pair) / 2 for pair in pairs))


def dots(axis: Axes, values: ArrayLike, height: int, style: Style, hollow: bool = False) -> None:
    """A dot per run, side by side so that equal ones are seen."""
    values = np.asarray(values, float)
    if not len(values):
        return
    offsets = np.linspace(-0.24, 0.24, len(values)) if len(values) > 1 else np.zeros(len(values))
    dot: dict[str, Any] = {"linestyle": "", "marker": style.marker, "markersize": 3.6, "markeredgewidth": 0.8}
    dot |= {"markeredgecolor": style.color, "markerfacecolor": "none" if hollow else style.color}
    (drawn,) = axis.plot(values, height + offsets, **dot, alpha=0.8, clip_on=False, zorder=3)
    drawn.set_in_layout(False)  # or dots on the edge would make the plot narrower


def mark(marker: str, color: str, size: float = 5, hollow: bool = False) -> Line2D:
    """A mark for a legend."""
    face = "none" if hollow else color
    return Line2D(
        [], [], linestyle="", marker=marker, color=color, markersize=size, markerfacecolor=face, markeredgewidth=1.2
    )


def wrapped(name: str, width: int) -> str:
    """The name on several lines, none longer than ``width`` characters; nothing is left out."""
    return "\n".join(textwrap.wrap(name, width, break_on_hyphens=False)) or name
