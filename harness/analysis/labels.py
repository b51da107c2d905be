"""Names as readers see them: as short as the runs at hand allow, and one name for one thing only.

Runs that are not comparable (another version, another budget, another configuration, another reference score)
never share a label, so nothing downstream can average them.
"""

import hashlib
from collections.abc import Mapping

import pandas as pd

UNITS = {"step": "steps", "ply": "plies", "update": "updates"}
OPAQUE = ["task"]  # a number that tells a reader nothing
REFERENCES = ["random_score", "reference_score", "threshold"]  # as the catalogue had them when a run was stored


def algorithm_labels(runs: pd.DataFrame) -> pd.Series:
    """Labels of the runs' algorithms; the plugin is named only where two plugins share a short name."""
    short = runs["algorithm_id"].map(lambda id_: id_.rpartition("/")[2])
    shared = runs["algorithm_id"].groupby(short).transform("nunique") > 1
    variant = [text[len(id_) :] for text, id_ in zip(runs["algorithm"], runs["algorithm_id"], strict=True)]
    names = runs["algorithm_id"].where(shared, short) + pd.Series(variant, runs.index, dtype=object)
    marks = runs["config"].map(lambda text: hashlib.sha256(text.encode()).hexdigest()[:6])
    return _distinct(names, {"version": "version " + runs["algorithm_version"], "config": "config " + marks})


def environment_labels(runs: pd.DataFrame) -> pd.Series:
    """Labels of the runs' environments; what differs is added where one name stands for several tasks."""
    counts = zip(runs["budget"], runs["budget_unit"], strict=True)
    budgets = [f"{number:,} {UNITS.get(unit or '', 'steps')}" for number, unit in counts]
    scores = runs[REFERENCES].astype(object).where(runs[REFERENCES].notna(), "none").map(str)
    return _distinct(
        runs["environment"],
        {
            "id": runs["environment_id"],
            "version": "version " + runs["environment_version"],
            "budget": pd.Series(budgets, runs.index, dtype=object),
            "task": "task " + runs["task_hash"].str[:6],
            **{name: f"{name.replace('_', ' ')} " + scores[name] for name in REFERENCES},
        },
    )


def _distinct(names: pd.Series, facts: Mapping[str, pd.Series]) -> pd.Series:
    """The names, followed by those facts that differ between runs of one name."""
    labels = names.copy()
    for name, group in names.groupby(names):
        told = pd.DataFrame({fact: values[group.index] for fact, values in facts.items()})
        differing = told.loc[:, told.nunique() > 1]
        others = differing.columns.drop(OPAQUE, errors="ignore")
        if len(others) and len(differing[others].drop_duplicates()) == len(differing.drop_duplicates()):
            differing = differing[others]  # which tell the same apart, in words
        if differing.shape[1]:
            labels[group.index] = f"{name} (" + differing.agg(", ".join, axis=1) + ")"
    return labels
