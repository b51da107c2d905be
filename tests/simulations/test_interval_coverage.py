"""The script behind docs/interval-coverage.md, with few simulations."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
from interval_coverage import (
    BOUNDED,
    FAMILIAR,
    MIXES,
    NUMBERS,
    OUTPUT,
    RUNS,
    held,
    over_environments,
    populations,
    rows,
    scores_held,
    table,
)

from harness.analysis.overall import STATISTICS


def written() -> list[list[str]]:
    """The cells of the page."""
    lines = OUTPUT.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]


def test_the_page_has_every_number_on_every_population():
    expected = list(table(rows(simulations=2, seed=0)))
    assert [line[:2] for line in written()] == [[cell.strip() for cell in line.split("|")[1:3]] for line in expected]
    over = len(STATISTICS) * (len(populations()) + len(MIXES))
    assert len(written()) == 2 + 2 * len(populations()) + len(NUMBERS) * len(FAMILIAR) + over + 2


def test_the_figures_of_the_page_are_those_of_the_script():
    """So many simulations are a cell's own: no other cell changes it."""
    number, population = NUMBERS[0], populations()["bimodal"]
    shares = [held(number, population, runs, 1_000, 0, "bimodal") for runs in RUNS[:2]]
    (line,) = (line for line in written() if line[:2] == ["mean", "bimodal"])
    assert line[2:4] == [f"{100 * share:.0f}" for share in shares]


@pytest.mark.parametrize("name", populations())
def test_intervals_of_mean_scores_hold_nine_times_in_ten_or_are_not_given(name):
    (line,) = (line for line in written() if line[:2] == ["mean score", name])
    (known,) = (line for line in written() if line[:2] == ["mean score, highest known", name])
    highest = 1.0 if name in BOUNDED else np.nan
    found = [scores_held(populations()[name], highest, runs, 10_000, 0, name) for runs in RUNS[:3]]
    assert line[2:5] == ["–" if share is None else f"{100 * share:.0f}" for share in found]
    assert all(share is None or share >= 0.9 for share in found)
    assert all(cell == "–" or int(cell) >= 90 for cell in [*line[2:], *known[2:]])


def test_intervals_over_environments_hold_nine_times_in_ten():
    lines = [line for line in written() if line[0].endswith("over environments")]
    assert all(int(cell) >= 90 for line in lines for cell in line[2:5])
    found, _ = over_environments([populations()["sac"]] * 5, 3, 100, 0, "sac")
    alone, _ = over_environments([populations()["sac"]] * 5, 3, 100, 0, "sac", span=False)
    assert found[1] > 0.9 > alone[1]
