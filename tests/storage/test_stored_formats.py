"""Results are read for years: a folder of every format ever released stays here, and schemas may grow."""

import json
import shutil
from io import StringIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import harness
from harness.storage.compaction import compact
from harness.storage.store import Store, StoreError
from support.paths import TESTS
from support.results import Run, rewritten, write_compact, write_run, write_runs

FORMAT_1 = TESTS / "data" / "format-1"
STORED = ("runs", "evaluations", "episodes", "diagnostics")
SUMMARIES = (
    *("scores", "sample_efficiency", "wall_clock", "reliability", "failures"),
    *("aggregates", "profiles", "overall_curves", "trade_off", "left_out"),
)


def expected(name: str) -> pd.DataFrame:
    text = (FORMAT_1 / "tables" / f"{name}.json").read_text(encoding="utf-8")
    return pd.read_json(StringIO(text), orient="split", dtype=False, precise_float=True)


def as_json(table: pd.DataFrame) -> pd.DataFrame:
    text = table.to_json(orient="split", double_precision=15, date_format="iso")
    return pd.read_json(StringIO(text), orient="split", dtype=False, precise_float=True)


@pytest.fixture(scope="module")
def results() -> harness.Results:
    return harness.load(FORMAT_1 / "results")


@pytest.mark.parametrize("name", STORED)
def test_what_was_stored_in_format_1_reads_as_it_did(results, name):
    before, now = expected(name), as_json(getattr(results, name))
    pd.testing.assert_frame_equal(now[list(before)], before)
    assert not results.problems


@pytest.mark.parametrize("name", SUMMARIES)
def test_tables_of_runs_of_format_1_are_what_they_were(results, name):
    before, now = expected(name), as_json(getattr(results, name)())
    pd.testing.assert_frame_equal(now[list(before)], before, rtol=1e-9)


@pytest.mark.parametrize("against", ["step", "seconds"])
def test_curves_of_runs_of_format_1_are_what_they_were(results, against):
    before, now = expected(f"curves_{against}"), as_json(results.curves(against))
    pd.testing.assert_frame_equal(now[list(before)], before, rtol=1e-9)


CHANGES = {
    "a column that is not known": lambda table: table.append_column("mood", pa.array(["gay"] * len(table))),
    "columns in another order": lambda table: table.select(table.column_names[::-1]),
    "columns that may be null": lambda table: table.cast(
        pa.schema([field.with_nullable(True) for field in table.schema])
    ),
    "metadata of pandas": lambda table: table.replace_schema_metadata({"pandas": "{}"}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_table_that_has_grown_is_read_as_before(tmp_path, change):
    write_runs(tmp_path, [Run(seed=seed) for seed in range(3)])
    before = harness.load(tmp_path)
    for key in before.runs["key"]:
        rewritten(tmp_path / key, "evaluations", change)

    after = harness.load(tmp_path)

    assert not after.problems
    pd.testing.assert_frame_equal(after.evaluations, before.evaluations)


def test_a_missing_column_that_may_be_null_is_null(tmp_path):
    place = write_run(tmp_path, Run())
    rewritten(place, "diagnostics", lambda table: table.drop_columns(["value"]))

    results = harness.load(tmp_path)

    assert not results.problems
    assert results.diagnostics["value"].isna().all()


def test_a_missing_column_that_may_not_be_null_is_a_problem(tmp_path):
    place = write_run(tmp_path, Run())
    rewritten(place, "evaluations", lambda table: table.drop_columns(["length"]))

    (problem,) = harness.load(tmp_path).problems

    assert "not this table" in problem.message


def test_a_column_of_another_type_is_a_problem_and_named(tmp_path):
    place = write_run(tmp_path, Run())
    schema = pq.read_schema(place / "evaluations.parquet")
    as_text = schema.set(schema.get_field_index("length"), pa.field("length", pa.string(), False))
    rewritten(place, "evaluations", lambda table: table.cast(as_text))

    (problem,) = harness.load(tmp_path).problems

    assert problem.message == "not this table: length is string"


def test_a_run_of_a_newer_format_is_refused_by_name(tmp_path):
    place = write_run(tmp_path, Run())
    content = json.loads((place / "run.json").read_text(encoding="utf-8"))
    (place / "run.json").write_text(json.dumps({**content, "schema": 2}), encoding="utf-8")

    (problem,) = harness.load(tmp_path).problems

    assert problem.message.startswith("written by a newer harness, in format 2; this one reads formats up to 1")


def test_a_run_of_a_newer_format_is_never_run_again(tmp_path):
    place = write_run(tmp_path, Run())
    (place / "run.json").write_text('{"schema": 2}', encoding="utf-8")

    with pytest.raises(StoreError, match="newer harness"):
        Store(tmp_path).is_done(place.name)


def test_compacted_tables_of_a_newer_format_are_refused_by_name(tmp_path):
    write_runs(tmp_path, [Run()])
    compact(Store(tmp_path))
    path = tmp_path / "compact" / "runs.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({"harness.format": "2"}), path)

    (problem,) = harness.load(tmp_path).problems

    assert "format 2" in problem.message


def test_compacted_tables_without_a_format_are_of_the_first(tmp_path):
    write_compact(tmp_path, [Run()])

    assert len(harness.load(tmp_path).runs) == 1


def test_compacting_old_runs_again_keeps_their_tables(tmp_path):
    shutil.copytree(FORMAT_1 / "results", tmp_path / "golden")
    before = harness.load(tmp_path / "golden")
    compact(Store(tmp_path / "golden"))

    after = harness.load(tmp_path / "golden")

    pd.testing.assert_frame_equal(after.evaluations, before.evaluations)
    pd.testing.assert_frame_equal(after.scores(), before.scores())
