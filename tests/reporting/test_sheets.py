import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import harness
from harness.reporting import cells, sheet_formats, sheets
from support.games import several
from support.results import CARTPOLE, Run, write_run, write_runs

HOSTILE = 'a/x[note="<script>alert(1)</script> $\\\\alpha$ 100% a_b {c} & #1 ~ ^ | `code` *b*"]'


def load(tmp_path, *runs):
    return harness.load(write_runs(tmp_path, runs))


def headings(sheet):
    return [column.heading for column in sheet.columns]


def cell(sheet, heading, row=0):
    return sheet.rows[row][headings(sheet).index(heading)]


@pytest.fixture
def hostile(tmp_path):
    return load(tmp_path, Run(HOSTILE, changes={"algorithm_id": "a/x"}))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (491.45, "491.4"),
        (500.0, "500.0"),
        (-0.00123456, "-0.001235"),
        (0.0, "0.000"),
        (-1e-300, "-1.000e-300"),
        (1234.5, "1,234"),
        (-43210.0, "-43,210"),
        (999.97, "1000"),
        (np.nan, "–"),
    ],
)
def test_numbers_have_four_significant_digits(value, text):
    assert cells.number(value) == text


def test_a_number_that_rounds_to_zero_has_no_sign():
    assert cells.number(-0.0001, ".3f") == "0.000"


def test_every_sheet_tells_how_many_runs_are_done_and_how_many_failed(tmp_path):
    results = load(tmp_path, Run(seed=0), Run(seed=1), Run(seed=2, status="crashed", scores=()))
    for sheet in (sheets.scores, sheets.sample_efficiency, sheets.wall_clock, sheets.overview):
        made = sheet(results)
        assert (cell(made, "n"), cell(made, "failed")) == ("2", "1"), made.name
        assert "not run" not in headings(made)


def test_runs_that_never_ran_get_a_column_where_there_are_some(tmp_path):
    results = load(tmp_path, Run(seed=0), Run(seed=1, status="skipped", error="no"))
    assert cell(sheets.scores(results), "not run") == "1"


@pytest.mark.parametrize("sheet", [sheets.scores, sheets.sample_efficiency, sheets.overview])
def test_a_mean_score_without_an_interval_says_why(tmp_path, sheet):
    assert cell(sheet(load(tmp_path / "few", Run(seed=0), Run(seed=1))), "95 % interval") == "n < 4"
    unknown = replace(CARTPOLE, random=None)
    runs = [Run(environment=unknown, seed=seed) for seed in range(4)]
    assert cell(sheet(load(tmp_path / "unknown", *runs)), "95 % interval") == "no random score"


def test_a_median_beyond_the_budget_is_not_reached(tmp_path):
    sheet = sheets.sample_efficiency(load(tmp_path, Run(seed=0, scores=(0, 0, 0))))
    assert cell(sheet, "reached") == "0/1"
    assert cell(sheet, "median steps") == "not reached (n < 6)"
    assert cell(sheet, "restricted mean steps") == "20,000 (n < 3)"


def test_the_device_is_a_column_only_where_there_are_several(tmp_path):
    assert headings(sheets.scores(load(tmp_path / "a", Run())))[:3] == ["environment", "algorithm", "n"]
    both = load(tmp_path / "b", Run(), Run(changes={"device": "cuda"}))
    assert headings(sheets.scores(both))[:3] == ["environment", "algorithm", "device"]


def test_gpu_memory_is_a_column_only_where_it_was_measured(tmp_path):
    assert "GPU MiB" not in headings(sheets.wall_clock(load(tmp_path / "a", Run())))
    measured = load(tmp_path / "b", Run(changes={"peak_gpu_memory_mib": 123.4}))
    assert cell(sheets.wall_clock(measured), "GPU MiB") == "123 (n < 3)"


def test_failures_with_one_reason_share_a_row(tmp_path):
    trace = "Traceback (most recent call last):\n  File x\nValueError: bad"
    runs = [Run(seed=seed, status="failed", error=trace, scores=()) for seed in (0, 1, 2, 7)]
    sheet = sheets.failures(load(tmp_path, *runs, Run(seed=5, status="timeout", scores=())))
    rows = [dict(zip(headings(sheet), row, strict=True)) for row in sheet.rows]
    assert [(row["status"], row["n"], row["seeds"], row["reason"]) for row in rows] == [
        ("failed", "4", "0–2, 7", "ValueError: bad"),
        ("timeout", "1", "5", "no reason was recorded"),
    ]


def test_csv_has_full_precision_and_every_row(tmp_path):
    results = load(tmp_path, *(Run(seed=seed, scores=(0, 1, 1 / 3 + seed)) for seed in range(3)))
    back = pd.read_csv(io.StringIO(sheet_formats.csv(sheets.scores(results))))
    assert back["mean"][0] == results.scores()["mean"][0]


def test_plain_text_is_aligned_and_prints_no_control_character(tmp_path):
    run = Run("a/x\x1b[31m", changes={"algorithm_id": "a/x"})
    text = sheet_formats.plain(sheets.overview(load(tmp_path, run)))
    header, row = text.splitlines()
    assert "\x1b" not in text
    assert header.index("mean") + len("mean") == row.index("40.00") + len("40.00")


def test_markdown_keeps_names_in_their_cells(hostile):
    text = sheet_formats.markdown(sheets.scores(hostile))
    table = [line for line in text.splitlines() if line.startswith("|")]
    columns = [len(line.replace("\\|", "").split("|")) for line in table]
    assert len(set(columns)) == 1
    assert r"\<script\>" in text
    assert r"\`code\` \*b\*" in text


def test_latex_escapes_every_special_character(hostile):
    text = sheet_formats.latex(sheets.scores(hostile))
    for written in (r"\textless{}script\textgreater{}", r"\$", r"\%", r"a\_b", r"\{c\}", r"\&", r"\#1"):
        assert written in text
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert body.replace(r"\&", "").count("&") == len(sheets.scores(hostile).columns) - 1


def test_latex_writes_minus_signs_as_minus_signs(tmp_path):
    task = replace(CARTPOLE, random=-200.0)
    write_run(tmp_path, Run(environment=task, scores=(-200.0, -150.0, -150.0)))
    assert "$-$150.0" in sheet_formats.latex(sheets.scores(harness.load(tmp_path)))


def test_a_median_that_is_nowhere_reached_is_said_once(tmp_path):
    runs = [Run(seed=seed, scores=(0, 0, 0)) for seed in range(6)]
    sheet = sheets.sample_efficiency(load(tmp_path, *runs))
    assert cell(sheet, "median steps") == "not reached"
    assert cell(sheet, "median s") == "not reached"


def test_a_speed_that_so_few_runs_do_not_bound_is_open_above(tmp_path):
    runs = [Run(seed=seed, seconds=s) for seed, s in enumerate((1.0, 1.0, 10.0))]
    sheet = sheets.wall_clock(load(tmp_path, *runs))
    assert cell(sheet, "steps/s").endswith("to ∞)")
    assert "(0.00 to" in cell(sheet, "train s")


def test_ratings_are_whole_points_and_open_ends_infinite(tmp_path):
    sheet = sheets.ratings(load(tmp_path, *several("random", "dqn", 5, 5, 5)))
    assert [row[:4] for row in sheet.rows] == [
        ("tic-tac-toe", "dqn", "algorithm", "597"),
        ("tic-tac-toe", "random", "opponent", "0"),
    ]
    assert re.fullmatch(r"-?\d+ to ∞", cell(sheet, "95 % interval"))
    assert cell(sheet, "95 % interval", 1) == cells.NONE
    assert "higher" in cell(sheet, "note")


@pytest.mark.parametrize(
    ("points", "text"), [(-0.3, "0"), (-150.4, "-150"), (-float("inf"), "-∞"), (float("nan"), cells.NONE)]
)
def test_points_of_elo_have_no_fractions(points, text):
    assert cells.elo(points) == text
