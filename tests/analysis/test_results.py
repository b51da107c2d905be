import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

import harness
from harness.analysis import metrics
from harness.analysis.stats import mean_interval
from harness.contract.errors import UsageError
from harness.reporting.evidence import evidence
from harness.statistics.groups import deviation_ends
from harness.statistics.survival import NEVER
from harness.storage.schema_tables import RUNS, TABLES
from support.results import CARTPOLE, ENVIRONMENTS, Run, learning_curve, write_compact, write_run, write_runs

TASK = replace(CARTPOLE, budget=100, threshold=50.0)  # evaluated at 0, 50 and 100 by a curve of three points


def only(frame: pd.DataFrame) -> pd.Series:
    assert len(frame) == 1
    return frame.iloc[0]


def sarsa(seed: int, *scores: float, **changes: object) -> Run:
    return Run("algorithms/sarsa", TASK, seed, scores=scores, changes=changes)


# Loading


def test_importing_harness_imports_nothing_heavy():
    code = "import harness, sys; print([m for m in ('pandas', 'numpy', 'pyarrow', 'torch') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_an_unknown_attribute_of_harness_is_an_attribute_error():
    with pytest.raises(AttributeError, match="lode"):
        harness.lode  # noqa: B018


def test_stored_values_come_back_unchanged(tmp_path):
    run = Run(seed=3)
    write_run(tmp_path, run)
    results = harness.load(tmp_path)
    row = only(results.runs)
    assert not results.problems
    for name in set(RUNS.names) - {"algorithm", "started_at", "finished_at"}:
        expected = run.row[name]
        assert pd.isna(row[name]) if expected is None else row[name] == expected, name
    assert row["finished_at"] == pd.Timestamp("2026-01-02T03:05:03Z")
    for name, table in run.tables().items():
        loaded = getattr(results, name).rename(columns={"episode_seed": "seed", "seed": "run_seed"})
        texts = dict.fromkeys({"key", "name"} & set(table.column_names), "str")
        pd.testing.assert_frame_equal(loaded[table.column_names].astype(texts), table.to_pandas().astype(texts))


def test_long_tables_carry_the_identity_of_their_run(tmp_path):
    write_runs(tmp_path, [Run(seed=seed, algorithm=name) for seed in (4, 7) for name in ("a/x", "b/y")])
    results = harness.load(tmp_path)
    for name in TABLES:
        table = getattr(results, name)
        joined = table[["key"]].astype("str").merge(results.runs, on="key")
        for column in ("algorithm", "environment", "device", "seed"):
            assert (table[column].astype(joined[column].dtype).to_numpy() == joined[column].to_numpy()).all()


def test_rows_are_in_the_order_of_the_runs_however_they_were_stored(tmp_path):
    runs = [Run(seed=seed) for seed in range(6)]
    write_compact(tmp_path, runs[::-1][:3])
    write_runs(tmp_path, runs[:3])
    results = harness.load(tmp_path)
    assert list(results.runs["seed"]) == list(range(6))
    assert results.evaluations["seed"].is_monotonic_increasing


def test_compacted_runs_equal_runs_in_folders(tmp_path):
    runs = [Run(seed=seed) for seed in range(3)]
    folders = harness.load(write_runs(tmp_path / "a", runs))
    compacted = harness.load(write_compact(tmp_path / "b", runs))
    for name in ("runs", *TABLES):
        pd.testing.assert_frame_equal(getattr(folders, name), getattr(compacted, name))
    key = runs[0].key
    assert compacted.manifest(key)["versions"] == folders.manifest(key)["versions"]


def test_of_a_run_in_both_places_the_folder_counts_once(tmp_path):
    run = Run(seed=0)
    write_compact(tmp_path, [run, Run(seed=1)])
    place = write_run(tmp_path, run)
    content = json.loads((place / "run.json").read_text())
    content["run"]["machine"] = "the folder's"
    (place / "run.json").write_text(json.dumps(content))
    results = harness.load(tmp_path)
    assert list(results.runs["machine"]) == ["the folder's", Run(seed=1).row["machine"]]
    assert len(results.evaluations) == 2 * run.tables()["evaluations"].num_rows


def test_a_folder_of_suites_is_read_whole(tmp_path):
    for suite in ("one", "two"):
        write_run(tmp_path / suite, Run(suite=suite))
    (tmp_path / "one" / "report").mkdir()
    assert list(harness.load(tmp_path).runs["suite"].sort_values()) == ["one", "two"]
    assert list(harness.load(tmp_path / "one").runs["suite"]) == ["one"]


def test_work_in_progress_is_no_run(tmp_path):
    write_run(tmp_path / ".staging", Run(seed=5))
    (tmp_path / Run(seed=6).key).mkdir()
    write_run(tmp_path, Run(seed=7))
    results = harness.load(tmp_path)
    assert list(results.runs["seed"]) == [7]
    assert not results.problems


def test_a_folder_without_runs_has_empty_tables_of_the_right_types(tmp_path):
    results = harness.load(tmp_path)
    assert len(results.runs) == len(results.evaluations) == 0
    assert results.evaluations["return"].dtype == np.float64
    for summary in (results.scores, results.sample_efficiency, results.wall_clock, results.failures):
        assert summary().empty
    assert results.curves().empty


def test_a_missing_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        harness.load(tmp_path / "nowhere")


# Files that cannot be used


def truncate(place):
    path = place / "evaluations.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def overwrite_tables_without_checksums(place, **tables):
    """A stranger's run: no checksums in its manifest, and other tables."""
    content = json.loads((place / "run.json").read_text())
    del content["manifest"]["files"]
    (place / "run.json").write_text(json.dumps(content))
    for name, table in tables.items():
        pq.write_table(table, place / f"{name}.parquet")


def edit(place, **columns):
    content = json.loads((place / "run.json").read_text())
    content["run"] |= columns
    (place / "run.json").write_text(json.dumps(content))


def with_return(value):
    table = Run(seed=1).tables()["evaluations"]
    values = [value, *table["return"].to_pylist()[1:]]
    return table.set_column(table.column_names.index("return"), "return", pa.array(values, pa.float64()))


DAMAGES = {
    "truncated run.json": (lambda p: (p / "run.json").write_text('{"schema": 1, "ru'), "not a readable JSON"),
    "binary run.json": (lambda p: (p / "run.json").write_bytes(b"\x80\x04\x95\xff"), "not a readable JSON"),
    "deep run.json": (lambda p: (p / "run.json").write_text("[" * 100_000), "not a readable JSON"),
    "empty run.json": (lambda p: (p / "run.json").write_text(""), "not a readable JSON"),
    "list": (lambda p: (p / "run.json").write_text("[]"), "not a run of format 1"),
    "other format": (lambda p: (p / "run.json").write_text('{"schema": 2}'), "in format 2"),
    "no run.json": (lambda p: (p / "run.json").unlink(), "missing, beside tables"),
    "no run": (lambda p: (p / "run.json").write_text('{"schema": 1}'), '"run" and "manifest"'),
    "wrong type": (lambda p: edit(p, seed="one"), "run.seed: expected int, found 'one'"),
    "bool for int": (lambda p: edit(p, seed=True), "run.seed"),
    "null": (lambda p: edit(p, steps=None), "run.steps"),
    "huge int": (lambda p: edit(p, seed=2**70), "out of range"),
    "unknown status": (lambda p: edit(p, status="perfect"), "'perfect' is none of"),
    "other key": (lambda p: edit(p, key="f" * 20), "not of the run that names its folder"),
    "truncated table": (truncate, "its checksum differs"),
    "missing table": (lambda p: (p / "episodes.parquet").unlink(), "missing"),
    "no parquet": (
        lambda p: (overwrite_tables_without_checksums(p), (p / "episodes.parquet").write_text("text")),
        "not a readable Parquet file",
    ),
    "foreign table": (
        lambda p: overwrite_tables_without_checksums(p, evaluations=pa.table({"key": ["a"], "x": [1]})),
        "not this table",
    ),
    "table without key": (
        lambda p: overwrite_tables_without_checksums(p, evaluations=pa.table({"x": [1]})),
        "it has no column",
    ),
    "other run's rows": (
        lambda p: overwrite_tables_without_checksums(p, **Run(seed=99).tables()),
        "rows of another run",
    ),
    "no evaluation": (
        lambda p: overwrite_tables_without_checksums(p, evaluations=with_return(0.0).slice(0, 0)),
        "holds no evaluation",
    ),
    "nan score": (lambda p: overwrite_tables_without_checksums(p, evaluations=with_return(np.nan)), "not finite"),
    "infinite score": (lambda p: overwrite_tables_without_checksums(p, evaluations=with_return(np.inf)), "not finite"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_reported_and_the_others_are_read(tmp_path, damage, message):
    write_runs(tmp_path, [Run(seed=0), Run(seed=1)])
    key = Run(seed=1).key
    damage(tmp_path / key)
    results = harness.load(tmp_path)
    assert list(results.runs["seed"]) == [0]
    assert set(results.evaluations["seed"]) == set(results.episodes["seed"]) == {0}
    (problem,) = results.problems
    assert problem.key == key
    assert problem.path.startswith(str(tmp_path / key))
    assert message in problem.message


def test_missing_values_in_a_column_that_must_have_none_are_reported(tmp_path):
    place = write_run(tmp_path, Run(seed=1))
    table = Run(seed=1).tables()["evaluations"]
    holes = pa.array([None, *table["length"].to_pylist()[1:]], pa.int32())
    overwrite_tables_without_checksums(place, evaluations=table.set_column(7, "length", holes))
    (problem,) = harness.load(tmp_path).problems
    assert "'length' has missing values" in problem.message


def test_a_broken_folder_leaves_the_compacted_copy_of_its_run(tmp_path):
    write_compact(tmp_path, [Run(seed=1)])
    truncate(write_run(tmp_path, Run(seed=1)))
    results = harness.load(tmp_path)
    assert list(results.runs["seed"]) == [1]
    assert len(results.problems) == 1


@pytest.mark.parametrize("name", ["runs", *TABLES])
def test_a_broken_compacted_table_is_reported_and_folders_are_read(tmp_path, name):
    write_run(tmp_path, Run(seed=0))
    write_compact(tmp_path, [Run(seed=1)])
    (tmp_path / "compact" / f"{name}.parquet").write_bytes(b"PAR1 and then nothing")
    results = harness.load(tmp_path)
    assert list(results.runs["seed"]) == [0]
    (problem,) = results.problems
    assert problem.path.endswith(f"{name}.parquet")


def test_a_bad_row_of_a_compacted_table_is_reported_and_the_others_are_read(tmp_path):
    write_compact(tmp_path, [Run(seed=1), Run(seed=2, changes={"status": "perfect"}), Run(seed=3, scores=())])
    results = harness.load(tmp_path)
    assert list(results.runs["seed"]) == [1]
    assert sorted(problem.message.partition(":")[0] for problem in results.problems) == [
        "holds no evaluation, but the run is done",
        "run.status",
    ]


def test_a_failed_run_needs_no_tables(tmp_path):
    write_run(tmp_path, Run(status="failed", error="ValueError: no", scores=()))
    results = harness.load(tmp_path)
    assert not results.problems
    assert only(results.runs)["status"] == "failed"


@pytest.mark.parametrize("damage", [truncate, lambda p: (p / "evaluations.parquet").unlink()])
def test_a_run_that_is_not_done_is_counted_though_a_table_of_it_is_damaged(tmp_path, damage):
    place = write_run(tmp_path, Run(status="timeout", error="stopped after 600 seconds"))
    damage(place)
    results = harness.load(tmp_path)
    assert only(results.scores())["failed"] == 1
    assert only(results.failures())["status"] == "timeout"
    assert results.evaluations.empty
    assert not results.episodes.empty
    (problem,) = results.problems
    assert problem.path == str(place / "evaluations.parquet")


def test_an_error_text_that_is_no_unicode_is_made_readable(tmp_path):
    write_run(tmp_path, Run(status="failed", error="no file caf\udce9.txt", scores=()))
    results = harness.load(tmp_path)
    assert not results.problems
    assert only(results.failures())["error"] == "no file caf?.txt"


def test_an_unreadable_manifest_of_a_stranger_is_empty(tmp_path):
    run = Run()
    write_compact(tmp_path, [run])
    path = tmp_path / "compact" / "runs.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.num_columns - 1, table.schema.field("manifest"), [["{"]]), path)
    assert harness.load(tmp_path).manifest(run.key) == {}


# Labels


def labels(tmp_path, *runs):
    return list(harness.load(write_runs(tmp_path, runs)).runs["algorithm"])


def test_the_plugin_is_dropped_from_a_label_while_the_short_name_is_unique(tmp_path):
    found = labels(tmp_path, Run("algorithms/dqn:paper[gamma=0.9]"), Run("algorithms/sarsa"), Run("sb3/ppo"))
    assert found == ["dqn:paper[gamma=0.9]", "ppo", "sarsa"]


def test_the_plugin_stays_in_a_label_where_two_plugins_share_the_name(tmp_path):
    found = labels(tmp_path, Run("algorithms/dqn:paper"), Run("sb3/dqn"), Run("sb3/ppo"))
    assert found == ["algorithms/dqn:paper", "ppo", "sb3/dqn"]


def test_versions_and_configurations_of_one_algorithm_never_share_a_label(tmp_path):
    found = labels(
        tmp_path,
        Run("a/x", changes={"algorithm_version": "1"}),
        Run("a/x", changes={"algorithm_version": "2"}),
        Run("a/y", changes={"config": '{"rate": 1}'}),
        Run("a/y", changes={"config": '{"rate": 2}'}),
    )
    assert found[:2] == ["x (version 1)", "x (version 2)"]
    assert found[2] != found[3]
    assert all(label.startswith("y (config ") for label in found[2:])


def test_tasks_that_differ_never_share_a_label(tmp_path):
    write_runs(
        tmp_path,
        [
            Run(changes={"budget": 20_000, "task_hash": "a" * 20}),
            Run(changes={"budget": 50_000, "task_hash": "b" * 20}),
        ],
    )
    results = harness.load(tmp_path)
    assert list(results.runs["environment"]) == ["cartpole (20,000 steps)", "cartpole (50,000 steps)"]
    assert list(results.scores()["done"]) == [1, 1]


# Summaries


def test_a_final_score_is_the_mean_of_the_last_evaluation(tmp_path):
    write_runs(tmp_path, [sarsa(0, 0, 90, 40), sarsa(1, 0, 80, 50), sarsa(2, 0, 10, 60)])
    row = only(harness.load(tmp_path).scores())
    assert (row["done"], row["failed"], row["other"]) == (3, 0, 0)
    assert row["mean"] == 50.0
    assert row["std"] == 10.0
    assert row[["std_low", "std_high"]].isna().all()  # of three runs
    assert row["best"] == pytest.approx((90 + 80 + 60) / 3)
    assert row["normalised"] == pytest.approx((50 - 22) / (500 - 22))
    assert row["no_interval"] == "n < 4"


def test_runs_that_are_not_done_are_counted_and_never_averaged(tmp_path):
    bad = [
        replace(sarsa(3 + i, 0, 900, 900), status=status, error="why")
        for i, status in enumerate(("failed", "crashed", "timeout", "diverged", "interrupted", "skipped"))
    ]
    write_runs(tmp_path, [*(sarsa(seed, 0, 10, 20) for seed in range(3)), *bad])
    results = harness.load(tmp_path)
    for table in (results.scores(), results.sample_efficiency(), results.wall_clock()):
        row = only(table)
        assert (row["done"], row["failed"], row["other"]) == (3, 4, 2)
    assert only(results.scores())["mean"] == 20.0
    assert results.curves()["mean"].max() == 20.0
    assert list(results.failures()["status"]) == [run.status for run in bad]
    assert set(results.failures()["error"]) == {"why"}


def test_a_cell_without_a_done_run_is_a_row_without_numbers(tmp_path):
    write_run(tmp_path, Run(status="skipped", error="Discrete, not Box", scores=()))
    results = harness.load(tmp_path)
    row = only(results.scores())
    assert (row["done"], row["failed"], row["other"]) == (0, 0, 1)
    assert np.isnan(row[["mean", "std", "low", "high", "normalised", "best"]].astype(float)).all()
    assert pd.isna(only(results.sample_efficiency())["reached"]) or only(results.sample_efficiency())["of"] == 0
    assert results.curves().empty


def test_adding_an_algorithm_changes_no_other_row_bit_for_bit(tmp_path):
    few = [
        Run("algorithms/dqn", environment, seed, scores=learning_curve(environment, 0.8, 0.3, seed))
        for environment in ENVIRONMENTS
        for seed in range(11)
    ]
    more = [Run("sb3/dqn", environment, scores=(1e6, 2e6, 3e6)) for environment in ENVIRONMENTS]
    before = harness.load(write_runs(tmp_path / "a", few))
    after = harness.load(write_runs(tmp_path / "b", [*few, *more]))
    for name in ("scores", "sample_efficiency", "wall_clock", "curves"):
        old, new = getattr(before, name)(), getattr(after, name)()
        new = new[new["algorithm"] == "algorithms/dqn"].assign(algorithm="dqn").reset_index(drop=True)
        pd.testing.assert_frame_equal(old, new, check_exact=True)


def test_a_missing_reference_leaves_the_normalised_score_empty_and_the_others_alone(tmp_path):
    write_run(tmp_path, replace(sarsa(0, 0, 10, 20), environment=replace(TASK, reference=None)))
    row = only(harness.load(tmp_path).scores())
    assert np.isnan(row["normalised"])
    assert row["mean"] == 20.0


@pytest.mark.parametrize("column", ["random_score", "reference_score", "threshold"])
def test_runs_stored_with_different_reference_scores_are_never_averaged(tmp_path, column):
    old, new = sarsa(0, 0, 10, 50, **{column: 122.0}), sarsa(1, 0, 10, 50, **{column: None})
    results = harness.load(write_runs(tmp_path, [old, new]))
    fact = column.replace("_", " ")
    assert list(results.scores()["environment"]) == [f"cartpole ({fact} 122.0)", f"cartpole ({fact} none)"]
    assert list(results.sample_efficiency()["done"]) == [1, 1]


def test_area_is_the_mean_height_of_the_evaluation_curve(tmp_path):
    write_run(tmp_path, sarsa(0, 0, 10, 40))
    assert only(harness.load(tmp_path).sample_efficiency())["area"] == pytest.approx((5 + 25) / 2)


def test_runs_that_never_arrive_are_censored_at_the_budget(tmp_path):
    """Threshold 50, sustained by two evaluations at 0, 50 and 100: one run at 0, one at 50, one never."""
    write_runs(tmp_path, [sarsa(0, 60, 60, 0), sarsa(1, 0, 60, 60), sarsa(2, 0, 0, 60)])
    row = only(harness.load(tmp_path).sample_efficiency())
    assert (row["reached"], row["of"]) == (2, 3)
    assert row["median_steps"] == 50.0
    assert row["restricted_steps"] == pytest.approx((0 + 50 + 100) / 3)
    assert tuple(row[["restricted_steps_low", "restricted_steps_high"]]) == mean_interval([0, 50, 100], 0, 100)


def test_where_no_run_arrives_the_restricted_mean_has_no_interval(tmp_path):
    write_runs(tmp_path, [sarsa(seed, 0, 10, 20) for seed in range(3)])
    row = only(harness.load(tmp_path).sample_efficiency())
    assert row["restricted_steps"] == 100
    assert row[["restricted_steps_low", "restricted_steps_high"]].isna().all()


def test_normalised_and_best_scores_have_the_intervals_of_their_means(tmp_path):
    write_runs(tmp_path, [sarsa(seed, 0, 90, 10 * seed) for seed in range(4)])
    row = only(harness.load(tmp_path).scores())
    normalised = metrics.normalised(row[["low", "high"]], 22, 500)
    assert tuple(row[["normalised_low", "normalised_high"]]) == pytest.approx(tuple(normalised))
    exact = binomtest(4, 4).proportion_ci(method="exact").low  # as a success rate of 4 of 4
    assert tuple(row[["best_low", "best_high"]]) == pytest.approx((22 + exact * (90 - 22), 500 - exact * (500 - 90)))


def scored(folder, *finals: float, **task: float | None) -> pd.Series:
    """The row of scores of level curves, whose areas are the same."""
    environment = replace(TASK, **task)
    runs = [Run("algorithms/sarsa", environment, seed, scores=(final, final)) for seed, final in enumerate(finals)]
    results = harness.load(write_runs(folder, runs))
    row, efficiency = only(results.scores()), only(results.sample_efficiency())
    assert efficiency["no_interval"] == row["no_interval"]
    np.testing.assert_array_equal(
        efficiency[["area_low", "area_high"]].astype(float), row[["low", "high"]].astype(float)
    )
    return row


def test_equal_runs_have_an_interval_from_what_failing_would_score_to_the_best_that_can_be(tmp_path):
    """All of five runs succeed: in an environment whose random policy never does, that is a rate of 48 to 100 %."""
    row = scored(tmp_path / "success", *[1.0] * 5, random=0.0, reference=0.9, lowest=0.0, highest=1.0)
    exact = binomtest(5, 5).proportion_ci(method="exact")
    assert (row["low"], row["high"]) == pytest.approx((exact.low, exact.high))
    lower = scored(tmp_path / "lowest", *[1.0] * 5, random=None, reference=None, lowest=-1.0, highest=1.0)
    assert lower["low"] == pytest.approx(2 * exact.low - 1)


@pytest.mark.parametrize(("random", "lowest"), [(22.0, None), (22.0, 0.0), (None, 22.0)])
def test_a_failed_run_counts_as_random_or_as_the_lowest_return_where_that_is_not_known(tmp_path, random, lowest):
    row = scored(tmp_path, *[100.0] * 4, random=random, lowest=lowest, reference=None)
    assert row["low"] == pytest.approx(22 + 78 * 0.025**0.25)


def test_the_top_is_the_highest_return_or_the_reference_or_the_best_run(tmp_path):
    share = 1 - 0.025**0.25
    for name, task, top in (("a", {"highest": 400.0}, 400), ("b", {}, 500), ("c", {"reference": None}, 100)):
        assert scored(tmp_path / name, *[100.0] * 4, **task)["high"] == pytest.approx(100 + share * (top - 100))


@pytest.mark.parametrize(
    ("finals", "task", "why"),
    [
        ([1, 2], {"highest": 500.0}, "n < 3"),
        ([1, 2, 3], {"highest": 500.0}, ""),
        ([1, 2, 3], {}, "n < 4"),
        ([1, 2, 3, 4], {}, ""),
        ([1, 2, 3, 4], {"random": None}, "no random score"),
        ([22, 22, 22, 22], {"reference": None}, "equal runs"),
        ([22, 22, 22, 22], {}, ""),
    ],
)
def test_a_mean_score_says_why_it_has_no_interval(tmp_path, finals, task, why):
    row = scored(tmp_path, *finals, **task)
    assert row["no_interval"] == why
    assert bool(why) == bool(np.isnan(row["low"])) == bool(np.isnan(row["high"]))


def test_seconds_have_an_interval_unless_runs_shared_a_trial(tmp_path):
    alone, shared = (
        [replace(sarsa(seed, 0, 10, 20, runs_in_trial=n), seconds=10.0 + seed) for seed in range(3)] for n in (1, 3)
    )
    for name, runs in (("alone", alone), ("shared", shared)):
        write_runs(tmp_path / name, runs)
    ends = [
        only(harness.load(tmp_path / name).wall_clock())[["train_seconds_low", "train_seconds_high"]]
        for name in ("alone", "shared")
    ]
    assert tuple(ends[0]) == mean_interval([10, 11, 12])
    assert ends[1].isna().all()


def test_every_part_of_the_time_and_the_memory_has_an_interval(tmp_path):
    runs = [replace(sarsa(seed, 0, 10, 20, peak_memory_mib=300.0 + seed), seconds=10.0 + seed) for seed in range(4)]
    row = only(harness.load(write_runs(tmp_path, runs)).wall_clock())
    shares = {"environment": 0.3, "learning": 0.7, "evaluation": 0.2, "setup": 0.05, "cpu": 1.1, "run": 1.25}
    low, high = mean_interval([10, 11, 12, 13])
    for part, share in shares.items():
        found = row[[f"{part}_seconds{end}" for end in ("", "_low", "_high")]]
        assert tuple(found) == pytest.approx((share * 11.5, share * low, share * high))
    of_memory = row[["peak_memory_mib", "peak_memory_mib_low", "peak_memory_mib_high"]]
    assert tuple(of_memory) == pytest.approx((301.5, 290 + low, 290 + high))
    speed = row[["steps_per_second", "steps_per_second_low", "steps_per_second_high"]]
    assert tuple(speed) == pytest.approx((100 / 11.5, 100 / high, 100 / low))


def test_seconds_and_speeds_have_intervals_of_what_can_be(tmp_path):
    """Student's t of 1, 1 and 10 seconds begins below 0: so few runs do not say how fast it may be."""
    runs = [replace(sarsa(seed, 0, 10, 20), seconds=s) for seed, s in enumerate((1.0, 1.0, 10.0))]
    row = only(harness.load(write_runs(tmp_path, runs)).wall_clock())
    high = mean_interval([1, 1, 10])[1]
    assert (row["train_seconds_low"], row["train_seconds_high"]) == (0.0, high)
    assert (row["steps_per_second_low"], row["steps_per_second_high"]) == (100 / high, np.inf)


def test_seconds_of_several_machines_have_no_interval(tmp_path):
    runs = [replace(sarsa(seed, 0, 60, machine=f"machine {seed % 2}"), seconds=9.0) for seed in range(4)]
    results = harness.load(write_runs(tmp_path, runs))
    row = only(results.wall_clock())
    assert row["machines"] == 2
    assert row[["train_seconds_low", "run_seconds_high", "peak_memory_mib_low"]].isna().all()
    assert results.trade_off()[["seconds_low", "seconds_high"]].isna().all(axis=None)
    assert "2 machines" in " ".join(evidence(results))


def test_curves_against_seconds_of_several_machines_have_no_band(tmp_path):
    runs = [Run(seed=seed, changes={"machine": f"machine {seed % 2}"}) for seed in range(6)]
    results = harness.load(write_runs(tmp_path, runs))

    assert results.curves("seconds")["low"].isna().all()
    assert results.curves("step")["low"].notna().all()


def test_pairs_that_do_not_fit_are_in_no_table_and_missing_nowhere(tmp_path):
    unfit = Run("algorithms/sarsa", status="skipped", error="sarsa observes Discrete", scores=())
    runs = [Run(seed=seed) for seed in range(3)]
    both = [*runs, replace(unfit, changes={"fits": False})]
    results = harness.load(write_runs(tmp_path / "both", both))
    alone = harness.load(write_runs(tmp_path / "alone", runs))

    pd.testing.assert_frame_equal(results.scores(), alone.scores())
    assert results.failures().empty
    assert list(results.unfit["algorithm"]) == ["sarsa"]
    told = evidence(results)
    assert "No run is missing." in told
    assert "Not asked, because they do not fit: sarsa on cartpole." in told


def test_what_was_skipped_for_another_reason_is_missing(tmp_path):
    skipped = Run(status="skipped", error="no CUDA device", scores=(), changes={"fits": True})
    results = harness.load(write_runs(tmp_path, [Run(seed=1), skipped]))

    assert list(results.failures()["status"]) == ["skipped"]


def test_simulated_steps_and_planning_stand_beside_the_time_they_cost(tmp_path):
    changes = {"simulated_steps": 60_000, "planning_seconds": 2.0}
    results = harness.load(write_runs(tmp_path, [Run(seed=s, changes=changes) for s in range(3)]))

    row = only(results.wall_clock())
    assert row["simulated_per_step"] == 60_000 / CARTPOLE.budget
    assert row["planning_seconds"] == 2.0


def test_of_one_machine_nothing_is_said(tmp_path):
    runs = [sarsa(seed, 0, 60) for seed in range(3)]
    assert "machine" not in " ".join(evidence(harness.load(write_runs(tmp_path, runs))))


def test_the_standard_deviation_of_five_runs_has_an_interval(tmp_path):
    final = [40.0, 10.0, 35.0, 70.0, 55.0]
    row = only(harness.load(write_runs(tmp_path, [sarsa(i, 0, x) for i, x in enumerate(final)])).scores())
    assert (row["std_low"], row["std_high"]) == deviation_ends(final)


def test_seconds_to_the_threshold_are_sustained_and_of_training(tmp_path):
    """Threshold 50 at 0, 50 and 100 of 100 steps, of 10 seconds: after 0, 5 and 5 seconds, and never."""
    curves = [(60, 60, 0), (0, 60, 60), (0, 60, 70), (60, 0, 60)]
    runs = [replace(sarsa(seed, *scores), seconds=10.0) for seed, scores in enumerate(curves)]
    row = only(harness.load(write_runs(tmp_path, runs)).sample_efficiency())
    assert row["median_seconds"] == 5.0
    never = [replace(sarsa(4 + i), status="crashed") for i in range(4)]
    row = only(harness.load(write_runs(tmp_path, never)).sample_efficiency())
    assert row["median_seconds"] == NEVER
    assert (row["median_seconds_low"], row["median_seconds_high"]) == (0.0, NEVER)  # of eight


def test_seconds_to_the_threshold_of_a_trial_are_shared_out_and_have_no_interval(tmp_path):
    runs = [replace(sarsa(seed, 0, 60, 60, runs_in_trial=6), seconds=12.0) for seed in range(6)]
    row = only(harness.load(write_runs(tmp_path, runs)).sample_efficiency())
    assert row["median_seconds"] == 1.0
    assert row[["median_seconds_low", "median_seconds_high"]].isna().all()
    assert row["median_steps_low"] == 50.0


def test_seconds_of_several_machines_are_not_put_together(tmp_path):
    runs = [sarsa(seed, 0, 60, 60, machine=f"machine {seed}") for seed in range(2)]
    row = only(harness.load(write_runs(tmp_path, runs)).sample_efficiency())
    assert row[["median_seconds", "median_seconds_low", "median_seconds_high"]].isna().all()
    assert row["median_steps"] == 50.0


def test_failed_runs_count_as_never_arriving_whatever_they_scored(tmp_path):
    good = [sarsa(0, 60, 60, 60)]
    bad = [replace(sarsa(1, 60, 60, 60), status="crashed"), replace(sarsa(2, scores=()), status="timeout", scores=())]
    row = only(harness.load(write_runs(tmp_path, [*good, *bad])).sample_efficiency())
    assert (row["reached"], row["of"]) == (1, 3)
    assert row["median_steps"] == NEVER
    assert row["restricted_steps"] == pytest.approx(200 / 3)


def test_interrupted_and_skipped_runs_do_not_count_as_never_arriving(tmp_path):
    idle = [replace(sarsa(1), status="interrupted"), replace(sarsa(2), status="skipped")]
    row = only(harness.load(write_runs(tmp_path, [sarsa(0, 60, 60, 60), *idle])).sample_efficiency())
    assert (row["reached"], row["of"]) == (1, 1)


def test_without_a_threshold_there_are_no_steps_to_it(tmp_path):
    write_run(tmp_path, replace(sarsa(0, 0, 10, 40), environment=replace(TASK, threshold=None)))
    row = only(harness.load(tmp_path).sample_efficiency())
    assert row[["threshold", "reached", "of", "median_steps", "restricted_steps"]].isna().all()
    assert row["budget"] == 100


def test_seconds_of_a_lockstep_trial_are_shared_out_among_its_runs(tmp_path):
    runs = [replace(sarsa(seed, 0, 10, 20, runs_in_trial=4), seconds=20.0) for seed in range(4)]
    row = only(harness.load(write_runs(tmp_path, runs)).wall_clock())
    assert row["train_seconds"] == 5.0
    assert row["environment_seconds"] + row["learning_seconds"] == pytest.approx(5.0)
    assert row["steps_per_second"] == pytest.approx(100 / 5.0)
    assert row["runs_in_trial"] == 4


def test_evaluation_and_set_up_do_not_slow_an_algorithm_down(tmp_path):
    slow = sarsa(0, 0, 10, 20, evaluation_seconds=1e4, setup_seconds=1e4)
    assert only(harness.load(write_runs(tmp_path, [slow])).wall_clock())["steps_per_second"] == 100 / 8.0


def test_a_missing_measurement_is_missing_in_the_mean_and_not_ignored(tmp_path):
    runs = [sarsa(0, 0, 10, 20, learning_seconds=None), sarsa(1, 0, 10, 20)]
    row = only(harness.load(write_runs(tmp_path, runs)).wall_clock())
    assert np.isnan(row["learning_seconds"])
    assert row["train_seconds"] == 8.0


# Curves


def test_a_mean_curve_is_the_mean_of_the_runs_at_each_step(tmp_path):
    write_runs(tmp_path, [sarsa(0, 0, 10, 20), sarsa(1, 2, 20, 40), sarsa(2, 4, 30, 60)])
    curve = harness.load(tmp_path).curves()
    assert list(curve["step"]) == [0, 50, 100]
    assert list(curve["mean"]) == [2, 20, 40]
    assert list(curve["done"]) == [3, 3, 3]
    assert (curve["low"] < curve["mean"]).all()


def test_runs_evaluated_at_other_steps_hold_their_last_score(tmp_path):
    write_runs(tmp_path, [sarsa(0, 0, 10), sarsa(1, 0, 20, 40)])
    curve = harness.load(tmp_path).curves()
    assert list(curve["step"]) == [0, 50, 100]
    assert list(curve["mean"]) == [0, (0 + 20) / 2, (10 + 40) / 2]


def test_against_seconds_the_mean_ends_with_the_fastest_run(tmp_path):
    runs = [replace(sarsa(0, 0, 10, 20), seconds=10.0), replace(sarsa(1, 0, 10, 20), seconds=4.0)]
    curve = harness.load(write_runs(tmp_path, runs)).curves("seconds")
    assert curve["seconds"].max() == 4.0
    assert curve["mean"].iloc[-1] == (0 + 20) / 2  # at 4 s the slow run still has its first score
    assert curve["mean"].notna().all()


def test_below_three_runs_a_curve_has_no_band(tmp_path):
    write_runs(tmp_path, [sarsa(0, 0, 10, 20), sarsa(1, 0, 10, 20)])
    assert harness.load(tmp_path).curves()[["low", "high"]].isna().all(axis=None)


def test_summaries_are_computed_once_and_handed_out_as_copies(tmp_path):
    results = harness.load(write_runs(tmp_path, [sarsa(0, 0, 10, 20)]))
    handed_out = results.scores()
    handed_out["mean"] = -1.0
    assert only(results.scores())["mean"] == 20.0
