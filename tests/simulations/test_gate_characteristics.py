"""Short versions of `simulations/gate_characteristics.py`: the gate's own decision on simulated pairs of sides.

Seeds are fixed, so these are facts. Their bounds leave room for what so few simulations can show by chance.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

from gate_characteristics import (
    COLUMNS,
    FIVE,
    MIXED,
    POPULATIONS,
    Bar,
    Case,
    Figures,
    broken,
    collapses,
    everywhere,
    lower,
    nothing,
    row,
    simulated,
)
from populations import drawn, made_up

from harness.statistics.decision import Verdict

MADE_UP = made_up()
REGRESSED = (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE)


@pytest.mark.parametrize("rho", [None, 0.9])
def test_equal_sides_are_called_regressed_hardly_ever(rho: float | None) -> None:
    figures = [simulated(Case("none", (name,) * FIVE, nothing, rho), MADE_UP, 60) for name in POPULATIONS]

    assert np.mean([each.share(*REGRESSED) for each in figures]) <= 0.09  # 5 % of 240 and three standard errors
    assert np.mean([each.share(Verdict.PASSED) for each in figures]) >= 0.6


def test_one_broken_environment_of_five_is_found_by_twelve_seeds_and_never_passed() -> None:
    (case,) = (c for c in broken() if c.name == "-40 % on one" and c.where == "5 x td3, unpaired")
    figures = simulated(case, MADE_UP, 60)

    assert figures.share(Verdict.REGRESSED) >= 0.95
    assert figures.share(Verdict.PASSED) == 0
    assert figures.seeds <= 12


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_tenth_less_everywhere_is_found_with_four_pairs_of_seeds(name: str) -> None:
    (case,) = (c for c in everywhere() if c.populations == (name,) * FIVE and c.rho == 0.9 and "10" in c.name)
    figures = simulated(case, MADE_UP, 40)

    assert figures.share(Verdict.REGRESSED) >= 0.9
    assert figures.seeds <= 4


def test_pairing_finds_a_small_loss_more_often() -> None:
    apart, paired = (simulated(Case("-5 %", ("td3",) * FIVE, lower(0.05), rho), MADE_UP, 40) for rho in (None, 0.9))

    assert paired.share(*REGRESSED) > apart.share(*REGRESSED) + 0.2


def test_one_environment_whose_runs_collapse_half_of_the_time_seldom_passes() -> None:
    figures = simulated(Case("collapse", ("sac",) * FIVE, collapses(0.5), 0.9), MADE_UP, 40)

    assert figures.share(Verdict.PASSED) <= 0.1


@pytest.mark.parametrize(
    ("name", "spread", "skewness"), [("normal", 0.15, 0.0), ("td3", 0.14, -1.3), ("sac", 0.11, -5.4)]
)
def test_populations_have_the_moments_they_are_said_to_have(name: str, spread: float, skewness: float) -> None:
    scores = MADE_UP[name]

    assert scores.mean() == pytest.approx(1, abs=1e-4)
    assert scores.std() == pytest.approx(spread, abs=0.002)
    assert stats.skew(scores) == pytest.approx(skewness, abs=0.05)
    assert (np.diff(scores) >= 0).all()


def test_pairs_are_correlated_as_said_and_each_side_has_the_population() -> None:
    for name in MIXED:
        (old, _), (new, _) = (side.T for side in drawn([MADE_UP[name]] * 2, 4_000, 0.9, 0.0, np.random.default_rng(0)))
        assert 0.75 <= np.corrcoef(old, new)[0, 1] <= 0.92
        for side in (old, new):
            assert side.mean() == pytest.approx(1, abs=0.02)
            assert side.std() == pytest.approx(MADE_UP[name].std(), rel=0.1)


def test_a_row_does_not_depend_on_the_rows_before_it() -> None:
    case = Case("none", ("normal",), nothing)
    first = simulated(case, MADE_UP, 5)
    simulated(Case("-5 %", ("normal",), lower(0.05)), MADE_UP, 5)

    assert simulated(case, MADE_UP, 5) == first


def test_a_bar_names_its_worst_case_and_whoever_misses_it() -> None:
    good, bad = Case("none", ("normal",), nothing), Case("none", ("td3",), nothing)
    cases = {
        good: Figures(100, {Verdict.PASSED: 100}, 5.0),
        bad: Figures(100, {Verdict.PASSED: 90, Verdict.REGRESSED: 10}, 5.0),
    }
    bar = Bar("at most 5 %", cases, lambda f: f.share(Verdict.REGRESSED), 0.05, lambda f: f"{f.seeds:g} seeds")

    assert bar.row() == "| at most 5 % | 2 | 5 seeds (1 x td3, unpaired) | 1 x td3, unpaired: 5 seeds |"
    assert row(bad, cases[bad]).count("|") == len(COLUMNS) + 1
    assert "| 10.0 ± 3.0 |" in row(bad, cases[bad])
