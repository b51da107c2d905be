"""One question has one answer: report, `compare`, claims and gate say the same of the same runs, to the last digit."""

import json
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

import harness
from harness.commands.cli import main
from harness.reporting import gate_output
from harness.suite.measures import GATED
from harness.suite.reading import load_suite
from harness.verdicts.gate import judge
from support.results import Environment, Run, write_runs
from support.verdicts import TEN

TASK = Environment("cartpole", "CartPole-v1", 22.0, 500.0, 475.0, budget=100)
OLD, NEW = "algorithms/sarsa", "algorithms/dqn"
RNG = np.random.default_rng(7)
SUITE = """
[suite]
name = "synthetic"
version = "1"
question = "Which is better?"
environments = ["cartpole"]
algorithms = ["algorithms/dqn", "algorithms/sarsa"]
seeds = [{seeds}]
[budget]
steps = 100
[evaluation]
points = 4
[gate]
looks = [{looks}]
measure = "{gated}"
[[claims]]
statement = "The new one is better."
metric = "{measure}"
better = "algorithms/dqn"
than = "algorithms/sarsa"
environment = "cartpole"
confidence = 0.975
"""


class Answer(NamedTuple):
    """New less old: the runs of both, the difference of their means, its 95 % interval, and the p-value."""

    new: int
    old: int
    difference: float
    low: float
    high: float
    p: float


def side(algorithm, scores, first=0):
    """Runs whose last evaluation has these scores; None failed, (n,) is at the threshold from step n on."""
    made = []
    for seed, score in enumerate(scores, first):
        if isinstance(score, tuple):
            curve = tuple(480.0 if step >= score[0] else 10.0 for step in range(0, 101, 5))
        else:
            curve = (0.0, 20.0, 30.0, 40.0, score or 0.0)
        run = Run(algorithm, TASK, seed, scores=curve)
        made.append(run if score is not None else replace(run, status="failed", error="no", scores=()))
    return made


def turned(answer):
    return Answer(answer.old, answer.new, 0.0 - answer.difference, 0.0 - answer.high, 0.0 - answer.low, answer.p)


def report(results, measure):
    """Its tables name the algorithms in their order, so the difference is that of the first less the second."""
    table = results.pairwise() if measure == "final_score" else results.pairwise_steps()
    (row,) = table.to_dict("records")
    assert (row["algorithm"], row["than_algorithm"]) == ("dqn", "sarsa")
    return Answer(row["n"], row["than_n"], row["difference"], row["low"], row["high"], row["p"])


def comparison(folder, measure, capsys):
    """Of two algorithms; the head is B."""
    capsys.readouterr()
    assert main(["compare", str(folder), "--algorithms", OLD, NEW, "--measure", measure, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    numbers = (row[name] for name in ("head_runs", "base_runs", "difference", "low", "high", "p"))
    return Answer(*numbers)


def claim(folder, measure, seeds, capsys):
    """The advantage of the new one; where less is better, it is by how much it scores less."""
    suite = folder.parent / "suite.toml"
    suite.write_text(suite_text(measure, seeds), encoding="utf-8")
    capsys.readouterr()
    main(["claims", str(suite), str(folder), "--json"])
    (row,) = json.loads(capsys.readouterr().out)["claims"]
    assert (row["low"], row["high"]) == (row["interval_low"], row["interval_high"])  # bounds of 97.5 % each
    numbers = (row[name] for name in ("runs", "runs", "advantage", "interval_low", "interval_high", "p"))
    return Answer(*numbers) if measure != "steps_to_threshold" else turned(Answer(*numbers))


def gate(folder, old, new, measure, seeds):
    """The same numbers as those of one algorithm before and after a commit."""
    sides = [write_runs(folder / name, made) for name, made in (("base", old), ("head", new))]
    found = judge(load_suite(suite_text(measure, seeds)), *map(harness.load, sides))
    (task,) = gate_output.as_json(found)["tasks"]
    return Answer(
        found.used, found.used, *(task[key] for key in ("difference", "difference_low", "difference_high", "p"))
    )


def suite_text(measure, seeds):
    gated = measure if measure in GATED else "final_score"
    return SUITE.format(seeds=", ".join(map(str, seeds)), looks=len(seeds), gated=gated, measure=measure)


MANY = RNG.normal(100, 12, (2, 24)).round(1)
CASES = {
    "ten pairs": (TEN[0], TEN[1], 0),
    "five pairs": (TEN[0][:5], TEN[1][5:], 0),
    "twenty pairs": (MANY[0][:20], MANY[1][:20] + 5, 0),
    "failed runs": ([*TEN[0][:8], None, 8.0], [None, *TEN[1][:8], None], 0),
    "a failed run of six": (TEN[0][:6], [*TEN[1][:5], None], 0),
    "no shared seeds": (TEN[0], TEN[1], 30),
    "no shared seeds, and failures": ([*MANY[0][:11], None], [*MANY[1][:9], 3.0, None, None], 40),
    "other numbers of seeds": (MANY[0][:12], MANY[1][:12] + 9, 50),
}


@pytest.mark.parametrize("case", CASES)
def test_report_compare_claims_and_gate_give_one_answer(tmp_path, capsys, case):
    old, new, first = CASES[case]
    folder = write_runs(tmp_path / "runs", [*side(OLD, old), *side(NEW, new, first)])
    seeds = [*range(len(old))]
    answers = {
        "report": report(harness.load(folder), "final_score"),
        "compare": comparison(folder, "final_score", capsys),
        "gate": gate(tmp_path, side(NEW, old), side(NEW, new, first), "final_score", seeds),
    }
    if not first:  # claims are made of pairs
        answers["claims"] = claim(folder, "final_score", seeds, capsys)
    assert np.isfinite(answers["report"]).all()
    assert len(set(answers.values())) == 1, answers


def test_steps_to_the_threshold_have_one_answer_wherever_they_can_be_asked_for(tmp_path, capsys):
    old, new = ([(60,), (80,), (100,), (45,), None, (70,), (55,)], [(20,), (30,), (100,), (50,), (35,), None, (10,)])
    folder = write_runs(tmp_path / "runs", [*side(OLD, old), *side(NEW, new)])
    measure = "steps_to_threshold"
    answers = {
        report(harness.load(folder), measure),
        comparison(folder, measure, capsys),
        claim(folder, measure, range(7), capsys),
    }
    (answer,) = answers
    assert answer.difference == np.mean([20, 30, 100, 50, 35, 100, 10]) - np.mean([60, 80, 100, 45, 100, 70, 55])


def test_where_a_failed_run_has_no_score_nobody_has_a_number(tmp_path, capsys):
    def unknown(made):
        return [replace(run, environment=replace(TASK, random=None)) for run in made]

    old, new = unknown(side(OLD, TEN[0])), unknown(side(NEW, [*TEN[1][:9], None]))
    folder = write_runs(tmp_path / "runs", [*old, *new])
    (row,) = harness.load(folder).pairwise().to_dict("records")
    assert np.isnan([row["difference"], row["low"], row["p"]]).all()
    main(["compare", str(folder), "--algorithms", OLD, NEW, "--measure", "final_score", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["verdict"], row["p"]) == ("not comparable", None)
    assert "declare random_score" in row["reason"]
    main(["claims", str(_written(tmp_path)), str(folder), "--json"])
    (row,) = json.loads(capsys.readouterr().out)["claims"]
    assert (row["verdict"], row["p"]) == ("not judged", None)
    assert "declare random_score" in row["reason"]
    again = [replace(run, algorithm=NEW) for run in old]
    sides = [write_runs(tmp_path / name, made) for name, made in (("base", again), ("head", new))]
    found = judge(load_suite(suite_text("final_score", range(10))), *map(harness.load, sides))
    assert str(found.outcome) == "incomplete"  # other environments are asked for, too
    assert "declare random_score" in gate_output.as_json(found)["not_comparable"][0]["reason"]


def _written(folder):
    path = folder / "suite.toml"
    path.write_text(suite_text("final_score", range(10)), encoding="utf-8")
    return path
