"""The sentences that say how much everything rests on: runs, environments, and what is missing."""

from harness.analysis.curves import CELL
from harness.analysis.results import Results
from harness.analysis.summaries import FAILED
from harness.statistics.intervals import FEWEST_RUNS
from harness.text import counted

SHOWN = 6  # pairs that do not fit


def evidence(results: Results) -> list[str]:
    """What a reader has to know before any number: the size of the samples, and who is compared on what."""
    more = (_repeated, _unfit, _machines, _common)
    return [_size(results), _missing(results), *[sentence for tell in more for sentence in tell(results)]]


def _size(results: Results) -> str:
    table = results.scores()
    table = table[table["done"] + table["failed"] > 0]
    if table.empty:
        return "No run was made: there is nothing to compare."
    few, many = int(table["done"].min()), int(table["done"].max())
    runs = counted(many, "run") if few == many else f"{few} to {many} runs"
    environments = counted(table["environment"].nunique(), "environment")
    algorithms = counted(table["algorithm"].nunique(), "algorithm")
    text = f"Everything here rests on {runs} for each algorithm and environment: {algorithms}, {environments}."
    if few < FEWEST_RUNS:
        text += f" Below {FEWEST_RUNS} runs there are numbers without intervals, and they decide nothing."
    return text


def _missing(results: Results) -> str:
    statuses = results.runs["status"]
    if (statuses == "done").all():
        return "No run is missing."
    failed, idle = int(statuses.isin(FAILED).sum()), int((~statuses.isin((*FAILED, "done"))).sum())
    parts = []
    if failed:
        parts.append(
            f"{counted(failed, 'run')} failed; comparisons of final scores count a failed run with the score of the "
            "random policy (of the worst run compared with it if that is less); tables of one algorithm leave it out "
            "and say so"
        )
    if idle:
        were, are = ("was", "is") if idle == 1 else ("were", "are")
        parts.append(f"{counted(idle, 'run')} {were} interrupted or skipped, and {are} part of no number")
    return f"{failed + idle} of {len(statuses)} runs are missing: {'; '.join(parts)}."


def _repeated(results: Results) -> list[str]:
    told = []
    if number := len(results.superseded):
        are = "is" if number == 1 else "are"
        told = [
            f"{counted(number, 'run')} {are} in no number: the same algorithm, environment and seed ran again later."
        ]
    if results.runs.duplicated([*CELL, "seed"]).any():
        told.append(
            "Several suites have runs of one seed: their intervals are too narrow, and there are no comparisons."
        )
    return told


def _unfit(results: Results) -> list[str]:
    pairs = results.unfit[["algorithm", "environment"]].drop_duplicates()
    told = [f"{algorithm} on {environment}" for algorithm, environment in pairs.itertuples(index=False)]
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return [f"Not asked, because they do not fit: {', '.join(told[:SHOWN])}{more}."] if told else []


def _machines(results: Results) -> list[str]:
    machines = results.runs.loc[results.runs["status"] == "done", "machine"].nunique()
    if machines < 2:
        return []
    return [f"Runs are of {machines} machines: do not compare their seconds, speeds and memory."]


def _common(results: Results) -> list[str]:
    """Which environments statistics over environments are about, where there are several."""
    environments, labels, left_out = results.common
    if results.counted["environment"].nunique() < 2:
        return []
    why = [f"{row.name} ({row.reason})" for row in left_out.itertuples(index=False)]
    left = f" Left out: {', '.join(why)}." if why else ""
    if not environments:
        return [f"There are no statistics over environments: none has normalised scores of every algorithm.{left}"]
    shared = " that every algorithm has run" if len(labels) > 1 else ""
    return [f"Statistics over environments are about {counted(len(environments), 'environment')}{shared}.{left}"]
