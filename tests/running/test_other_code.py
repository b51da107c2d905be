"""A job that comes from another machine runs only where the same code is installed."""

import json
from pathlib import Path

import pytest

from harness import api
from harness.conformance.executors import Bench
from harness.contract.executor import Executor, ExecutorOptions
from harness.running import provenance
from harness.running.executor_local import LocalExecutor

PLUGIN = "harness-algorithms"


def outcome(folder: Path, executor: Executor, **changed: str) -> "tuple[str, str]":
    """Status and error of a job that was made where versions or sources are so changed."""
    told = {kind: dict(facts) for kind, facts in api.code(PLUGIN).items()}
    told["versions"] |= {name.replace("_", "-"): version for name, version in changed.items() if version != "source"}
    told["sources"] |= {name.replace("_", "-"): "0" * 12 for name, version in changed.items() if version == "source"}
    folder.mkdir()
    bench, start = Bench(executor, folder), executor.start

    def start_with_code(job):
        path = job.folder / "job.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "code": told}))
        start(job)

    executor.start = start_with_code
    try:
        _, left = bench.end(bench.start())
    finally:
        executor.close()
    return left.status, left.error


def test_the_same_code_runs_and_another_is_refused_with_both_named(tmp_path):
    def there(name: str, **changed: str) -> "tuple[str, str]":
        return outcome(tmp_path / name, LocalExecutor(ExecutorOptions(1), from_afar=True), **changed)

    here = provenance.source(PLUGIN)
    assert there("same") == ("done", "")
    status, error = there("version", rl_harness="0.0.9")
    assert status == "failed" and "other code than the one that started the suite: rl-harness is 0.1.0 here" in error
    assert "rl-harness is 0.1.0 here and 0.0.9 there" in error
    status, error = there("source", harness_algorithms="source")
    assert status == "failed" and f"the source of {PLUGIN} is {here} here and {'0' * 12} there" in error


def test_jobs_of_this_machine_are_not_asked(tmp_path):
    assert outcome(tmp_path / "own", LocalExecutor(ExecutorOptions(1)), rl_harness="0.0.9") == ("done", "")


@pytest.mark.parametrize(
    ("wanted", "difference"),
    [({"python": "3.99.0"}, ""), ({"fake-none": "1"}, "fake-none is missing here and 1 there")],
)
def test_of_versions_those_that_change_results_count(wanted, difference):
    assert provenance.differences({"versions": wanted, "sources": {}}) == difference


def test_builds_of_one_version_of_a_library_are_the_same():
    version = provenance.versions()["torch"].partition("+")[0]
    assert provenance.differences({"versions": {"torch": f"{version}+other"}, "sources": {}}) == ""


def test_a_source_is_told_by_what_its_files_hold(install):
    module = install("one", "x = 1")
    before = provenance.source("dist-one")
    provenance.source.cache_clear()
    module.write_text("x = 2")

    assert before != provenance.source("dist-one") != ""
    assert provenance.source("fake-none") == ""
