"""Fixtures that several test modules use."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from harness.running.job_files import SAME_DIGITS
from support.fake_distributions import Install, write_distribution

os.environ.update(SAME_DIGITS)  # as in the process of a trial; MKL reads it at its first product

# The same examples at every call, however slow the machine: what passed here passes in CI.
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Make distributions importable for one test; what they import is forgotten after it."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield lambda name, code="", **metadata: write_distribution(folder, name, code, **metadata)
    for module in set(sys.modules) - before:
        if module.startswith("fake_"):
            del sys.modules[module]
