"""The results folder: committed whole or not at all, and honest about what is broken."""

import contextlib
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pytest

from harness.storage.compaction import compact
from harness.storage.schema_tables import RUN_FILE
from harness.storage.store import Store, StoreError
from support.hostile import harness, stored_runs, write_suite
from support.results import Run, fingerprinted, rewritten, with_column, write_run

RUN = Run()
KEY = RUN.key


def commit(store: Store, status: str = "done", machine: str = "any") -> Path:
    with store.staging() as folder:
        place = write_run(folder, RUN)
        store.commit(place, {**RUN.row, "status": status, "machine": machine}, {})
    return store.folder / KEY


def machine_of(place: Path) -> str:
    return json.loads((place / RUN_FILE).read_text())["run"]["machine"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "suite")


def test_a_committed_run_is_done_and_leaves_no_staging_behind(store: Store):
    commit(store)
    assert store.is_done(KEY)
    assert list((store.folder / ".staging").iterdir()) == []


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout", "diverged", "interrupted", "skipped"])
def test_only_done_counts_as_complete(store: Store, status: str):
    commit(store, status=status)
    assert not store.is_done(KEY)


def test_a_new_attempt_takes_the_place_of_a_failed_one(store: Store):
    commit(store, status="failed", machine="old")
    place = commit(store, machine="new")
    assert store.is_done(KEY)
    assert machine_of(place) == "new"


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / "evaluations.parquet").write_bytes(b"tab"),
        lambda place: (place / "evaluations.parquet").unlink(),
        lambda place: (place / RUN_FILE).write_text("{"),
        lambda place: (place / RUN_FILE).write_text("[]"),
        lambda place: (place / RUN_FILE).write_bytes(b"\xff\xfe"),
        lambda place: (place / RUN_FILE).write_text('{"schema": 1, "run": null}'),
        lambda place: (place / RUN_FILE).unlink(),
    ],
)
def test_a_damaged_run_is_not_complete(store: Store, damage):
    place = commit(store)
    damage(place)
    assert not store.is_done(KEY)


@pytest.mark.parametrize("key", ["../x", "/etc", "", "0" * 19, "g" * 20, f"{KEY}\n"])
def test_only_a_key_becomes_a_folder(store: Store, tmp_path: Path, key: str):
    folder = tmp_path / "anything"
    folder.mkdir()
    with pytest.raises(ValueError, match="not a run key"):
        store.commit(folder, {"key": key}, {})


def test_a_failing_disk_leaves_the_earlier_result_in_place(store: Store, monkeypatch: pytest.MonkeyPatch):
    place = commit(store, machine="old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=f"{KEY}.*No space left"):
        commit(store, machine="new")
    assert store.is_done(KEY)
    assert machine_of(place) == "old"


def test_a_results_folder_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "suite").write_text("no folder")
    with pytest.raises(StoreError, match="suite: results cannot be written there"):
        Store(tmp_path / "suite")


def test_a_lock_excludes_other_sessions_until_it_is_released(store: Store):
    lock = store.lock(KEY)
    assert lock is not None
    assert Store(store.folder).lock(KEY) is None
    lock.release()
    assert store.lock(KEY) is not None


def test_the_lock_of_a_dead_process_is_free(store: Store):
    code = f"""
import os
from pathlib import Path
from harness.storage.store import Store
Store(Path({str(store.folder)!r})).lock({KEY!r})
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert store.lock(KEY) is not None


def test_staging_of_a_dead_session_is_cleared_and_of_a_live_one_is_not(store: Store):
    abandoned = store.folder / ".staging" / "dead"
    abandoned.mkdir()
    abandoned.with_suffix(".lock").touch()
    with store.staging() as alive:
        Store(store.folder).clear_abandoned()
        assert alive.is_dir()
    assert not abandoned.exists()


def test_locks_of_dead_sessions_are_cleared_and_of_live_ones_are_not(store: Store, tmp_path: Path):
    (store.folder / ".locks" / ("a" * 20)).touch()
    (store.folder / ".locks" / "link").symlink_to(tmp_path / "elsewhere")
    held = store.lock("b" * 20)
    Store(store.folder).clear_abandoned()
    assert {path.name for path in (store.folder / ".locks").iterdir()} == {"b" * 20, "link"}
    held.release()


def test_what_a_session_killed_at_its_very_beginning_leaves_is_cleared(store: Store, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        Store(store.folder)
    assert len(list((store.folder / ".staging").iterdir())) == 1
    Store(store.folder).clear_abandoned()
    assert list((store.folder / ".staging").iterdir()) == []


def test_processes_that_a_killed_session_left_at_work_are_ended(store: Store):
    abandoned = store.folder / ".staging" / "dead"
    (abandoned / "work").mkdir(parents=True)
    abandoned.with_suffix(".lock").touch()
    orphan = subprocess.Popen(["sleep", "600"], cwd=abandoned / "work")
    store.clear_abandoned()
    assert orphan.wait(timeout=10) == -9


@contextlib.contextmanager
def small_disk(place: Path, kibibytes: int) -> Iterator[Path]:
    """A file system of that size."""
    place.mkdir()
    size = f"size={kibibytes}k"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], check=False).returncode:
        pytest.skip("a small file system needs the right to mount one")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_ends_the_session_with_the_reason_and_loses_no_run(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady"], ["short"], 40)
    with small_disk(tmp_path / "disk", 600) as disk:
        full = harness("run", suite, "--out", str(disk / "results"), cwd=tmp_path)
        stored = stored_runs(disk)
        whole = [run for run in stored.values() if run["status"] == "done"]

        assert full.returncode == 2, full.stderr
        assert "No space left" in full.stderr
        assert 0 < len(whole) < 40
        assert all(Store(disk / "results" / "hostile").is_done(run["key"]) for run in whole[:3])


def test_a_truncated_run_is_named_and_run_again(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady"], ["short"], 2)
    assert harness("run", suite, cwd=tmp_path).returncode == 0
    before = stored_runs(tmp_path)
    broken, whole = sorted(before)
    table = tmp_path / "results" / "hostile" / broken / "evaluations.parquet"
    table.write_bytes(table.read_bytes()[:-10])
    listed = harness("results", "ls", cwd=tmp_path)
    again = harness("run", suite, cwd=tmp_path)
    after = stored_runs(tmp_path)

    assert str(table.relative_to(tmp_path)) in listed.stderr
    assert again.returncode == 0
    assert after[whole] == before[whole]
    assert after[broken]["fingerprint"] == before[broken]["fingerprint"]
    assert after[broken]["finished_at"] > before[broken]["finished_at"]


def test_compaction_changes_no_table_and_runs_stay_complete(tmp_path: Path):
    import harness as package

    suite = write_suite(tmp_path, ["steady", "in-step", "raises"], ["short"], 3)
    harness("run", suite, cwd=tmp_path)
    folder = tmp_path / "results" / "hostile"
    before = package.load(folder)
    folded = compact(Store(folder))
    after = package.load(folder)
    again = harness("run", suite, "-a", "steady", cwd=tmp_path)

    assert folded == 6
    assert len(stored_runs(tmp_path)) == 3  # what failed stays a folder
    for name in ("runs", "evaluations", "episodes", "diagnostics"):
        columns = list(getattr(before, name).columns)
        left, right = (
            getattr(results, name).sort_values(columns).reset_index(drop=True) for results in (before, after)
        )
        assert left.equals(right), name
    assert "3 complete, 0 to run" in again.stderr
    assert compact(Store(folder)) == 0


def test_a_forced_run_replaces_its_compacted_result(tmp_path: Path):
    import harness as package

    suite = write_suite(tmp_path, ["steady"], ["short"], 1)
    harness("run", suite, cwd=tmp_path)
    folder = tmp_path / "results" / "hostile"
    compact(Store(folder))
    first = package.load(folder).runs["finished_at"].item()
    harness("run", suite, "--force", cwd=tmp_path)
    compact(Store(folder))
    second = package.load(folder).runs["finished_at"].item()

    assert second > first
    assert len(package.load(folder).evaluations) == 6


def test_a_rerun_of_a_stored_run_has_the_same_fingerprint(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady"], ["short"], 1)
    harness("run", suite, cwd=tmp_path)
    [(key, run)] = stored_runs(tmp_path).items()
    same = harness("rerun", key[:8], cwd=tmp_path)
    assert same.returncode == 0, same.stderr
    assert f"{key}  same  {run['fingerprint']}" in same.stdout

    place = tmp_path / "results" / "hostile" / key
    rewritten(place, "evaluations", lambda table: with_column(table, "return", pc.add(table["return"], 1.0)))
    fingerprinted(place)
    different = harness("rerun", key[:8], cwd=tmp_path)
    assert different.returncode == 1
    assert "different" in different.stdout


def test_a_result_that_was_moved_away_by_a_killed_session_comes_back(store: Store):
    place = commit(store, machine="old")
    place.rename(store.folder / ".staging" / f"old-{KEY}-0")
    store.clear_abandoned()
    assert store.is_done(KEY)
    assert list((store.folder / ".staging").iterdir()) == []


def test_a_result_that_cannot_be_put_in_place_leaves_the_earlier_one(store: Store, monkeypatch: pytest.MonkeyPatch):
    place = commit(store, machine="old")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == KEY and ".staging" in self.parts:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StoreError):
        commit(store, machine="new")
    assert store.is_done(KEY)
    assert machine_of(place) == "old"


def test_skipping_takes_nothing_from_a_run_that_was_done_elsewhere(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady"], ["short"], 2)
    assert harness("run", suite, cwd=tmp_path).returncode == 0
    done = stored_runs(tmp_path)
    store = Store(tmp_path / "results" / "hostile")
    # As if these had been trained on a GPU that this machine lacks: their keys under the name of a skipped cell.
    for key in done:
        run = json.loads((store.folder / key / RUN_FILE).read_text())
        run["run"]["device"] = "cuda"
        (store.folder / key / RUN_FILE).write_text(json.dumps(run))
    _skip_all(store, list(done))
    assert all(store.is_done(key) for key in done)


def _skip_all(store: Store, keys: list[str]) -> None:
    """Let a runner meet these keys in a cell that cannot run here."""
    from types import SimpleNamespace

    from harness.running.runner import Runner

    cell = SimpleNamespace(keys=dict(enumerate(keys)), reason="no CUDA device on this machine")
    runner = Runner(store, None, None, None, None, None, 4.0)  # type: ignore[arg-type]
    runner._skip(cell)  # type: ignore[arg-type]
    assert runner._tally.complete == len(keys)


def test_a_forced_run_that_does_not_finish_takes_nothing_away(tmp_path: Path):
    suite = write_suite(tmp_path, ["slow"], ["short"], 1, steps=2_000)
    assert harness("run", suite, cwd=tmp_path).returncode == 0
    before = stored_runs(tmp_path)
    forced = harness("run", suite, "--force", "--time-limit", "0.5", cwd=tmp_path)

    assert forced.returncode == 3
    assert stored_runs(tmp_path) == before


def test_two_spellings_of_one_configuration_are_refused(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady", "steady[pause=0.0]"], ["short"], 1)
    refused = harness("run", suite, cwd=tmp_path)
    assert refused.returncode == 2
    assert "'hostile/steady' and 'hostile/steady[pause=0.0]'" in refused.stderr


def test_a_rerun_runs_no_code_that_a_results_file_names(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady"], ["short"], 1)
    harness("run", suite, cwd=tmp_path)
    [key] = stored_runs(tmp_path)
    path = tmp_path / "results" / "hostile" / key / RUN_FILE
    content = json.loads(path.read_text())
    job = content["manifest"]["job"]
    payload = f"import pathlib; pathlib.Path({str(tmp_path / 'pwned')!r}).touch()"
    job["environment"]["wrappers"] = [["timeit:timeit", {"setup": payload, "number": 1}]]
    job["target"] = "this"
    job["keys"] = [str(tmp_path / "outside")]
    path.write_text(json.dumps(content))
    same = harness("rerun", key, cwd=tmp_path)

    assert same.returncode == 0, same.stderr
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "outside").exists()


def test_a_rerun_of_another_version_is_refused(tmp_path: Path):
    suite = write_suite(tmp_path, ["steady"], ["short"], 1)
    harness("run", suite, cwd=tmp_path)
    [key] = stored_runs(tmp_path)
    path = tmp_path / "results" / "hostile" / key / RUN_FILE
    content = json.loads(path.read_text())
    content["run"]["config"] = '{"pause": 0.5}'
    path.write_text(json.dumps(content))
    refused = harness("rerun", key, cwd=tmp_path)
    assert refused.returncode == 2
    assert "is not what ran" in refused.stderr
