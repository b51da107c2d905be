"""Statistics over environments: how good each algorithm is on all of them together, in normalised scores.

A failed run counts with the score of the random policy, 0 normalised, or with the worst of the algorithm's own runs
there if that is less: an algorithm gains nothing by failing where it is bad. Interrupted and skipped runs say
nothing about an algorithm; they are left out, and counted.
"""

from collections.abc import Iterable, Sequence
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from harness.analysis import metrics
from harness.analysis.curves import BANDS, CELL, run_curves
from harness.analysis.measures import measured
from harness.analysis.pairing import blocks_of, floor
from harness.analysis.stats import RESAMPLES
from harness.analysis.summaries import FAILED
from harness.statistics.aggregates import IQM, MEAN, MEDIAN, Aggregate, optimality_gap
from harness.statistics.bounded import bounded_ends, mean_ends
from harness.statistics.intervals import Estimate, bands, clipped, intervals
from harness.statistics.profiles import Of, profile_band
from harness.statistics.runs import Runs, ragged

if TYPE_CHECKING:
    from harness.analysis.results import Results

LABEL = ["algorithm", "device"]
COUNTS = ["n_runs", "fewest_runs", "most_runs", "n_tasks", "n_missing", "n_floored"]
STATISTICS = (IQM, MEAN, MEDIAN, optimality_gap())
PROFILES: tuple[Of, ...] = ("runs", "means")
THRESHOLDS = np.arange(-50, 152, 2) / 100  # of profiles; fixed, so that no algorithm moves those of another
SHARES = np.arange(51) / 50  # of the budget
POPULATION_RESAMPLES = 5_000
FAR = 1e100  # beyond any return

Label = tuple[str, str]  # an algorithm as readers see it, and its device


class Common(NamedTuple):
    """Who is compared on what."""

    environments: list[str]  # on which every contestant has a run that counts, with a random and a reference score
    labels: list[Label]  # of each
    left_out: pd.DataFrame  # columns kind ("environment" or "algorithm"), name, reason


def counted(results: "Results") -> pd.DataFrame:
    """The runs that count: those that are done, and those that failed, with the floor.

    Returns:
        Columns key, environment, algorithm, device, seed, status; score (the final score; of a failed run the
        floor, NaN where no random score is known), normalised (NaN without a random or a reference score), least,
        most (that it can be; `FAR` if unknown), top (the most; 1 if unknown); steps (until the threshold, or the
        budget where it is not reached; NaN without a threshold), budget, independent.
    """
    table = measured(results, "final_score").rename(columns={"value": "score"})
    random, reference = results.runs["random_score"], results.runs["reference_score"]
    failed = table["status"].isin(FAILED)
    for rows in table.groupby(CELL).groups.values():
        if any(lost := failed[rows]):
            own = table.loc[rows, "score"]
            table.loc[rows, "score"] = own.mask(lost, floor(random[rows[0]], own))
    table["normalised"] = metrics.normalised(table["score"], random, reference)
    table["least"] = metrics.normalised(results.runs["lowest_return"].fillna(-FAR), random, reference)
    table["most"] = metrics.normalised(results.runs["highest_return"].fillna(FAR), random, reference)
    table["top"] = metrics.normalised(results.runs["highest_return"].fillna(reference), random, reference)
    table["budget"], table["independent"] = results.runs["budget"], results.runs["independent"]
    steps = measured(results, "steps_to_threshold")["value"].fillna(table["budget"])
    table["steps"] = steps.where(results.runs["threshold"].notna())
    return table[failed | (table["status"] == "done")].reset_index(drop=True)


def common(runs: pd.DataFrame, counting: pd.DataFrame) -> Common:
    """The common set of environments, and why the others are not in it; ``counting`` is what `counted` returns."""
    labels = _labels(counting)
    left_out = [
        ("algorithm", " on ".join(label), "none of its runs is done or failed")
        for label in _labels(runs)
        if label not in labels
    ]
    environments = []
    for name, group in counting.groupby("environment"):
        here = _labels(group)
        absent = [algorithm for algorithm, device in labels if (algorithm, device) not in here]
        if group["normalised"].isna().any():
            left_out.append(("environment", str(name), "it has no random or no reference score"))
        elif absent:
            who = absent[0] if len(set(absent)) == 1 else f"{len(set(absent))} algorithms"
            left_out.append(("environment", str(name), f"no run of {who}"))
        else:
            environments.append(str(name))
    return Common(environments, labels, pd.DataFrame(left_out, columns=["kind", "name", "reason"]))


def aggregates(results: "Results") -> pd.DataFrame:
    """Normalised final scores over the common environments.

    Returns:
        Columns algorithm, device, statistic (iqm, mean, median, optimality_gap), value, low, high (95 %
        interval; NaN where an environment has fewer than 3 runs), method (of the interval), population_low and
        population_high (95 % interval where environments are resampled too: for a statement about environments like
        these; NaN below 3 environments, or where they have unlike numbers of runs); n_runs (that
        count), fewest_runs and most_runs (of an environment), n_tasks, n_missing (runs that are not done),
        n_floored (those of them that count with the floor).
    """
    groups = list(_grouped(results, results.counted, "normalised").values())
    tops = [[task[0] for task in tasks] for tasks in _tasks(results, results.counted, "top").values()]
    names = [statistic.name for statistic in STATISTICS]
    rows = [
        [
            (name, *here, *there)
            for name, here, there in zip(names, spanning(of_one, runs, top), _of_population(runs), strict=True)
        ]
        for of_one, runs, top in zip(intervals(groups, STATISTICS), groups, tops, strict=True)
    ]
    columns = ["statistic", "value", "low", "high", "method", "population_low", "population_high"]
    table, limits = _table(results, columns, rows), np.reshape(_limits(results, STATISTICS), (-1, 2)).T
    table["low"], table["high"] = clipped(table["value"], table["low"], table["high"], *limits)
    return table


def spanning(estimates: Sequence[Estimate], runs: Runs, tops: Sequence[float]) -> list[Estimate]:
    """Bootstrapped `STATISTICS` of tasks, of scores from 0 to these, with intervals that know that runs may fail.

    Those of mean and gap span that of all runs as if of one task, or the means of those of tasks where seeds share
    luck; that of the median the medians of those of tasks; of each as many runs as the smallest has, or means of
    neighbours. That of the IQM, without failures, is wide enough.
    """
    if np.isnan(estimates[0].low):
        return list(estimates)
    evenly = (np.arange(runs.fewest) + 0.5) / runs.fewest
    even = np.column_stack([np.quantile(task, evenly, method="hazen") for task in runs.by_task()])
    apart = len(runs.units) == runs.tasks
    of, most = (even.reshape(-1, 1), max(tops)) if apart else (even, tops)
    mean, short = (np.mean(bounded_ends(*each), axis=1) for each in ((of, 0, most), (np.minimum(of, 1), 0, 1)))
    ends = (np.inf, -np.inf), mean, np.median(mean_ends(even, 0, tops), axis=1), 1 - short[::-1]
    both = zip(estimates, ends, strict=True)
    return [one._replace(low=min(one.low, low), high=max(one.high, high)) for one, (low, high) in both]


def _limits(results: "Results", statistics: Sequence[Aggregate]) -> list[list[list[float]]]:
    """The least and the most that each statistic of each contestant can be: its values where all its runs are there."""
    ends = zip(*(_tasks(results, results.counted, end).values() for end in ("least", "most")), strict=True)
    return [[sorted(map(each, map(ragged, pair))) for each in statistics] for pair in ends]


def _of_population(runs: Runs) -> list[tuple[float, float]]:
    if not runs.equal or len(runs.units) not in (1, runs.tasks):
        return [(np.nan, np.nan)] * len(STATISTICS)
    (estimates,) = intervals([runs], STATISTICS, of_tasks=True, count=POPULATION_RESAMPLES)
    return [(estimate.low, estimate.high) for estimate in estimates]


def profiles(results: "Results") -> pd.DataFrame:
    """Performance profiles: the share of runs, or of environments by the mean of their runs, above a threshold.

    Returns:
        Columns algorithm, device, of ("runs" or "means"), threshold (normalised score), share, low, high
        (pointwise 95 % band), and the counts of `aggregates`.
    """
    rows = []
    for runs in _grouped(results, results.counted, "normalised").values():
        found = [(of, profile_band(runs, THRESHOLDS, of)) for of in PROFILES]
        rows.append([(of, *point) for of, band in found for point in zip(THRESHOLDS, *band, strict=True)])
    return _table(results, ["of", "threshold", "share", "low", "high"], rows)


def curves(results: "Results") -> pd.DataFrame:
    """The IQM of normalised scores while the budget is spent; failed runs stay at the floor.

    Environments are evaluated at other shares of their budgets, so scores lie on straight lines between evaluations.

    Returns:
        Columns algorithm, device, share (of the budget), iqm, low, high (95 % band of any one point),
        simultaneous_low, simultaneous_high (of the whole curve), and the counts of `aggregates`.
    """
    counting = results.counted.set_index("key")["normalised"].items()
    on_grid = {key: np.full(len(SHARES), score) for key, score in counting}
    references = results.runs.set_index("key")[["random_score", "reference_score"]]
    known = {key: scores for key, *scores in references.itertuples(name=None)}
    for key, curve in run_curves(results.points).items():
        scores = metrics.normalised(curve.scores, *known[key])
        on_grid[key] = np.interp(SHARES, curve.steps / curve.steps[-1], scores, left=np.nan)
    related, rows = _related(results, results.counted), []
    for (one, tasks), [limit] in zip(
        _tasks(results, results.counted, "key").items(), _limits(results, [IQM]), strict=True
    ):
        runs = ragged([[on_grid[key] for key in keys] for keys in tasks], related[one])
        rows.append(list(zip(SHARES, *bands(runs, IQM, count=RESAMPLES).within(*limit), strict=True)))
    return _table(results, ["share", "iqm", *BANDS], rows)


def trade_off(results: "Results") -> pd.DataFrame:
    """What a score costs, in steps and in seconds, over the common environments.

    Returns:
        Columns algorithm, device; score, score_low, score_high (IQM of normalised final scores); steps, steps_low,
        steps_high (mean share of the budget until the threshold, 1 where it is not reached: a restricted mean;
        NaN unless every environment has a threshold); seconds, seconds_low, seconds_high (training seconds of
        one run, mean over environments, of done runs; no interval where a trial trained several, for they
        share a clock, or of several machines), machines (how many different ones), and the counts of `aggregates`.
    """
    spent = results.counted.assign(share=results.counted["steps"] / results.counted["budget"])
    done = results.runs[results.runs["status"] == "done"]
    clock = done.assign(seconds=done["train_seconds"] / done["runs_in_trial"])
    score = results.aggregates().query("statistic == 'iqm'")[["value", "low", "high"]]
    steps, seconds = _means(results, spent, "share"), _means(results, clock, "seconds")
    sharing, machines = _tasks(results, clock, "runs_in_trial"), _tasks(results, clock, "machine")
    rows = []
    for one, of_score in zip(_compared(results), score.to_numpy(), strict=True):
        of_steps, (mean, low, high) = steps[one], seconds[one]
        different = len(set(np.concatenate(machines[one])))
        if different > 1 or (np.concatenate(sharing[one]) > 1).any():
            low = high = np.nan
        rows.append([(*of_score, *np.clip(of_steps, 0, 1), mean, max(low, 0.0), high, different)])
    names = [f"{name}{end}" for name in ("score", "steps", "seconds") for end in ("", "_low", "_high")]
    return _table(results, [*names, "machines"], rows)


def _table(results: "Results", columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """The rows of each contestant, between what it is and the runs they rest on."""
    statuses = _tasks(results, results.runs, "status")
    whole: list[tuple[Any, ...]] = []
    for one, of_one in zip(_compared(results), rows, strict=True):
        done, failed = ([int(np.isin(task, kinds).sum()) for task in statuses[one]] for kinds in (("done",), FAILED))
        sizes, missing = list(map(add, done, failed)), sum(map(len, statuses[one])) - sum(done)
        counts = sum(sizes), min(sizes), max(sizes), len(sizes), missing, sum(failed)
        whole += [(*one, *row, *counts) for row in of_one]
    return pd.DataFrame(whole, columns=[*LABEL, *columns, *COUNTS])


def _compared(results: "Results") -> list[Label]:
    return results.common.labels if results.common.environments else []


def _labels(table: pd.DataFrame) -> list[Label]:
    return sorted(set(zip(table["algorithm"], table["device"], strict=True)))


def _tasks(results: "Results", table: pd.DataFrame, column: str) -> dict[Label, list[Any]]:
    """A column of the rows of each compared contestant, as an array per common environment."""
    rows, values = table.groupby([*LABEL, "environment"]).indices, table[column].to_numpy()
    return {
        one: [values[rows.get((*one, name), [])] for name in results.common.environments] for one in _compared(results)
    }


def _related(results: "Results", table: pd.DataFrame) -> dict[Label, tuple[int, ...]]:
    """On which common environments runs of a seed of each compared contestant share its luck; see `blocks_of`."""
    seeds, apart = (_tasks(results, table, column) for column in ("seed", "independent"))
    return {
        one: blocks_of(results.common.environments, all(map(np.all, apart[one])), list(map(tuple, of_tasks)))
        for one, of_tasks in seeds.items()
    }


def _grouped(results: "Results", table: pd.DataFrame, column: str) -> dict[Label, Runs]:
    """A column of the rows of each compared contestant that has numbers on all common environments."""
    related = _related(results, table)
    return {
        one: ragged(arrays, related[one])
        for one, arrays in _tasks(results, table, column).items()
        if all(len(array) and not np.isnan(array).any() for array in arrays)
    }


def _means(results: "Results", table: pd.DataFrame, column: str) -> dict[Label, tuple[float, float, float]]:
    """The mean over environments with its interval; NaN where one has no run, or a run no value."""
    whole = _grouped(results, table, column)
    estimates = intervals(list(whole.values()), [MEAN], count=RESAMPLES)
    found = {one: estimate[:3] for one, (estimate,) in zip(whole, estimates, strict=True)}
    return dict.fromkeys(_compared(results), (np.nan, np.nan, np.nan)) | found
