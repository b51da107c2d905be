"""A game that was played in evaluation, position by position, for those who want to see what a score looks like."""

from typing import NamedTuple

import pandas as pd

from harness.analysis.results import Results
from harness.text import plain_lines

MOST_SHOWN = 8  # positions
MOST_CHARACTERS = 1_000  # of each
WORDS = {1.0: "won", 0.0: "drawn", -1.0: "lost"}


class SampleGame(NamedTuple):
    """A game as it stands on the page."""

    caption: str
    positions: tuple[tuple[int, str], ...]  # how many steps of the agent led there, and the drawing


def sample_game(results: Results, environment: str) -> SampleGame | None:
    """The first game of the last evaluation of a run, whatever its end; None if no run has drawings.

    It is the first seed that has them, of the algorithm that ended highest.
    """
    scores = results.scores()
    ranked = scores[scores["environment"] == environment].sort_values("mean", ascending=False, kind="stable")
    for row in ranked.to_dict("records"):
        runs = results.runs
        for column in ("environment", "algorithm", "device"):
            runs = runs[runs[column] == row[column]]
        for key, seed in runs.loc[runs["status"] == "done", ["key", "seed"]].itertuples(index=False):
            if drawings := _drawings(results.manifest(key).get("drawings")):
                return _shown(results, drawings, key, f"{row['algorithm']}, seed {seed}")
    return None


def _drawings(told: object) -> list[str]:
    """What a manifest, maybe a stranger's, has of them."""
    every = told if isinstance(told, list) else []
    return [plain_lines(each, MOST_CHARACTERS) for each in every if isinstance(each, str)]


def _shown(results: Results, drawings: list[str], key: str, who: str) -> SampleGame:
    played: pd.DataFrame = results.evaluations[results.evaluations["key"] == key]
    last = played[(played["evaluation"] == played["evaluation"].max()) & (played["episode"] == 0)]
    end = "".join(f", {WORDS.get(value, f'return {value:g}')}" for value in last["return"])
    final = len(drawings) - 1
    steps = sorted({round(final * part / (MOST_SHOWN - 1)) for part in range(MOST_SHOWN)})
    caption = f"{who}: the first game of the last evaluation{end}. Numbers are moves of the agent, of {final}."
    return SampleGame(caption, tuple((step, drawings[step]) for step in steps))
