"""Files that strangers left are read only if they are regular and no larger than expected."""

import os
from pathlib import Path

import pytest

from harness.storage.files import read_bytes


def test_a_regular_file_up_to_the_limit_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bytes(tmp_path / "file", 5) == b"12345"


def test_one_byte_more_is_refused_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123456")
    with pytest.raises(ValueError, match="larger than 5 bytes"):
        read_bytes(tmp_path / "file", 5)


def test_a_sparse_file_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", 2**40)
    with pytest.raises(ValueError, match="larger than"):
        read_bytes(tmp_path / "file", 100)


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    with pytest.raises(ValueError, match="not a regular file"):
        read_bytes(tmp_path / "file", 100)


@pytest.mark.parametrize("target", ["/dev/zero", "/proc/self/mem"])
def test_links_are_refused_wherever_they_lead(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        read_bytes(tmp_path / "file", 100)


def test_files_without_a_size_are_read_no_further_than_the_limit() -> None:
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_bytes(Path("/proc/self/status"), 10)


@pytest.mark.parametrize("path", ["/dev/zero", "/"])
def test_devices_and_folders_are_refused(path: str) -> None:
    with pytest.raises((ValueError, OSError), match=r"not a regular file|Is a directory"):
        read_bytes(Path(path), 100)


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "file", 100)
