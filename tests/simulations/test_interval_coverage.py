"""The script behind docs/interval-coverage.md, with few simulations."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from interval_coverage import NUMBERS, OUTPUT, RUNS, held, rows, table
from populations import made_up


def test_the_page_has_every_number_on_every_population():
    written = [line for line in OUTPUT.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    expected = list(table(rows(simulations=2, seed=0)))
    assert [line.split("|")[:3] for line in written] == [line.split("|")[:3] for line in expected]
    assert len(written) == 2 + len(NUMBERS) * len(made_up()) + 2


def test_the_figures_of_the_page_are_those_of_the_script():
    """So many simulations are a cell's own: no other cell changes it."""
    number, population = NUMBERS[0], made_up()["bimodal"]
    shares = [held(number, population, runs, 1_000, 0, "bimodal") for runs in RUNS[:2]]
    (line,) = (x for x in OUTPUT.read_text(encoding="utf-8").splitlines() if x.startswith("| mean | bimodal"))
    assert [cell.strip() for cell in line.split("|")[3:5]] == [f"{100 * share:.0f}" for share in shares]
