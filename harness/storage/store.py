"""The results folder of a suite: one folder per run, committed whole or not at all.

A run is written beside its place, flushed to disk and renamed, so that a kill at any moment leaves either the
old state or the new one. Two sessions on one folder cooperate through locks on run keys, which the operating
system drops when their holder dies.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.storage.files import StoreError
from harness.storage.orphans import end_processes_in
from harness.storage.results_files import StoredRuns
from harness.storage.schema_tables import COMPACT_FOLDER, KEY, RUN_FILE, RUN_FORMAT

STAGING = ".staging"
LOCKS = ".locks"
DETACHED = ".detached"  # jobs that outlive their session, and of each of their runs a record, <key>.json
OLD = "old-"  # followed by the key of the result that was moved away


class Lock:
    """The right to run a key, held until released or until this process ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the key back."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


class Store(StoredRuns):
    """Reads and writes ``results/<suite>``, made if missing; a `StoreError` if it cannot be, or parts lie elsewhere.

    One that is not to be written is neither made nor tried.
    """

    def __init__(self, folder: Path, writes: bool = True) -> None:
        super().__init__(folder)
        for part in (STAGING, LOCKS, DETACHED, COMPACT_FOLDER):
            if (folder / part).is_symlink():  # as archives of strangers may hold them
                raise StoreError(f"{folder / part}: is a link, and what it leads to would be written; remove it")
        if not writes:
            return
        try:
            for place in (folder, folder / STAGING, folder / LOCKS):
                place.mkdir(parents=True, exist_ok=True)
            probe = folder / STAGING / f"{uuid.uuid4().hex}.lock"  # as of a session: a kill leaves nothing for ever
            probe.write_bytes(b"x")
            try:
                if (held := _lock(probe)) is not None:
                    os.close(held)
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: results cannot be written there: {error}") from error

    def lock(self, key: str) -> Lock | None:
        """The right to run a key, or None while another process holds it."""
        path = self.folder / LOCKS / key
        while True:
            descriptor = _lock(path)
            if descriptor is None:
                return None
            # A holder that released between open and lock took the file's name away: then it locks nothing.
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    return Lock(path, descriptor)
            os.close(descriptor)

    def is_detached(self, key: str) -> bool:
        """Whether a session that is gone has left this key in flight; ask with the lock on it."""
        return os.path.lexists(self.folder / DETACHED / f"{key}.json")

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A private folder inside the store, removed at the end."""
        path = (self.folder / STAGING / uuid.uuid4().hex).absolute()
        lock = _lock(path.with_suffix(".lock"))
        path.mkdir()
        try:
            yield path
        finally:
            remove_tree(path)
            path.with_suffix(".lock").unlink(missing_ok=True)
            if lock is not None:
                os.close(lock)

    def clear_abandoned(self) -> None:
        """Remove what killed sessions left behind, and end processes that still work there."""
        for path in (self.folder / STAGING).glob("*.lock"):
            if (lock := _lock(path)) is not None:
                work = path.with_suffix("")
                if not work.is_symlink():  # to others' work, as a stranger's archive may hold it
                    end_processes_in(work)
                remove_tree(work)
                path.unlink(missing_ok=True)
                os.close(lock)
        for path in (self.folder / STAGING).glob(f"{OLD}*"):
            self._settle(path)
        for path in (self.folder / LOCKS).iterdir():
            if path.is_file() and not path.is_symlink() and (held := self.lock(path.name)) is not None:
                held.release()

    def _settle(self, old: Path) -> None:
        """Remove a result that was moved away; bring it back if its session was killed before the new one came."""
        key = old.name.split("-")[1]
        lock = self.lock(key) if KEY.fullmatch(key) else None
        if lock is None:  # its session is alive and in the middle of it, or this is nothing of ours
            return
        try:
            if os.path.lexists(self.folder / key):
                remove_tree(old)
            else:
                old.rename(self.folder / key)
        finally:
            lock.release()

    def commit(self, folder: Path, run: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        """Make a staged folder the result of its run; a `StoreError` if it cannot be: what was there before stays."""
        key = run["key"]
        if KEY.fullmatch(key) is None:
            raise ValueError(f"not a run key: {key!r}")
        try:
            files = {path.name: _checksum(path) for path in sorted(folder.iterdir()) if path.name != RUN_FILE}
            content = {"schema": RUN_FORMAT, "run": dict(run), "manifest": {**manifest, "files": files}}
            (folder / RUN_FILE).write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")
            for path in (*folder.iterdir(), folder):
                flush(path)
            self._swap(folder, self.folder / key)
            flush(self.folder)
        except OSError as error:
            raise StoreError(f"{self.folder / key}: the run could not be stored: {error}") from error

    def _swap(self, folder: Path, place: Path) -> None:
        """Rename a folder into its place, moving away an earlier attempt; what fails is undone."""
        old = self.folder / STAGING / f"{OLD}{place.name}-{uuid.uuid4().hex}"
        replaces = os.path.lexists(place)
        if replaces:
            place.rename(old)
        try:
            folder.rename(place)
        except OSError:
            if replaces:
                old.rename(place)
            raise
        remove_tree(old)

    def discard(self, folder: Path) -> None:
        """Remove the folder of a run that is stored elsewhere: it is gone at once, or still whole."""
        with self.staging() as gone:  # whence nothing comes back
            folder.rename(gone / folder.name)


def _lock(path: Path) -> int | None:
    """The descriptor of a lock on a file, made if missing; None while another process holds it."""
    try:
        path.parent.mkdir(exist_ok=True)  # a trial may have removed it
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o644)
    except OSError as error:  # also of a link, which may lead to anybody's file
        raise StoreError(f"{path}: cannot be locked: {error.strerror}; remove it") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        why = f"files cannot be locked there ({error.strerror}), so two sessions could spoil each other's runs"
        raise StoreError(f"{path.parent.parent}: {why}; choose another folder with --out") from None
    return descriptor


def remove_tree(path: Path) -> None:
    """Remove a folder, however deep and whatever its permissions; of a link, or what else is there, the name alone."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    left = [path]
    with contextlib.suppress(OSError):
        path.chmod(0o700)
    while left:  # `shutil.rmtree` calls itself for each level, and gives up after a thousand
        folder = left.pop()
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                for name in os.listdir(descriptor):
                    left += _unlinked(name, descriptor, path)
            finally:
                os.close(descriptor)
            if folder != path:
                folder.rmdir()
    with contextlib.suppress(OSError):
        path.rmdir()


def _unlinked(name: str, parent: int, top: Path) -> list[Path]:
    """Unlink what is no folder; move what is one up to ``top``, so that no path grows long, and return it."""
    try:
        os.unlink(name, dir_fd=parent)
    except (IsADirectoryError, PermissionError):  # Linux and macOS
        with contextlib.suppress(OSError):
            os.chmod(name, 0o700, dir_fd=parent)
            moved = top / uuid.uuid4().hex
            os.rename(name, moved, src_dir_fd=parent)
            return [moved]
    return []


def _checksum(path: Path) -> str:
    """SHA-256 of a file; empty if it cannot be read, which equals no checksum."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on disk; many file systems cannot say so of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno == errno.EIO or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
