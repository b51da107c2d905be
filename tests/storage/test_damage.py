"""Files of strangers: no kind of file hangs or ends a command, and what one command calls damaged is done for none."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import harness as package
from harness.commands import cli
from harness.contract.errors import ExitCode
from harness.measuring.description import RunOutcome, TrialOutcome
from harness.storage import results_files
from harness.storage.compaction import compact
from harness.storage.files import StoreError
from harness.storage.results_files import StoredRuns
from harness.storage.store import Store
from support.damage import FILES, NO_FILES, replaced, text_with
from support.hostile import HOSTILE, harness, stored_runs, write_suite
from support.results import Run, edited, rewritten, with_column, write_compact, write_run, write_runs

RUNS = [Run(seed=0), Run(seed=1)]
KEY = RUNS[1].key


def damage_of(folder: Path) -> str:
    """What is wrong with the second of two runs, which is neither read nor done; the first is both."""
    results, stored = package.load(folder), StoredRuns(folder)
    assert list(results.runs["seed"]) == [0]
    (problem,) = results.problems
    assert Path(problem.path).is_relative_to(folder / KEY)
    assert stored.is_done(RUNS[0].key)
    assert not stored.is_done(KEY)
    assert list(stored.problems) == [problem.path]
    return problem.message


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_regular_file_is_damage_and_opened_by_nobody(tmp_path: Path, kind: str, file: str):
    write_runs(tmp_path, RUNS)
    replaced(tmp_path / KEY / file, NO_FILES[kind])
    message = damage_of(tmp_path)
    if kind in ("a FIFO", "a socket", "a folder", "a link to a device"):
        assert message == "not a regular file"
    if kind == "a sparse file":
        assert "larger than such a file can be: 1,099,511,627,776 bytes" in message


def test_a_link_to_a_regular_file_is_read(tmp_path: Path):
    """As git-annex and data sets on other disks have them."""
    write_runs(tmp_path / "suite", RUNS)
    path = tmp_path / "suite" / KEY / "evaluations.parquet"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert not package.load(tmp_path / "suite").problems


@pytest.mark.parametrize(
    ("column", "literal"),
    [
        ("random_score", "1" + "0" * 30),
        ("train_seconds", "18446744073709551616"),
        ("reference_score", "-9223372036854775808"),
        ("threshold", "1e300"),
        ("threshold", "1e999"),
        ("seed", "9223372036854775808"),
        ("threads", "2147483648"),
        ("steps", "-1"),
    ],
)
def test_a_number_that_no_table_can_hold_is_damage(tmp_path: Path, column: str, literal: str):
    write_runs(tmp_path, RUNS)
    text_with(tmp_path / KEY / "run.json", f"run.{column}", literal)
    assert damage_of(tmp_path).startswith(f"run.{column}: ")


@pytest.mark.parametrize("literal", ["NaN", "-Infinity", "1" * 5_000, "[" * 100_000])
def test_what_json_has_no_form_for_is_damage(tmp_path: Path, literal: str):
    write_runs(tmp_path, RUNS)
    text_with(tmp_path / KEY / "run.json", "manifest.x", literal)
    assert damage_of(tmp_path).startswith("not a readable JSON file: ")


@pytest.mark.parametrize("manifest", ["[]", "5", "null", '"x"'])
def test_a_manifest_that_is_no_table_is_damage(tmp_path: Path, manifest: str):
    write_runs(tmp_path, RUNS)
    text_with(tmp_path / KEY / "run.json", "manifest", manifest)
    assert damage_of(tmp_path) == 'must hold the tables "run" and "manifest"'


@pytest.mark.parametrize(
    "files", ["[1]", "7", "null", '"abc"', '{"/dev/zero": "x"}', '{"../../x": 1}', '{"a\\u0000b": 1}']
)
def test_no_name_in_a_manifest_becomes_a_path(tmp_path: Path, files: str):
    write_runs(tmp_path, RUNS)
    text_with(tmp_path / KEY / "run.json", "manifest.files", files)
    assert not package.load(tmp_path).problems
    assert StoredRuns(tmp_path).is_done(KEY)


def test_nullable_columns_beside_others_are_read(tmp_path: Path):
    write_runs(tmp_path, RUNS)
    for name in ("evaluations", "episodes"):
        rewritten(tmp_path / KEY, name, lambda t: t.cast(pa.schema([f.with_nullable(True) for f in t.schema])))
    assert len(package.load(tmp_path).runs) == 2
    assert StoredRuns(tmp_path).is_done(KEY)
    assert compact(Store(tmp_path)) == 2


@pytest.mark.parametrize("name", ["evaluations", "episodes"])
def test_rows_that_are_there_three_times_do_not_fit_the_fingerprint(tmp_path: Path, name: str):
    write_runs(tmp_path, RUNS)
    rewritten(tmp_path / KEY, name, lambda table: pa.concat_tables([table] * 3))
    assert "not those of the run's fingerprint" in damage_of(tmp_path)


@pytest.mark.parametrize("name", ["evaluations", "episodes"])
def test_compacted_rows_that_are_there_three_times_do_not_fit_either(tmp_path: Path, name: str):
    write_compact(tmp_path, RUNS)
    path = tmp_path / "compact" / f"{name}.parquet"
    table = pq.read_table(path)
    again = table.filter(pc.equal(table["key"], KEY))
    pq.write_table(pa.concat_tables([table, again, again]), path)
    results, stored = package.load(tmp_path), StoredRuns(tmp_path)
    assert list(results.runs["seed"]) == [0]
    assert [problem.key for problem in results.problems] == [KEY]
    assert [stored.is_done(run.key) for run in RUNS] == [True, False]


def test_bits_that_flip_in_a_compacted_table_are_seen(tmp_path: Path):
    write_runs(tmp_path, RUNS)
    compact(Store(tmp_path))
    path = tmp_path / "compact" / "diagnostics.parquet"
    content, column = bytearray(path.read_bytes()), pq.read_metadata(path).row_group(0).column(3)
    content[column.data_page_offset + column.total_compressed_size - 3] ^= 1
    path.write_bytes(content)
    (problem,) = package.load(tmp_path).problems
    assert problem.path == str(path)


def test_a_small_file_that_would_fill_the_memory_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results_files, "ROOM", 10_000)
    monkeypatch.setattr(results_files, "EXPANSION", 1)
    write_runs(tmp_path, RUNS)
    zeros = lambda table: with_column(table.take([0] * 10_000), "return", pa.array(np.zeros(10_000)))  # noqa: E731
    rewritten(tmp_path / KEY, "evaluations", zeros)
    assert "in memory" in damage_of(tmp_path)


def test_text_that_is_no_unicode_is_damage(tmp_path: Path):
    write_runs(tmp_path, RUNS)
    column = pa.array([b"\xff\xfe"] * 3, pa.binary()).view(pa.string())
    rewritten(tmp_path / KEY, "diagnostics", lambda table: with_column(table, "name", column))
    assert damage_of(tmp_path).startswith("not a readable Parquet file")


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_compacted_run_that_is_not_done_is_not_complete(tmp_path: Path, status: str):
    run = Run(status=status, error="why", scores=())
    write_compact(tmp_path, [run])
    assert not StoredRuns(tmp_path).is_done(run.key)


# What is written, and where


def test_an_empty_compact_folder_holds_nothing(tmp_path: Path):
    """As a first compaction leaves it that was killed at once."""
    write_runs(tmp_path, RUNS)
    (tmp_path / "compact").mkdir()
    assert not package.load(tmp_path).problems
    assert compact(Store(tmp_path)) == 2


def test_a_first_compaction_that_was_killed_between_two_tables_is_done_again(tmp_path: Path):
    write_runs(tmp_path / "whole", RUNS)
    compact(Store(tmp_path / "whole"))
    write_runs(tmp_path / "killed", RUNS)
    (tmp_path / "killed" / "compact").mkdir()
    (tmp_path / "whole" / "compact" / "evaluations.parquet").rename(tmp_path / "killed/compact/evaluations.parquet")
    assert not package.load(tmp_path / "killed").problems
    assert compact(Store(tmp_path / "killed")) == 2
    assert len(package.load(tmp_path / "killed").runs) == 2


def test_compacted_tables_whose_list_of_runs_was_lost_are_kept_and_named(tmp_path: Path):
    write_runs(tmp_path, RUNS)
    compact(Store(tmp_path))
    (tmp_path / "compact" / "runs.parquet").unlink()
    (problem,) = package.load(tmp_path).problems
    assert problem.path.endswith("compact/runs.parquet")
    with pytest.raises(StoreError, match="nothing was done"):
        compact(Store(tmp_path))


@pytest.mark.parametrize("part", [".staging", ".locks", "compact"])
def test_nothing_is_written_through_a_link_in_the_results(tmp_path: Path, part: str):
    write_runs(tmp_path / "suite", RUNS)
    (tmp_path / "outside").mkdir()
    (tmp_path / "suite" / part).symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match=f"{part}: is a link"):
        Store(tmp_path / "suite")
    assert not list((tmp_path / "outside").iterdir())


def test_a_link_among_abandoned_work_ends_nobodys_process(tmp_path: Path):
    store = Store(tmp_path / "suite")
    (tmp_path / "outside").mkdir()
    (tmp_path / "suite" / ".staging" / "x.lock").touch()
    (tmp_path / "suite" / ".staging" / "x").symlink_to(tmp_path / "outside")
    other = subprocess.Popen(["sleep", "600"], cwd=tmp_path / "outside")
    try:
        store.clear_abandoned()
        assert other.poll() is None
        assert (tmp_path / "outside").is_dir()
        assert not list((tmp_path / "suite" / ".staging").iterdir())
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("name", [f".locks/{KEY}", ".staging/x.lock"])
def test_a_lock_that_is_a_link_is_named_and_not_followed(tmp_path: Path, name: str):
    store = Store(tmp_path / "suite")
    (tmp_path / "suite" / name).symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match=f"{name}: cannot be locked"):
        store.clear_abandoned()
        store.lock(KEY)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", ["a FIFO", "a link to nothing", "text", "missing"])
def test_a_result_takes_the_place_of_whatever_has_its_name(tmp_path: Path, kind: str):
    store = Store(tmp_path / "suite")
    replaced(tmp_path / "suite" / KEY, NO_FILES[kind])
    with store.staging() as folder:
        store.commit(write_run(folder, RUNS[1]), RUNS[1].row, {})
    assert store.is_done(KEY)
    assert not list((tmp_path / "suite" / ".staging").iterdir())


def report(folder: Path) -> int:
    return cli.main(["--no-plugins", "report", str(folder)])


def test_a_report_is_not_written_through_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_runs(tmp_path / "suite", RUNS)
    (tmp_path / "outside").mkdir()
    for part in ("report", "report/tables"):
        link = tmp_path / "suite" / part
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(tmp_path / "outside")
        assert report(tmp_path / "suite") == ExitCode.USAGE
        assert f"{link}" in capsys.readouterr().err
        link.unlink()
    assert not list((tmp_path / "outside").iterdir())


def test_a_report_replaces_links_and_fifos_that_have_its_files_names(tmp_path: Path):
    write_runs(tmp_path / "suite", RUNS)
    tables = tmp_path / "suite" / "report" / "tables"
    tables.mkdir(parents=True)
    (tmp_path / "precious").write_text("precious")
    (tables / "scores.csv").symlink_to(tmp_path / "precious")
    os.mkfifo(tables.parent / "index.html")
    assert report(tmp_path / "suite") == ExitCode.YES
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tables / "scores.csv").read_text().startswith("environment")
    assert (tables.parent / "index.html").is_file()


# Commands


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert harness("run", write_suite(folder, ["steady"], ["short"], 2), cwd=folder).returncode == 0
    return folder


def copied(trained: Path, folder: Path) -> tuple[Path, str]:
    """The results of a suite to damage, and the key of a run."""
    subprocess.run(["cp", "-a", trained / "results", trained / "hostile.toml", folder], check=True)
    return folder / "results" / "hostile", min(stored_runs(folder))


def test_plan_writes_nothing_where_it_looks(trained: Path, tmp_path: Path):
    """So it can be asked about results that one may only read."""
    suite, _ = copied(trained, tmp_path)
    for left in (".staging", ".locks"):
        (suite / left).rmdir()
    before = {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]}
    planned = harness("plan", "hostile.toml", "--json", cwd=tmp_path)
    assert json.loads(planned.stdout)["cells"][0]["complete"] == 2
    assert {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]} == before


def test_damage_is_named_by_plan_and_by_run_which_trains_it_again(trained: Path, tmp_path: Path):
    suite, key = copied(trained, tmp_path)
    rewritten(suite / key, "evaluations", lambda table: table.slice(0, 0))
    planned = harness("plan", "hostile.toml", "--json", cwd=tmp_path)
    ran = harness("run", "hostile.toml", cwd=tmp_path)
    assert json.loads(planned.stdout)["cells"][0]["complete"] == 1
    for told in (planned, ran):
        assert f"{key}/evaluations.parquet: holds no evaluation" in told.stderr
    assert "1 complete, 1 to run" in ran.stderr
    assert len(package.load(suite).runs) == 2


MANIFESTS = {
    "no versions": lambda c: c["manifest"].pop("versions"),
    "versions that are a list": lambda c: c["manifest"].update(versions=[1]),
    "odd versions": lambda c: c["manifest"].update(versions={"../x": 1, "": None, "a b": []}),
}
NO_MANIFESTS = {
    "no job": lambda c: c["manifest"].pop("job"),
    "very many seeds": lambda c: c["manifest"]["job"].update(seeds=list(range(10**6))),
    "no seeds": lambda c: c["manifest"]["job"].update(seeds=[]),
    "seeds that are a table": lambda c: c["manifest"]["job"].update(seeds={"a": 1}),
    "a budget that is infinite": lambda c: c["manifest"]["job"].update(budget=1e999),
    "a budget that is a list": lambda c: c["manifest"]["job"].update(budget=[1]),
    "another budget": lambda c: c["manifest"]["job"].update(budget=10**12),
    "a configuration that is a list": lambda c: c["run"].update(config="[]"),
    "a deep configuration": lambda c: c["run"].update(config="[" * 100_000),
    "a configuration with no number": lambda c: c["run"].update(config='{"pause": NaN}'),
    "an environment that is a list": lambda c: c["manifest"].update(environment=[]),
    "another device": lambda c: c["run"].update(device="meta"),
    "another algorithm": lambda c: c["run"].update(algorithm_id="<script>"),
}


@pytest.fixture
def rerun(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], int]:
    """Repeats a run in this process, but for the training: that ends as it did."""

    def answer(suite: Path, key: str) -> int:
        row = stored_runs(suite.parent.parent)[key]
        outcome = TrialOutcome("done", runs=(RunOutcome(key, fingerprint=row["fingerprint"]),))
        monkeypatch.setattr("harness.commands.rerun._repeat", lambda trial: outcome)
        return cli.main(["rerun", key, "--out", str(suite)])

    monkeypatch.syspath_prepend(str(HOSTILE))
    monkeypatch.setenv("HARNESS_PLUGINS", "hostile")
    return answer


@pytest.mark.parametrize("change", NO_MANIFESTS.values(), ids=NO_MANIFESTS)
def test_a_run_that_does_not_say_how_to_repeat_it_is_refused(trained: Path, tmp_path: Path, change, rerun, capsys):
    suite, key = copied(trained, tmp_path)
    edited(suite / key, change)
    assert rerun(suite, key) in (ExitCode.USAGE, ExitCode.MISSING)
    assert len(capsys.readouterr().err.splitlines()) <= 3


@pytest.mark.parametrize("change", MANIFESTS.values(), ids=MANIFESTS)
def test_versions_that_are_odd_stop_no_rerun(trained: Path, tmp_path: Path, change, rerun):
    suite, key = copied(trained, tmp_path)
    edited(suite / key, change)
    assert rerun(suite, key) == ExitCode.YES
