"""The judge of learning: what it reads, what it calls met, and that its questions can be answered."""

import tomllib
from pathlib import Path

import pytest

from harness.contract.errors import ExitCode
from harness.discovery.registry import Registry
from harness.discovery.selection import parse_selection
from harness.running.plan import make_plan
from harness.suite.reading import load_suite
from learn import judge
from support.results import Run, write_runs

ASKED = tomllib.loads((judge.FOLDER / "bars.toml").read_text(encoding="utf-8"))
SUITES = {path.stem: path for path in judge.suites()}
ALL_SUITES = {**SUITES, **{path.stem: path for path in judge.SHIPPED.glob("*.toml")}}


def stored(tmp_path, monkeypatch, finals, suite="learnt", algorithm="algorithms/dqn"):
    """Runs of one algorithm whose last evaluations have these scores."""
    monkeypatch.setattr(judge, "RESULTS", tmp_path)
    write_runs(
        tmp_path / suite,
        [
            Run(seed=seed, suite=suite, algorithm=algorithm, scores=(0.0, 500.0, final))
            for seed, final in enumerate(finals)
        ],
    )


@pytest.mark.parametrize(
    ("limit", "finals", "verdict"),
    [
        ({"at_least": 475}, [475.0] * 10, "met"),
        ({"at_least": 475}, [474.0] * 10, "missed"),
        ({"at_least": 475}, [500.0] * 9, "missing"),  # one seed too few decides nothing
        ({"below": -200}, [-201.0] * 10, "met"),
        ({"below": -200}, [-200.0] * 10, "missed"),
    ],
)
def test_a_bar_is_judged_by_the_mean_final_score_of_ten_seeds(tmp_path, monkeypatch, limit, finals, verdict):
    stored(tmp_path, monkeypatch, finals)
    bar = {"suite": "learnt", "algorithm": "algorithms/dqn", "environment": "cartpole", **limit}

    row = judge.bar_row(bar)

    assert (row["verdict"], row["runs"]) == (verdict, len(finals))
    assert row["mean"] == pytest.approx(sum(finals) / len(finals))


@pytest.mark.parametrize(("ours", "verdict"), [([5.0] * 10, "met"), ([1.0, 9.0] * 5, "met"), ([4.0] * 10, "missed")])
def test_twins_differ_if_the_interval_of_the_paired_difference_lies_below_zero(tmp_path, monkeypatch, ours, verdict):
    stored(tmp_path, monkeypatch, ours)
    stored(tmp_path, monkeypatch, [5.0] * 10, algorithm="sb3/dqn")
    twin = {"suite": "learnt", "ours": "algorithms/dqn", "theirs": "sb3/dqn", "environment": "cartpole"}

    row = judge.twin_row(twin)

    assert (row["verdict"], row["pairs"]) == (verdict, 10)
    assert row["difference"] == pytest.approx(sum(ours) / 10 - 5)


def test_a_preset_is_told_from_the_other_configurations(tmp_path, monkeypatch):
    stored(tmp_path, monkeypatch, [1.0] * 10, algorithm="algorithms/dqn:small")
    stored(tmp_path, monkeypatch, [2.0] * 10, algorithm="algorithms/dqn:small[gamma=0.9]")

    assert judge.final_scores("learnt", "algorithms/dqn:small", "cartpole").tolist() == [1.0] * 10
    with pytest.raises(ValueError, match="several configurations"):
        judge.final_scores("learnt", "algorithms/dqn", "cartpole")


def test_what_was_never_run_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judge, "RESULTS", tmp_path)

    assert judge.main([]) == ExitCode.INCOMPLETE
    assert "missing" in capsys.readouterr().out


@pytest.mark.parametrize("path", SUITES.values(), ids=SUITES)
def test_every_suite_of_learning_can_be_run(path: Path):
    plan = make_plan(load_suite(path), Registry.load())

    assert plan.cells
    assert all(len(cell.keys) == judge.SEEDS for cell in plan.cells)


@pytest.mark.parametrize("table", ["bars", "twins"])
def test_every_question_is_about_a_contestant_of_its_suite(table):
    for asked in ASKED[table]:
        suite = load_suite(ALL_SUITES[asked["suite"]])
        names = [text for selected in suite.algorithms for text in {selected, parse_selection(selected).id}]
        for role in {"algorithm", "ours", "theirs"} & set(asked):
            assert names.count(asked[role]) == 1, asked
        assert asked["environment"] in suite.environments
