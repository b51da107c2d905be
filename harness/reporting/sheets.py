"""The tables of the report as text: which columns, how numbers are written, what stands where there is none."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from harness.analysis.curves import CELL
from harness.analysis.overall import CONTESTANT, COUNTS
from harness.listing import reason
from harness.statistics.groups import FEWEST_RUNS as FEWEST_OF_GROUP
from harness.statistics.intervals import FEWEST_RUNS

if TYPE_CHECKING:
    from harness.analysis.results import Results

NONE = "–"


class Column(NamedTuple):
    """A column of a sheet.

    Attributes:
        heading: with the unit.
        text: makes the cell of a row.
        number: whether cells are aligned as numbers.
        prose: whether cells hold sentences, which need room and lines.
    """

    heading: str
    text: Callable[[Any], str]
    number: bool = True
    prose: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table ready to be written in any format.

    Attributes:
        name: of its files.
        title: above it.
        note: what its columns mean.
        columns: their headings and alignment.
        rows: the cells, as text.
        data: the same with full precision, for CSV.
    """

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    data: pd.DataFrame

    @property
    def by_environment(self) -> bool:
        """Whether its first column is the environment."""
        return self.columns[0].heading == CELL[0]

    def of(self, environment: str) -> "Sheet":
        """Its rows about one environment, without the column that says so."""
        rows = tuple(row[1:] for row in self.rows if row[0] == environment)
        return replace(self, columns=self.columns[1:], rows=rows)


def scores(results: "Results") -> Sheet:
    """Final scores."""
    data = results.scores()
    columns = [
        Column("mean", lambda row: number(row["mean"])),
        Column("95 % interval", lambda row: interval(row, "low", "high")),
        Column("std", lambda row: number(row["std"])),
        Column("normalised", lambda row: _with_interval(row, "normalised", form=".3f")),
        Column("best, optimistic", lambda row: _with_interval(row, "best")),
    ]
    note = (
        "Mean over runs of the return of the final evaluation, the policy at the end of the budget. Normalised: 0 is "
        "the random policy, 1 the reference, both frozen in the environment's description. Best is the mean of each "
        "run's best evaluation, so it is too high by construction."
    )
    return _sheet("scores", "Final scores", note, data, columns)


def sample_efficiency(results: "Results") -> Sheet:
    """Area under the curve and steps to the threshold."""
    data = results.sample_efficiency()
    columns = [
        Column("area", lambda row: number(row["area"])),
        Column("95 % interval", lambda row: interval(row, "area_low", "area_high")),
        Column("threshold", lambda row: number(row["threshold"], ".6g")),
        Column(
            "reached", lambda row: f"{count(row['reached'])}/{count(row['of'])}" if _has(row["of"]) else NONE
        ),
        Column("median steps", _median_steps),
        Column("restricted mean steps", _restricted_steps),
        Column("budget", lambda row: steps(row["budget"])),
    ]
    note = (
        "Area is the mean height of the evaluation curve, in units of return. The threshold counts as reached at the "
        "first of two consecutive evaluations at or above it; runs that do not get there, failed ones included, are "
        "censored at the budget. The median is Kaplan and Meier's; its interval needs 6 runs. The restricted mean "
        "counts such runs as the whole budget, so it is a lower bound of the mean steps to the threshold. In brackets "
        "95 % intervals; none where no run gets there."
    )
    return _sheet("sample_efficiency", "Sample efficiency", note, data, columns)


def wall_clock(results: "Results") -> Sheet:
    """Seconds, speed and memory."""
    data = results.wall_clock()
    parts = {name: name for name in ("environment", "learning", "evaluation")} | {
        "setup": "set-up",
        "cpu": "CPU",
    }
    columns = [
        Column("steps/s", lambda row: number(row["steps_per_second"], "#.3g")),
        Column("train s", _train_seconds),
        *(
            Column(f"{heading} s", lambda row, part=part: number(row[f"{part}_seconds"], "#.3g"))  # type: ignore[misc]
            for part, heading in parts.items()
        ),
        Column("memory MiB", lambda row: number(row["peak_memory_mib"], "#.3g")),
        Column("runs per trial", lambda row: count(row["runs_in_trial"])),
        Column("jobs", lambda row: count(row["jobs"])),
        Column("threads", lambda row: count(row["threads"])),
    ]
    if data["peak_gpu_memory_mib"].notna().any():
        columns.insert(-3, Column("GPU MiB", lambda row: number(row["peak_gpu_memory_mib"], "#.3g")))
    note = (
        "Seconds are means per run; a trial that trains several runs in lockstep is shared out equally among them, and "
        "is one measurement. In brackets 95 % intervals, where runs had trials of their own. "
        "Training is environment and learning; evaluation and set-up are not part of it, nor of steps per second. "
        "Memory is the largest of a trial's process. Jobs ran beside each other on the same machine."
    )
    return _sheet("wall_clock", "Wall-clock", note, data, columns)


def reliability(results: "Results") -> Sheet:
    """Dispersion and risk."""
    data = results.reliability()
    columns = [
        Column("spread of runs", lambda row: _with_interval(row, "across_runs", FEWEST_OF_GROUP)),
        Column("unsteadiness", lambda row: _with_interval(row, "across_time")),
        Column("worst runs", lambda row: number(row["worst_runs"])),
        Column("drawdown", lambda row: _with_interval(row, "drawdown")),
    ]
    note = (
        "In units of return (Chan et al., 2020), in brackets 95 % intervals. Spread of runs: interquartile range of "
        "the final scores. "
        "Unsteadiness: interquartile range of five successive changes from one evaluation to the next, mean over "
        "training and runs. Worst runs: mean final score of the worst quarter of the runs (of the worst 5 % from 20 "
        "runs on); an interval from those runs alone would be far too narrow, so there is none. Drawdown: mean over "
        "runs of the deepest falls below the best score before."
    )
    return _sheet("reliability", "Reliability", note, data, columns)


def pairwise(results: "Results") -> Sheet:
    """Differences of final scores with adjusted p-values."""
    data = results.pairwise()
    several = results.runs["device"].nunique() > 1
    columns = (
        Column("environment", lambda row: str(row["environment"]), number=False),
        Column("algorithm", lambda row: _named(row, "", several), number=False),
        Column("than", lambda row: _named(row, "than_", several), number=False),
        Column("n", lambda row: f"{row['n']}, {row['than_n']}"),
        Column("missing", lambda row: count(row["n_missing"])),
        Column("difference", lambda row: number(row["difference"])),
        Column("95 % interval", _pair_interval),
        Column("test", lambda row: str(row["test"]), number=False),
        Column("p", lambda row: p_value(row["p"])),
        Column("p, Holm", lambda row: p_value(row["p_holm"])),
        Column("p, Benjamini-Hochberg", lambda row: p_value(row["p_bh"])),
    )
    note = (
        "Final score of the first less that of the second; n: runs of either side, failed runs included with the score "
        "of the random policy, or of their algorithm's worst run if that is less. Two-sided permutation tests: of the "
        "signs of differences where both sides have the same six seeds or more and all are done, else of the labels. "
        "Adjusted for all pairs of the environment: Holm's bounds the chance of any false alarm, Benjamini and "
        "Hochberg's the share of false alarms. Below 3 runs there is no test."
    )
    return Sheet("pairwise", "Pairs", note, columns, _cells(data, columns), data)


def aggregates(results: "Results") -> Sheet:
    """Statistics over environments, a row per contestant."""
    data = results.aggregates()
    several = results.runs["device"].nunique() > 1
    wide = data.pivot(index=[*CONTESTANT, *COUNTS], columns="statistic", values=["value", "low", "high"])
    wide.columns = wide.columns.map(lambda name: f"{name[1]}_{name[0]}")
    headings = {"iqm": "IQM", "mean": "mean", "median": "median", "optimality_gap": "optimality gap"}
    columns = (
        Column("algorithm", lambda row: _named(row, "", several), number=False),
        Column("n", lambda row: count(row["n_runs"])),
        Column("environments", lambda row: count(row["n_tasks"])),
        Column("missing", lambda row: count(row["n_missing"])),
        *(
            Column(heading, lambda row, name=name: _overall(row, name))  # type: ignore[misc]
            for name, heading in headings.items()
        ),
    )
    note = (
        "Normalised final scores, in brackets 95 % intervals: 0 is the random policy, 1 the reference. IQM: mean of "
        "the runs without the lowest "
        "and the highest quarter; median: over environments, of the mean over runs; optimality gap: how far runs fall "
        "short of 1, less is better. n: runs that count, on all environments; failed ones count as 0, or as "
        "their algorithm's worst run there if that is less. Missing: runs that are not done."
    )
    return Sheet("aggregates", "Over environments", note, columns, _cells(wide.reset_index(), columns), data)


def failures(results: "Results") -> Sheet:
    """Runs that are not done, those with one reason in one row."""
    data = results.failures()
    grouped = data.assign(reason=data["error"].map(_reason)).groupby(
        [*CELL, "status", "reason"], as_index=False
    )
    table = grouped.agg(seeds=("seed", _seeds), runs=("seed", "size"))
    columns = (
        *_cell_columns(data),
        Column("status", lambda row: str(row["status"]), number=False),
        Column("n", lambda row: str(row["runs"])),
        Column("seeds", lambda row: str(row["seeds"]), number=False),
        Column("reason", lambda row: str(row["reason"]), number=False, prose=True),
    )
    note = "Runs that did not finish. None of them is part of a mean; all of them are counted beside it."
    return Sheet("failures", "Runs that did not finish", note, columns, _cells(table, columns), data)


def overview(results: "Results") -> Sheet:
    """The most important columns of the others, narrow enough for a terminal."""
    scored, efficiency, clock = results.scores(), results.sample_efficiency(), results.wall_clock()
    keep = [*CELL, "reached", "of"]
    data = scored.merge(efficiency[keep], on=CELL).merge(clock[[*CELL, "steps_per_second"]], on=CELL)
    columns = [
        Column("mean", lambda row: number(row["mean"])),
        Column("95 % interval", lambda row: interval(row, "low", "high")),
        Column("normalised", lambda row: number(row["normalised"], ".3f")),
        Column(
            "solved", lambda row: f"{count(row['reached'])}/{count(row['of'])}" if _has(row["of"]) else NONE
        ),
        Column("steps/s", lambda row: number(row["steps_per_second"], "#.3g")),
    ]
    return _sheet("overview", "Overview", "", data, columns)


def _sheet(name: str, title: str, note: str, data: pd.DataFrame, columns: Sequence[Column]) -> Sheet:
    """A sheet whose rows begin with what they are about and how many runs stand behind them."""
    counts = [Column("n", lambda row: str(row["done"])), Column("failed", lambda row: str(row["failed"]))]
    if data["other"].any():
        counts.append(Column("not run", lambda row: str(row["other"])))
    every = (*_cell_columns(data), *counts, *columns)
    return Sheet(name, title, f"n: runs that are done. {note}".strip(), every, _cells(data, every), data)


def _cell_columns(data: pd.DataFrame) -> list[Column]:
    """Environment, algorithm, and the device where there are several."""
    names = CELL if data["device"].nunique() > 1 else CELL[:2]
    return [Column(name, lambda row, name=name: str(row[name]), number=False) for name in names]  # type: ignore[misc]


def _cells(table: pd.DataFrame, columns: Sequence[Column]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(column.text(row) for column in columns) for row in table.to_dict("records"))


def _named(row: Any, prefix: str, several: bool) -> str:
    """An algorithm, on its device where there are several."""
    device = f" on {row[f'{prefix}device']}" if several else ""
    return f"{row[f'{prefix}algorithm']}{device}"


def _pair_interval(row: Any) -> str:
    if min(row["n"], row["than_n"]) < FEWEST_RUNS:
        return f"n < {FEWEST_RUNS}"
    return f"{number(row['low'])} to {number(row['high'])}" if _has(row["low"]) else NONE


def _overall(row: Any, name: str) -> str:
    value, low, high = (number(row[f"{name}_{part}"], ".3f") for part in ("value", "low", "high"))
    bounds = f"n < {FEWEST_RUNS}" if row["fewest_runs"] < FEWEST_RUNS else f"{low} to {high}"
    return f"{value} ({bounds})"


def _with_interval(row: Any, name: str, fewest: int = FEWEST_RUNS, form: str = "#.4g") -> str:
    """A number of a cell of runs, with its interval or why there is none."""
    bounds = interval(row, f"{name}_low", f"{name}_high", fewest, form)
    return f"{number(row[name], form)} ({bounds})" if _has(row[name]) else NONE


def _median_steps(row: Any) -> str:
    bounds = (
        f" ({steps(row['median_low'])} to {steps(row['median_high'])})" if _has(row["median_low"]) else ""
    )
    return f"{steps(row['median_steps'])}{bounds}"


def _restricted_steps(row: Any) -> str:
    low, high = row["restricted_low"], row["restricted_high"]
    return f"{steps(row['restricted_steps'])}{f' ({steps(low)} to {steps(high)})' if _has(low) else ''}"


def _train_seconds(row: Any) -> str:
    value, low, high = (number(row[f"train_{part}"], "#.3g") for part in ("seconds", "low", "high"))
    return f"{value} ({low} to {high})" if _has(row["train_low"]) else value


def p_value(p: Any) -> str:
    """A p-value with three decimals."""
    if not _has(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _has(value: Any) -> bool:
    return not pd.isna(value)


def number(value: Any, form: str = "#.4g") -> str:
    """A number with a few significant digits, whole from 1,000 on."""
    if not _has(value):
        return NONE
    text = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:{form}}".rstrip(".")
    return text.lstrip("-") if not any(digit in "123456789" for digit in text) else text


def interval(row: Any, low: str, high: str, fewest: int = FEWEST_RUNS, form: str = "#.4g") -> str:
    """Both ends of an interval, or why there is none."""
    if row["done"] == 0:
        return NONE
    if row["done"] < fewest:
        return f"n < {fewest}"
    return f"{number(row[low], form)} to {number(row[high], form)}"


def steps(value: Any) -> str:
    """A number of steps; infinity is a threshold that is not reached."""
    if not _has(value):
        return NONE
    return f"{value:,.0f}" if math.isfinite(value) else "not reached"


def count(value: Any) -> str:
    """A whole number."""
    return str(int(value)) if _has(value) else NONE


def _reason(error: str) -> str:
    """Why a run did not finish, not too long for a cell."""
    return reason(error)[:300] or "no reason was recorded"


def _seeds(seeds: pd.Series) -> str:
    """Seeds in ascending order, those in a row as a range."""
    parts: list[list[int]] = []
    for seed in sorted(int(seed) for seed in seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1][1:] = [seed]
        else:
            parts.append([seed])
    return ", ".join("–".join(map(str, part)) for part in parts)
