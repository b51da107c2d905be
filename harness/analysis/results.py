"""Stored runs as tidy tables, and the summaries made of them.

results = harness.load("results/quickstart")
results.runs          # a row per run
results.scores()      # a row per environment, algorithm and device
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from harness.analysis import comparison, curves, efficiency, overall, pairs, ratings, steadiness, summaries
from harness.analysis.curves import CELL
from harness.analysis.labels import algorithm_labels, environment_labels
from harness.contract.errors import UsageError
from harness.storage.results_files import Problem, Stored, as_table, read
from harness.storage.schema_tables import RUNS, STREAMS, TABLES
from harness.suite.measures import USUAL


def load(path: str | Path) -> "Results":
    """Read every stored run of a suite.

    Args:
        path: ``results/<suite>``, or a folder of several such folders.

    Returns:
        The tables. A run whose files are broken is missing from all of them, or, if it is not done, from those
        that are broken; either is listed in ``problems``.

    Raises:
        UsageError: there is no such folder.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder of results")
    stored = read(path)
    every = _runs(stored)
    unfit = (every["fits"] == False).to_numpy()  # noqa: E712, because it may be null
    superseded = _superseded(every)
    runs = every[~unfit & ~superseded].reset_index(drop=True)
    position = pd.Series(np.arange(len(runs)), index=runs["key"])
    tables = {name: _table(pieces, TABLES[name], runs, position) for name, pieces in stored.tables.items()}
    manifests = {key: stored.manifests[key] for key in runs["key"]}
    unfit_runs, older = (every[each].reset_index(drop=True) for each in (unfit & ~superseded, superseded))
    return Results(path, runs, unfit_runs, older, **tables, problems=tuple(stored.problems), manifests=manifests)


@dataclass(frozen=True, repr=False)
class Results:
    """Stored runs as tables.

    The three long tables carry the ``algorithm``, ``environment``, ``seed`` and ``device`` of their run; the
    seed of an evaluation episode is ``episode_seed``.

    Attributes:
        path: where they were read.
        runs: a row per run, whatever became of it. ``independent`` is false of older ones, whose streams come from the
            seed alone, so that runs of one seed share its luck on all environments. ``algorithm`` and ``environment``
            are as short as the runs at hand allow; ``contestant`` and ``environment_name`` are what was stored.
        unfit: likewise, of algorithms that cannot run on that environment on any machine; they are missing nowhere.
        superseded: likewise, of which the suite has a later one of the same algorithm, environment, device and seed.
        evaluations: a row per evaluation episode.
        episodes: a row per training episode.
        diagnostics: a row per logged value.
        problems: stored files that could not be used.
        manifests: per key, the rest of its ``run.json``, as a table or as JSON text; see `manifest`.
    """

    path: Path
    runs: pd.DataFrame
    unfit: pd.DataFrame
    superseded: pd.DataFrame
    evaluations: pd.DataFrame
    episodes: pd.DataFrame
    diagnostics: pd.DataFrame
    problems: tuple[Problem, ...]
    manifests: Mapping[str, dict[str, Any] | str]
    _made: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, compare=False)

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.runs["status"].value_counts().items())
        return f"Results({str(self.path)!r}: {len(self.runs)} runs{': ' if counts else ''}{counts})"

    def manifest(self, key: str) -> dict[str, Any]:
        """What ``run.json`` says besides the run's row: descriptions, versions, hardware; {} if unreadable."""
        return as_table(self.manifests[key])

    @cached_property
    def points(self) -> pd.DataFrame:
        """A row per evaluation of a done run: key, cell, seed, step, seconds (of one run), score."""
        return curves.points(self.runs, self.evaluations)

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The runs that count in statistics over environments, with their scores; see `overall.counted`."""
        return overall.counted(self)

    @cached_property
    def common(self) -> overall.Common:
        """The environments that statistics are over, who is compared, and what was left out why."""
        return overall.common(self.runs, self.counted)

    def scores(self) -> pd.DataFrame:
        """Final scores per environment, algorithm and device; see `summaries.scores`."""
        return self._once("scores", lambda: summaries.scores(self.runs, self.points))

    def curves(self, against: str = "step") -> pd.DataFrame:
        """Mean learning curves with bands, against "step" or "seconds"; see `curves.mean_curves`."""
        return self._once(f"curves/{against}", lambda: curves.mean_curves(self.points, against))

    def sample_efficiency(self) -> pd.DataFrame:
        """Area under the curve, steps and seconds to the threshold; see `efficiency.sample_efficiency`."""
        return self._once("efficiency", lambda: efficiency.sample_efficiency(self.runs, self.points))

    def wall_clock(self) -> pd.DataFrame:
        """Seconds, speed and memory; see `summaries.wall_clock`."""
        return self._once("wall-clock", lambda: summaries.wall_clock(self.runs))

    def reliability(self) -> pd.DataFrame:
        """Dispersion and risk across runs and over time; see `steadiness.reliability`."""
        return self._once("reliability", lambda: steadiness.reliability(self.runs, self.points))

    def pairwise(self) -> pd.DataFrame:
        """Differences of final scores on each environment, with adjusted p-values; see `pairs.pairwise`."""
        return self._once("pairwise", lambda: pairs.pairwise(self))

    def pairwise_steps(self) -> pd.DataFrame:
        """Differences of steps to the threshold on each environment, likewise; see `pairs.pairwise_steps`."""
        return self._once("pairwise-steps", lambda: pairs.pairwise_steps(self))

    def improvement(self) -> pd.DataFrame:
        """Probabilities of improvement over environments; see `pairs.improvement`."""
        return self._once("improvement", lambda: pairs.improvement(self))

    def aggregates(self) -> pd.DataFrame:
        """IQM, mean, median and optimality gap over environments; see `overall.aggregates`."""
        return self._once("aggregates", lambda: overall.aggregates(self))

    def profiles(self) -> pd.DataFrame:
        """Performance profiles over environments; see `overall.profiles`."""
        return self._once("profiles", lambda: overall.profiles(self))

    def overall_curves(self) -> pd.DataFrame:
        """The IQM over environments while the budget is spent; see `overall.curves`."""
        return self._once("overall-curves", lambda: overall.curves(self))

    def trade_off(self) -> pd.DataFrame:
        """Score against steps and seconds, over environments; see `overall.trade_off`."""
        return self._once("trade-off", lambda: overall.trade_off(self))

    def ratings(self) -> pd.DataFrame:
        """Elo ratings of algorithms and fixed opponents in games; see `ratings.ratings`."""
        return self._once("ratings", lambda: ratings.ratings(self))

    def compare(self, head: "Results", measure: str = USUAL) -> pd.DataFrame:
        """How the runs of ``head`` differ from these, task by task and overall; see `comparison.Row`.

        Args:
            head: stored runs that are judged against these.
            measure: the name of one that single runs have.
        """
        return comparison.compare(self, head, measure).table()

    def left_out(self) -> pd.DataFrame:
        """What statistics over environments are not about, and why: columns kind, name, reason."""
        return self.common.left_out.copy()

    def failures(self) -> pd.DataFrame:
        """A row per run that is not done, with the reason; see `summaries.failures`."""
        return self._once("failures", lambda: summaries.failures(self.runs))

    def _once(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """A copy of a summary that is computed once: a report asks for each several times."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name].copy()


def _runs(stored: Stored) -> pd.DataFrame:
    """The table of runs, in the order environment, algorithm, device, seed."""
    columns = {
        column.name: pa.array([run[column.name] for run in stored.runs.values()], column.type).to_pandas()
        for column in RUNS
    }
    runs = pd.DataFrame(columns)
    for moment in ("started_at", "finished_at"):
        runs[moment] = pd.to_datetime(runs[moment], format="ISO8601", utc=True, errors="coerce")
    runs["independent"] = runs["streams"] == STREAMS
    runs["contestant"], runs["environment_name"] = runs["algorithm"], runs["environment"]
    runs["algorithm"], runs["environment"] = algorithm_labels(runs), environment_labels(runs)
    return runs.sort_values([*CELL, "seed", "key"], ignore_index=True)


def _superseded(runs: pd.DataFrame) -> NDArray[np.bool_]:
    """Which runs are those of a seed that is there again: runs of one seed are no sample of two.

    The later one counts, whatever came of it, for else the better one could be chosen; but one that was interrupted or
    skipped does not replace a result.
    """
    result = runs["status"].isin(("done", *summaries.FAILED))
    ordered = runs.assign(result=result).sort_values(["result", "finished_at"], kind="stable", na_position="first")
    return runs.index.isin(ordered.index[ordered.duplicated(["suite", *CELL, "seed"], keep="last")])


def _table(pieces: Sequence[pa.Table], schema: pa.Schema, runs: pd.DataFrame, position: pd.Series) -> pd.DataFrame:
    """One long table, its rows in the order of the runs, with the columns that say which run it is."""
    whole = pa.concat_tables(pieces or [schema.empty_table()]).unify_dictionaries()
    frame: pd.DataFrame = whole.to_pandas().rename(columns={"seed": "episode_seed"})
    keys = frame["key"].astype("category")
    # A filtered table keeps the names of rows it lost.
    row = position.reindex(keys.cat.categories, fill_value=-1).to_numpy()[keys.cat.codes]
    if (row < 0).any():  # of runs that are not in the table of runs
        frame, row = frame[row >= 0].reset_index(drop=True), row[row >= 0]
    if np.any(np.diff(row) < 0):
        order = np.argsort(row, kind="stable")
        frame, row = frame.take(order).reset_index(drop=True), row[order]
    for name in ("algorithm", "environment", "device", "key"):
        codes, values = pd.factorize(runs[name], sort=True)
        frame[name] = pd.Categorical.from_codes(codes[row], categories=values)
    frame["seed"] = runs["seed"].to_numpy()[row]
    return frame
