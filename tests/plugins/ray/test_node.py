"""The files of jobs, and where they lie on a node."""

import fcntl
import os
import tempfile

import pytest

node = pytest.importorskip("harness_ray.node", reason="harness-ray is no part of the set-up")


def test_files_come_back_as_they_were_but_what_a_trial_keeps_to_itself(tmp_path):
    (tmp_path / "key").mkdir()
    (tmp_path / "work").mkdir()
    for name in ("job.json", "key/runs.parquet", "work/junk"):
        (tmp_path / name).write_text(name)

    node.put(node.taken(tmp_path), tmp_path / "back")

    there = [path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*")]
    assert sorted(there) == ["job.json", "key", "key/runs.parquet"]
    assert (tmp_path / "back" / "key" / "runs.parquet").read_text() == "key/runs.parquet"


def test_no_file_comes_back_by_a_link(tmp_path):
    (tmp_path / "secret").write_text("of this node")
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "log.txt").symlink_to(tmp_path / "secret")
    (folder / "key").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")

    assert node.taken(folder) == {}


def test_of_a_log_without_end_the_end_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(node, "FILE_BYTES", 10)
    (tmp_path / "log.txt").write_text("something long that says why")

    assert node.taken(tmp_path) == {"log.txt": b"t says why"}


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/run.json", "key/../../run.json"])
def test_no_file_is_written_outside_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="not in its folder"):
        node.put({name: b""}, tmp_path)


def test_a_folder_that_a_killed_node_left_is_removed_and_one_in_use_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, used = (tmp_path / f"{node.PREFIX}{name}" for name in ("left", "used"))
    for place in (left, used):
        (place / "job").mkdir(parents=True)
        (place / node.LOCK).touch()
    with (used / node.LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with node._folder() as own:
            assert sorted(tmp_path.iterdir()) == sorted([own, used])

    assert list(tmp_path.iterdir()) == [used]
