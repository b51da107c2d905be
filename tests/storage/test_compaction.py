"""Compaction: nothing that was stored is ever lost by it."""

import json
import shutil

import pandas as pd
import pytest

import harness
from harness.storage import compaction
from harness.storage.compaction import compact
from harness.storage.schema_tables import TABLES
from harness.storage.store import Store, StoreError
from support.results import Run, write_compact, write_run, write_runs


@pytest.mark.parametrize("name", ["runs", *TABLES])
def test_nothing_is_compacted_beside_a_damaged_compacted_table(tmp_path, name):
    write_compact(tmp_path, [Run(seed=0)])
    folder = write_run(tmp_path, Run(seed=1))
    damaged = tmp_path / "compact" / f"{name}.parquet"
    damaged.write_bytes(b"PAR1 and then nothing")
    before = {path: path.read_bytes() for path in (tmp_path / "compact").iterdir()}
    with pytest.raises(StoreError, match=f"compact/{name}.parquet"):
        compact(Store(tmp_path))
    assert {path: path.read_bytes() for path in (tmp_path / "compact").iterdir()} == before
    assert folder.is_dir()


def test_a_damaged_folder_stays_and_the_others_are_compacted(tmp_path):
    write_runs(tmp_path, [Run(seed=0), Run(seed=1)])
    damaged = tmp_path / Run(seed=1).key
    (damaged / "episodes.parquet").write_bytes(b"PAR1 and then nothing")
    assert compact(Store(tmp_path)) == 1
    assert damaged.is_dir()
    assert list(harness.load(tmp_path).runs["seed"]) == [0]


def test_the_folder_of_a_run_that_another_session_is_at_work_on_stays(tmp_path):
    folders = [write_run(tmp_path, Run(seed=seed)) for seed in range(2)]
    store = Store(tmp_path)
    lock = store.lock(folders[0].name)
    assert compact(store) == 1
    assert [folder.is_dir() for folder in folders] == [True, False]
    lock.release()
    assert compact(store) == 1
    assert list(harness.load(tmp_path).runs["seed"]) == [0, 1]


def test_a_result_that_was_stored_anew_while_compacting_stays(tmp_path, monkeypatch):
    folder = write_run(tmp_path, Run(seed=0))
    store, write = Store(tmp_path), compaction._write

    def write_slowly(*arguments):
        write(*arguments)
        row = {**Run(seed=0).row, "machine": "another session's"}
        with store.staging() as staging:
            shutil.copytree(folder, staging / folder.name)
            store.commit(staging / folder.name, row, {})

    monkeypatch.setattr(compaction, "_write", write_slowly)
    assert compact(store) == 0
    assert json.loads((folder / "run.json").read_text())["run"]["machine"] == "another session's"
    assert list(harness.load(tmp_path).runs["machine"]) == ["another session's"]


def test_compacted_runs_are_read_by_pandas_alone(tmp_path):
    write_runs(tmp_path, [Run(seed=seed) for seed in range(3)])
    before = harness.load(tmp_path)
    compact(Store(tmp_path))
    runs = pd.read_parquet(tmp_path / "compact" / "runs.parquet")
    evaluations = pd.read_parquet(tmp_path / "compact" / "evaluations.parquet")
    returns = evaluations.merge(runs[["key", "algorithm"]], on="key").sort_values("key", kind="stable")["return"]
    assert list(runs.sort_values("seed")["key"]) == list(before.runs["key"])
    assert list(returns) == list(before.evaluations.astype({"key": "str"}).sort_values("key", kind="stable")["return"])
