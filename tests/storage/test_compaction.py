"""Compaction: nothing that was stored is ever lost by it."""

import json
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

import harness
from harness.commands import cli
from harness.contract.errors import ExitCode
from harness.storage import compaction
from harness.storage.compaction import compact, remove
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


def test_what_a_compaction_that_was_killed_left_behind_is_cleared_by_the_next(tmp_path):
    write_run(tmp_path, Run(seed=0))
    abandoned = Store(tmp_path).folder / ".staging" / "dead"
    abandoned.mkdir()
    abandoned.with_suffix(".lock").touch()
    assert compact(Store(tmp_path)) == 1
    assert list((tmp_path / ".staging").iterdir()) == []


def test_a_folder_whose_removal_was_killed_half_way_does_not_come_back(tmp_path, monkeypatch):
    folder = write_run(tmp_path, Run(seed=0))

    def killed(path):
        for run_file in path.rglob("run.json"):
            run_file.unlink()
            raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("harness.storage.store.remove_tree", killed)
        compact(Store(tmp_path))
    Store(tmp_path).clear_abandoned()
    results = harness.load(tmp_path)
    assert not folder.exists()
    assert (len(results.runs), results.problems) == (1, ())


# Removing


def versions() -> list[Run]:
    return [Run(seed=seed, changes={"algorithm_version": version}) for seed in range(2) for version in ("1", "2")]


@pytest.mark.parametrize("compacted", [False, True])
def test_runs_that_nobody_wants_are_removed_and_no_others(tmp_path, compacted, capsys):
    write_runs(tmp_path, versions())
    if compacted:
        compact(Store(tmp_path))
    wanted = ["results", "rm", str(tmp_path), "algorithm_version=1"]
    assert cli.main(wanted) == ExitCode.YES
    assert len(harness.load(tmp_path).runs) == 4
    told = capsys.readouterr()
    assert "0 of 2 runs removed; --yes removes them" in told.err
    assert {line.split()[0] for line in told.out.splitlines()[1:]} == {run.key for run in versions()[::2]}
    assert cli.main([*wanted, "--yes"]) == ExitCode.YES
    assert "2 of 2 runs removed" in capsys.readouterr().err
    results = harness.load(tmp_path)
    assert not results.problems
    assert list(results.runs["algorithm_version"]) == ["2", "2"]
    assert set(results.evaluations["key"]) == {run.key for run in versions()[1::2]}


@pytest.mark.parametrize("wanted", [["version=1"], ["algorithm_version"], ["seed=1", "seed=2"]])
def test_what_names_no_column_removes_nothing(tmp_path, wanted, capsys):
    write_runs(tmp_path, versions())
    assert cli.main(["results", "rm", str(tmp_path), *wanted, "--yes"]) == ExitCode.USAGE
    assert "write COLUMN=VALUE" in capsys.readouterr().err
    assert len(harness.load(tmp_path).runs) == 4


def test_a_removal_that_was_killed_leaves_what_can_be_removed_again(tmp_path, monkeypatch):
    write_runs(tmp_path, versions())
    compact(Store(tmp_path))
    keys, flush = [run.key for run in versions()[::2]], compaction.flush

    def killed(path):
        flush(path)
        if path.name != "runs.parquet":
            raise KeyboardInterrupt

    monkeypatch.setattr(compaction, "flush", killed)
    with pytest.raises(KeyboardInterrupt):
        remove(Store(tmp_path), keys)
    monkeypatch.undo()
    assert not harness.load(tmp_path).problems
    assert list(harness.load(tmp_path).runs["algorithm_version"]) == ["2", "2"]


def test_a_run_that_another_session_is_at_work_on_is_not_removed(tmp_path):
    write_runs(tmp_path, versions())
    store, keys = Store(tmp_path), [run.key for run in versions()]
    lock = store.lock(keys[0])
    assert remove(store, keys) == 3
    assert list(harness.load(tmp_path).runs["key"]) == keys[:1]
    lock.release()


def test_no_key_of_a_stranger_leads_out_of_the_results(tmp_path):
    outside = write_run(tmp_path, Run())
    write_compact(tmp_path / "suite", [Run()])
    path = tmp_path / "suite" / "compact" / "runs.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, table.schema.field("key"), [[f"../{outside.name}"]]), path)
    (problem,) = harness.load(tmp_path / "suite").problems
    assert "is no key" in problem.message
    with pytest.raises(StoreError):
        remove(Store(tmp_path / "suite"), [f"../{outside.name}"])
    assert outside.is_dir()
