"""Machines on which something is missing, or longer than usual: it works where it can, and says in a line where not."""

import errno
import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from harness.contract.errors import ExitCode
from harness.running import provenance
from harness.storage.files import StoreError
from harness.storage.store import Store, flush
from support.checkout import commit, git
from support.hostile import command, write_suite


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO])
def test_a_file_system_without_locks_is_named_before_anything_runs(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "suite")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'suite'}: files cannot be locked there ({os.strerror(number)})")
    assert "--out" in message
    assert not [path for path in (tmp_path / "suite").rglob("*") if path.is_file()]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP])
def test_a_folder_that_cannot_be_flushed_loses_no_run_but_a_file_does(tmp_path, monkeypatch, number):
    def fsync(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    flush(tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OSError, match=os.strerror(number)):
        flush(tmp_path / "file")


def test_a_long_temporary_folder_is_no_reason_not_to_run(tmp_path):
    suite = write_suite(tmp_path, ["hostile/steady"], ["cartpole"])
    place = tmp_path / ("t" * 90)
    place.mkdir()
    line, variables = command("run", suite)
    variables = {**variables, "TMPDIR": str(place), "HARNESS_PLUGINS": "hostile,environments"}
    ended = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=200)
    assert ended.returncode == ExitCode.YES, ended.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_an_encoding_lacks_is_shown_as_a_question_mark(tmp_path, encoding):
    line, variables = command("list", "environments")
    variables = {**variables, "PYTHONIOENCODING": encoding, "HARNESS_PLUGINS": "environments"}
    ended = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, timeout=100)
    assert ended.returncode == ExitCode.YES, ended.stderr
    assert b"environments/cartpole" in ended.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_that_git_distrusts_is_told(tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "VALUE = 1\n")
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 12345, 12345)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)
    assert "dubious ownership" in provenance.git()["complaint"]


def groups(folder: Path, monkeypatch, membership: str, **files: str) -> int:
    folder.mkdir(exist_ok=True)
    (folder / "membership").write_text(membership)
    for name, content in files.items():
        path = folder / "groups" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.setattr(provenance, "MEMBERSHIP", folder / "membership")
    monkeypatch.setattr(provenance, "GROUPS", folder / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    return provenance.cores()


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000\n", 64), ("400000 100000\n", 4), ("250000 100000\n", 2), ("50000 100000\n", 1)]
)
def test_jobs_follow_the_quota_of_a_container(tmp_path, monkeypatch, limit, cores):
    assert groups(tmp_path, monkeypatch, "0::/\n", cpu_DOT_max=limit) == cores


def test_the_quota_of_any_group_above_counts_also_in_version_1(tmp_path, monkeypatch):
    above = {"pod__cpu_DOT_max": "300000 100000", "pod__box__cpu_DOT_max": "max 100000"}
    assert groups(tmp_path / "two", monkeypatch, "0::/pod/box\n", **above) == 3
    old = {"cpu__box__cpu_DOT_cfs_quota_us": "500000", "cpu__box__cpu_DOT_cfs_period_us": "100000"}
    assert groups(tmp_path / "one", monkeypatch, "4:memory:/box\n3:cpu,cpuacct:/box\n", **old) == 5
