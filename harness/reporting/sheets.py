"""The tables of the report as text: which columns, how numbers are written, what stands where there is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from harness.analysis.curves import CELL
from harness.analysis.overall import COUNTS, LABEL
from harness.analysis.results import Results
from harness.reporting import cells
from harness.reporting.cells import NONE, Writer, count, number, share
from harness.statistics.groups import FEWEST_OF_QUARTER
from harness.statistics.groups import FEWEST_RUNS as FEWEST_OF_GROUP
from harness.statistics.intervals import FEWEST_RUNS
from harness.statistics.survival import FEWEST_OF_MEDIAN
from harness.text import reason

LONGEST_REASON = 300  # characters


class Column(NamedTuple):
    """A column of a sheet."""

    heading: str  # with the unit
    text: Callable[[Any], str]  # makes the cell of a row
    number: bool = True  # whether cells are aligned as numbers
    prose: bool = False  # whether cells hold sentences, which need room and lines


def words(heading: str, name: str = "", prose: bool = False) -> Column:
    """A column of a table as it is; its heading names it unless its name is given."""
    return Column(heading, lambda row: str(row[name or heading]), number=False, prose=prose)


def numbers(heading: str, name: str = "", write: Writer = number) -> Column:
    """A column of numbers, likewise."""
    return Column(heading, lambda row: write(row[name or heading]))


def _estimates(heading: str, name: str, write: Writer = number, fewest: int = FEWEST_RUNS, of: str = "done") -> Column:
    """A column of numbers with their intervals, as `cells.with_interval` writes them."""
    return Column(heading, lambda row: cells.with_interval(row, name, write, fewest, of))


def _interval(prefix: str = "") -> Column:
    """The interval of a mean score, or why it has none."""
    return Column("95 % interval", lambda row: row["no_interval"] or cells.interval(row, prefix))


@dataclass(frozen=True)
class Sheet:
    """A table ready to be written in any format."""

    name: str  # of its files
    title: str  # above it
    note: str  # what its columns mean
    columns: tuple[Column, ...]  # their headings and alignment
    rows: tuple[tuple[str, ...], ...]  # the cells, as text
    data: pd.DataFrame  # the same with full precision, for CSV

    @property
    def by_environment(self) -> bool:
        """Whether its first column is the environment."""
        return self.columns[0].heading == CELL[0]

    def of(self, environment: str) -> "Sheet":
        """Its rows about one environment, without the column that says so."""
        rows = tuple(row[1:] for row in self.rows if row[0] == environment)
        return replace(self, columns=self.columns[1:], rows=rows)


def scores(results: Results) -> Sheet:
    """Final scores."""
    data = results.scores()
    columns = [
        numbers("mean"),
        _interval(),
        _estimates("std", "std", fewest=FEWEST_OF_GROUP),
        _estimates("normalised", "normalised", share),
        _estimates("best, optimistic", "best"),
    ]
    if (data["simulated_per_step"] > 0).any():
        columns.append(numbers("simulated per step", "simulated_per_step"))
    note = (
        "Mean over runs of the return of the final evaluation, the policy at the end of the budget, and standard "
        "deviation over runs; in brackets 95 % intervals. That of a mean spans what runs can be, not what few were: "
        "from the score of a failed run (the random policy's) to the highest return (else the reference or the best "
        "run); so ten good runs leave room for three in ten that fail. Three runs have one only where the highest "
        "return is known. Normalised: 0 is the random policy, 1 the reference, both "
        "frozen in the environment's description. Best is the mean of each run's best evaluation, so it is too high "
        "by construction." + " Planners and models simulate steps, which the budget does not hold." * (len(columns) > 5)
    )
    return _sheet("scores", "Final scores", note, data, columns)


def sample_efficiency(results: Results) -> Sheet:
    """Area under the curve, steps and seconds to the threshold."""
    data = results.sample_efficiency()
    columns = [
        numbers("area"),
        _interval("area_"),
        Column("threshold", lambda row: number(row["threshold"], ".6g")),
        Column("reached", _reached),
        _estimates("median steps", "median_steps", cells.steps, FEWEST_OF_MEDIAN, "of"),
        _estimates("restricted mean steps", "restricted_steps", cells.steps, of="of"),
        _estimates("median s", "median_seconds", cells.seconds, FEWEST_OF_MEDIAN, "of"),
        numbers("budget", write=cells.steps),
    ]
    note = (
        "Area is the mean height of the evaluation curve, in units of return, with an interval like that of final "
        "scores. The threshold counts as reached at "
        "the first of two consecutive evaluations at or above it; runs that do not get there, failed ones included, "
        "are censored at the budget. Steps are known to the spacing of evaluations. The medians are Kaplan and "
        "Meier's. The restricted mean counts runs that do not get there as the whole budget, so it is a lower bound "
        "of the mean steps to the threshold. Seconds are of training, and comparable on one machine only; where a "
        "trial trained several runs in lockstep they are a run's share, without an interval. In brackets 95 % "
        "intervals; of means none where no run gets there."
    )
    return _sheet("sample_efficiency", "Sample efficiency", note, data, columns)


def wall_clock(results: Results) -> Sheet:
    """Seconds, speed and memory."""
    data = results.wall_clock()
    names = {"steps_per_second": "steps/s"}
    names |= {f"{part}_seconds": f"{part} s" for part in ("train", "environment", "learning", "evaluation")}
    simulated = data["simulated_per_step"].gt(0)
    if simulated.any():
        names["planning_seconds"] = "planning s"
    names |= {"setup_seconds": "set-up s", "cpu_seconds": "CPU s", "peak_memory_mib": "memory MiB"}
    if data["peak_gpu_memory_mib"].notna().any():
        names["peak_gpu_memory_mib"] = "GPU MiB"
    columns = [_estimates(heading, name, cells.rough) for name, heading in names.items()]
    if simulated.any():
        columns.append(numbers("simulated per step", "simulated_per_step"))
    settings = {"runs_in_trial": "runs per trial", "jobs": "jobs", "threads": "threads"}
    if (data["machines"] > 1).any():
        settings["machines"] = "machines"
    columns += [numbers(heading, name, count) for name, heading in settings.items()]
    note = (
        "Means per run, in brackets 95 % intervals. A trial that trains several runs in lockstep is shared out equally "
        "among them, and is one measurement, without an interval; so are runs of several machines. "
        "Training is environment and learning; evaluation and set-up are not part of it, nor of steps per second. "
        "Planning is part of learning; steps that a model or a planner simulated are no steps of the environment. "
        "Memory is the most that a trial's process held. Jobs ran beside each other on the same machine."
    )
    return _sheet("wall_clock", "Wall-clock", note, data, columns)


def reliability(results: Results) -> Sheet:
    """Dispersion and risk."""
    data = results.reliability()
    columns = [
        _estimates("spread of runs", "across_runs", fewest=FEWEST_OF_GROUP),
        _estimates("unsteadiness", "across_time"),
        _estimates("worst quarter", "worst_quarter", fewest=FEWEST_OF_QUARTER),
        _estimates("drawdown", "drawdown"),
    ]
    note = (
        "In units of return (Chan et al., 2020), in brackets 95 % intervals, of done runs alone: an algorithm whose "
        "bad runs fail looks safer here than it is. Spread of runs: interquartile range of the final scores. "
        "Unsteadiness: interquartile range of five successive changes from one evaluation to the next, mean over "
        "training and runs. Worst quarter: mean final score of the runs up to the quartile (3 of 10, 5 of 20); few "
        "runs say little about it, so its interval is wide. Drawdown: mean over runs of the deepest falls below the "
        "best score before."
    )
    return _sheet("reliability", "Reliability", note, data, columns)


def pairwise(results: Results) -> Sheet:
    """Differences of final scores with adjusted p-values."""
    note = (
        "Final score of the first less that of the second; n: runs of either side, or pairs where three seeds are "
        "shared. Failed runs count with the score of the random policy, or of the worst run of both if that is less. "
        "Two-sided permutation tests of means and ranks: of the signs of six pairs or more, else of labels. Adjusted "
        "for all pairs of the environment: Holm's bounds the chance of any false alarm, Benjamini and Hochberg's the "
        "share of false alarms. Below 3 runs there is no test."
    )
    return _pairs(results, "pairwise", "Pairs", note, results.pairwise())


def pairwise_steps(results: Results) -> Sheet:
    """Differences of steps to the threshold with adjusted p-values."""
    note = (
        "Steps to the threshold of the first less those of the second, restricted means, so that less is better: a run "
        "that does not get there counts as the whole budget, a failed one too. Reached: runs of either side that got "
        "there; pairs of which none did are not listed. Tests and adjustments are those of pairs of final scores. "
        "Where few runs got there, a resampled interval may exclude 0 and the test still not reject: then believe the "
        "test."
    )
    reached = Column("reached", lambda row: f"{row['reached']}, {row['than_reached']}")
    title = "Pairs, steps to the threshold"
    return _pairs(results, "pairwise_steps", title, note, results.pairwise_steps(), [reached])


def _pairs(
    results: Results, name: str, title: str, note: str, data: pd.DataFrame, more: Sequence[Column] = ()
) -> Sheet:
    """A sheet with a row per pair; ``more`` columns stand after its numbers of runs."""
    columns = (
        words("environment"),
        _algorithm(results, "algorithm"),
        _algorithm(results, "than", "than_"),
        Column("n", lambda row: f"{row['n']}, {row['than_n']}"),
        numbers("missing", "n_missing", count),
        *more,
        numbers("difference"),
        Column("95 % interval", partial(cells.interval, runs="fewest")),
        words("test"),
        numbers("p", write=cells.p_value),
        numbers("p, Holm", "p_holm", cells.p_value),
        numbers("p, Benjamini-Hochberg", "p_bh", cells.p_value),
    )
    table = data.assign(fewest=data[["n", "than_n"]].min(axis=1))
    return Sheet(name, title, note, columns, table_cells(table, columns), data)


def aggregates(results: Results) -> Sheet:
    """Statistics over environments, a row per contestant."""
    data = results.aggregates()
    ends = ["low", "high", "population_low", "population_high"]
    wide = data.pivot(index=[*LABEL, *COUNTS], columns="statistic", values=["value", *ends])
    wide.columns = wide.columns.map(lambda name: name[1] if name[0] == "value" else f"{name[1]}_{name[0]}")
    population = partial(cells.interval, prefix="iqm_population_", write=share, fewest=0, runs="n_runs")
    headings = {"iqm": "IQM", "mean": "mean", "median": "median", "optimality_gap": "optimality gap"}
    columns = (
        _algorithm(results, "algorithm"),
        numbers("n", "n_runs", count),
        numbers("environments", "n_tasks", count),
        numbers("missing", "n_missing", count),
        *(_estimates(heading, name, share, of="fewest_runs") for name, heading in headings.items()),
        Column("IQM of environments like these", population),
    )
    note = (
        "Normalised final scores, in brackets 95 % intervals: 0 is the random policy, 1 the reference. IQM: mean of "
        "the runs without the lowest and the highest quarter; median: over environments, of the mean over runs; "
        "optimality gap: how far runs fall short of 1, less is better; the intervals of the latter three know that "
        "runs may fail that did not. The last column is the interval of the IQM "
        "where environments are drawn at random too, as for a statement about environments like these; it needs 3 of "
        "them, with as many runs each. n: runs that count, on all environments; failed ones count as 0, or as their "
        "algorithm's worst run there if that is less. Missing: runs that are not done."
    )
    return Sheet("aggregates", "Over environments", note, columns, table_cells(wide.reset_index(), columns), data)


def ratings(results: Results) -> Sheet:
    """Elo ratings of players of games."""
    data = results.ratings()
    columns = (
        words("game"),
        words("player"),
        words("kind"),
        numbers("rating", write=cells.elo),
        Column("95 % interval", partial(cells.interval, write=cells.elo, runs="runs")),
        numbers("n", "runs", count),
        numbers("failed", write=count),
        numbers("opponents", write=count),
        numbers("games", write=count),
        words("rated 0", "anchor"),
        words("note", prose=True),
    )
    note = (
        "Points of Elo: who is rated 200 above another is expected to score 0.76 of a game, a draw being half of one. "
        "Of the final evaluations, all games of an algorithm's runs together (Bradley and Terry, 1952), with one drawn "
        "game for each pair besides, without which who won every game would have no rating. Opponents are compared "
        "through the algorithms that played them; an algorithm is one player, though it trains on the environment of "
        "each opponent. The intervals resample whole runs, and know that runs may fail that did not. A failed "
        "run counts with the score of the random policy, or of the worst run if that is less. n: runs that count, of "
        "an opponent those against it. Players that no chain of games links are rated apart."
    )
    return Sheet("ratings", "Elo ratings", note, columns, table_cells(data, columns), data)


def failures(results: Results) -> Sheet:
    """Runs that are not done, those with one reason in one row."""
    data = results.failures()
    reasons = data["error"].map(lambda error: reason(error)[:LONGEST_REASON] or "no reason was recorded")
    grouped = data.assign(reason=reasons).groupby([*CELL, "status", "reason"], as_index=False)
    table = grouped.agg(seeds=("seed", cells.ranges), runs=("seed", "size"))
    columns = (
        *_cell_columns(data),
        words("status"),
        numbers("n", "runs", str),
        words("seeds"),
        words("reason", prose=True),
    )
    note = "Runs that did not finish. None of them is part of a mean; all of them are counted beside it."
    return Sheet("failures", "Runs that did not finish", note, columns, table_cells(table, columns), data)


def overview(results: Results) -> Sheet:
    """The most important columns of the others, narrow enough for a terminal."""
    scored, efficiency, clock = results.scores(), results.sample_efficiency(), results.wall_clock()
    keep = [*CELL, "reached", "of"]
    data = scored.merge(efficiency[keep], on=CELL).merge(clock[[*CELL, "steps_per_second"]], on=CELL)
    columns = [
        numbers("mean"),
        _interval(),
        numbers("normalised", write=share),
        Column("solved", _reached),
        numbers("steps/s", "steps_per_second", cells.rough),
    ]
    return _sheet("overview", "Overview", "", data, columns)


def _sheet(name: str, title: str, note: str, data: pd.DataFrame, columns: Sequence[Column]) -> Sheet:
    """A sheet whose rows begin with what they are about and how many runs stand behind them."""
    counts = [numbers("n", "done", str), numbers("failed", write=str)]
    if data["other"].any():
        counts.append(numbers("not run", "other", str))
    every = (*_cell_columns(data), *counts, *columns)
    return Sheet(name, title, f"n: runs that are done. {note}".strip(), every, table_cells(data, every), data)


def _cell_columns(data: pd.DataFrame) -> list[Column]:
    return [words(name) for name in (CELL if data["device"].nunique() > 1 else CELL[:2])]


def table_cells(table: pd.DataFrame, columns: Sequence[Column]) -> tuple[tuple[str, ...], ...]:
    """A row of text for each row of a table."""
    return tuple(tuple(column.text(row) for column in columns) for row in table.to_dict("records"))


def _algorithm(results: Results, heading: str, prefix: str = "") -> Column:
    """An algorithm, on its device where there are several."""
    if results.runs["device"].nunique() > 1:
        return Column(heading, lambda row: f"{row[f'{prefix}algorithm']} on {row[f'{prefix}device']}", number=False)
    return words(heading, f"{prefix}algorithm")


def _reached(row: Any) -> str:
    return NONE if pd.isna(row["of"]) else f"{count(row['reached'])}/{count(row['of'])}"
