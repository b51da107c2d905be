"""Claims of a suite: what holds, what fails, what is left open, and what cannot be judged."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import harness
from harness.commands.cli import main
from harness.contract.errors import ExitCode, UsageError
from harness.reporting.claims_sheet import claims_sheet, claims_text, evidence
from harness.statistics.decision import runs_needed
from harness.statistics.groups import group_difference, worst_quarter
from harness.statistics.intervals import difference
from harness.statistics.reliability import interquartile_range
from harness.statistics.runs import ragged
from harness.suite.reading import Suite, load_suite
from harness.suite.schema import Claim
from harness.verdicts.claims import ClaimVerdict, JudgedClaim, decide, expected_by_chance, judged
from support.paths import ROOT
from support.results import CARTPOLE, ENVIRONMENTS, Environment, Run, write_runs

OURS, THEIRS = "algorithms/dqn:small", "algorithms/sarsa"
SPREAD = (-3.0, 1.0, 0.0, 2.0, -1.0, 1.5, -2.0, 0.5, 3.0, -2.0)  # of ten seeds; the mean is 0

SUITE = """
[suite]
name = "synthetic"
version = "1"
question = "Which is better?"
environments = ["cartpole"]
algorithms = ["{better}", "{than}"]
seeds = {seeds}
[budget]
steps = {steps}
[[claims]]
statement = "Ours is better."
metric = "{metric}"
better = "{better}"
than = "{than}"
environment = "cartpole"
margin = {margin}
confidence = {confidence}
"""


def suite_text(metric="final_score", margin=0.0, seeds=10, better=OURS, than=THEIRS, **other) -> str:
    facts = {"steps": CARTPOLE.budget, "confidence": 0.95, **other}
    return SUITE.format(metric=metric, margin=margin, seeds=seeds, better=better, than=than, **facts)


def suite(*arguments, **options) -> Suite:
    return load_suite(suite_text(*arguments, **options))


def side(algorithm: str, finals, **changes) -> list[Run]:
    """Runs whose last evaluations have these scores; None is a run that failed."""
    return [
        Run(algorithm, seed=seed, scores=(0.0, 10.0, final), **changes)
        if final is not None
        else Run(algorithm, seed=seed, status="failed", error="ValueError: no", scores=(), **changes)
        for seed, final in enumerate(finals)
    ]


def one(asked: Suite, folder: Path, *runs: list[Run]) -> JudgedClaim:
    """The verdict on the only claim, on these runs."""
    write_runs(folder / "runs", [run for some in runs for run in some])
    (found,) = judged(asked, harness.load(folder / "runs"))
    return found


def around(centre: float, scale: float = 1.0) -> list[float]:
    return [centre + scale * each for each in SPREAD]


@pytest.mark.parametrize(
    ("ours", "margin", "verdict"),
    [
        (around(110.0), 0.0, ClaimVerdict.HOLDS),
        (around(110.0), 8.0, ClaimVerdict.HOLDS),
        (around(110.0), 10.0, ClaimVerdict.UNDECIDED),  # just the margin: neither is shown
        (around(99.0), -10.0, ClaimVerdict.HOLDS),  # somewhat worse, as it may be
        (around(80.0), -10.0, ClaimVerdict.FAILS),
        (around(110.0), 12.0, ClaimVerdict.FAILS),
        (around(90.0), 0.0, ClaimVerdict.FAILS),
        (around(100.2), 0.0, ClaimVerdict.UNDECIDED),
    ],
)
def test_a_claim_holds_fails_or_is_undecided_by_both_bounds_of_the_advantage(tmp_path, ours, margin, verdict):
    found = one(suite(margin=margin), tmp_path, side(OURS, ours), side(THEIRS, [100.0] * 10))

    assert (found.verdict, found.runs, found.reason) == (verdict, 10, "")
    assert (found.better, found.than) == pytest.approx((np.mean(ours), 100.0))
    assert found.advantage.low < found.advantage.value < found.advantage.high
    assert (found.more_seeds is None) == (verdict is not ClaimVerdict.UNDECIDED or found.advantage.value == margin)


@pytest.mark.parametrize("runs", [3, 9, 10])
def test_the_evidence_is_what_the_statistics_give_for_pairs_of_seeds(tmp_path, runs):
    common = np.linspace(0, 100, runs)  # as different as seeds are; it cancels
    ours, theirs = common + 101 + np.array(SPREAD[:runs]), common + 100
    found = one(suite(seeds=runs, confidence=0.9), tmp_path, side(OURS, ours), side(THEIRS, theirs))

    expected = difference(ragged([ours]), ragged([theirs]), paired=True, level=2 * 0.9 - 1)
    assert found.advantage == pytest.approx(expected)
    assert found.advantage.method == ("student" if runs < 10 else "bootstrap")
    needed = runs_needed(np.std(SPREAD[:runs], ddof=1), float(expected.value), 0.1)
    assert found.more_seeds in (None, max(needed - runs, 1))


@pytest.mark.parametrize("name", ["worst_quarter", "spread"])
def test_measures_of_a_group_are_compared_on_pairs_drawn_together(tmp_path, name):
    ours, theirs = np.array(around(100.0)), np.array(around(100.0, 3.0))[::-1]
    found = one(suite(name), tmp_path, side(OURS, ours), side(THEIRS, theirs))

    statistic = {"worst_quarter": worst_quarter, "spread": interquartile_range}[name]
    first, second = (ours, theirs) if name == "worst_quarter" else (theirs, ours)  # of a spread less is better
    expected = group_difference(first, second, statistic, level=0.9).estimate
    assert found.advantage == pytest.approx(expected)
    assert (found.better, found.than) == (float(statistic(ours)), float(statistic(theirs)))
    assert found.advantage.value > 0


# Against a number


def against(metric="final_score", seeds=10, better=OURS, **bound) -> Suite:
    """A suite whose only claim is about a number: ``at_least`` or ``at_most``."""
    ((key, number),) = bound.items()
    text = suite_text(metric, seeds=seeds, better=better)
    return load_suite(text.replace(f'than = "{THEIRS}"', f"{key} = {number}"))


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ({"at_least": 95}, ClaimVerdict.HOLDS),
        ({"at_least": 100}, ClaimVerdict.UNDECIDED),  # the mean itself
        ({"at_least": 300}, ClaimVerdict.FAILS),
        ({"at_most": 95}, ClaimVerdict.FAILS),
        ({"at_most": 100}, ClaimVerdict.UNDECIDED),
        ({"at_most": 300}, ClaimVerdict.HOLDS),
    ],
)
def test_a_number_is_met_failed_or_left_open_by_both_bounds_of_the_mean(tmp_path, bound, verdict):
    narrow = [replace(run, environment=replace(CARTPOLE, random=90.0)) for run in side(OURS, around(100.0, 0.1))]
    found = one(against(**bound), tmp_path, narrow)

    assert found.verdict is verdict
    assert (found.runs, found.reason, found.than) == (10, "", next(iter(bound.values())))
    assert found.better == pytest.approx(100.0)


def test_the_bounds_of_a_score_are_those_of_the_tables_of_scores(tmp_path):
    found = one(against(at_least=80), tmp_path, side(OURS, around(100.0)))

    scores = harness.load(tmp_path / "runs").scores().iloc[0]
    assert (found.interval.low + 80, found.interval.high + 80) == pytest.approx((scores["low"], scores["high"]))
    assert found.interval.low < found.advantage.low < found.advantage.high < found.interval.high


def test_equal_runs_leave_room_for_others_that_fail(tmp_path):
    found = one(against(at_least=500), tmp_path, side(OURS, [500.0] * 10))

    lower = CARTPOLE.random + (500 - CARTPOLE.random) * 0.05**0.1  # Clopper and Pearson's of 10 successes in 10
    assert found.verdict is ClaimVerdict.UNDECIDED
    assert found.advantage.low + 500 == pytest.approx(lower, abs=0.01)
    assert found.advantage.value == 0
    assert one(against(at_least=400), tmp_path / "400", side(OURS, [500.0] * 10)).more_seeds in range(3, 50)


def test_failed_runs_count_as_the_random_policy_and_meet_no_number(tmp_path):
    runs = side(OURS, [*around(100.0)[:9], None])
    low = one(against(at_least=95), tmp_path / "least", runs)
    assert low.verdict is not ClaimVerdict.HOLDS
    assert low.reason == f"1 run of {OURS} failed"

    most = one(against(at_most=400), tmp_path / "most", runs)
    assert most.verdict is ClaimVerdict.NOT_JUDGED
    assert most.reason == f"it would hold, but 1 run of {OURS} failed, and that must not decide it"


def test_a_mean_without_bounds_is_not_judged_and_says_why(tmp_path):
    unknown = [replace(run, environment=replace(CARTPOLE, random=None)) for run in side(OURS, around(100.0))]
    found = one(against(at_least=1), tmp_path, unknown)
    assert found.verdict is ClaimVerdict.NOT_JUDGED
    assert found.reason == f"the mean of {OURS} has no bounds: no random score"


def test_a_missing_seed_leaves_a_number_unjudged(tmp_path):
    found = one(against(at_least=1), tmp_path, side(OURS, [100.0] * 9))
    assert (found.verdict, found.reason) == (ClaimVerdict.NOT_JUDGED, f"{OURS} was not run with seed 9")


@pytest.mark.parametrize(
    ("bound", "told"), [({"at_least": 90}, "against ≥ 90, n = 10"), ({"at_most": 110}, "against ≤ 110, n = 10")]
)
def test_a_number_is_told_with_its_direction_and_without_a_margin(tmp_path, bound, told):
    found = one(against(**bound), tmp_path, side(OURS, around(100.0)))

    text = claims_text([found])
    assert told in text and "margin 0" not in text
    (row,) = evidence([found])
    assert (row["than"], row["than_value"], row["p"]) == (None, next(iter(bound.values())), None)
    assert {key: row[key] for key in bound} == bound
    json.dumps(row)


def test_an_algorithm_compared_with_its_equal_is_never_better_in_its_group():
    scores = np.array(around(5.0))
    estimate, width = group_difference(scores, scores, worst_quarter)
    assert estimate[:3] == (0, 0, 0)
    assert width == 0


def test_steps_to_a_threshold_count_as_the_budget_where_it_is_never_reached(tmp_path):
    arrive = [replace(run, scores=(0.0, 480.0, 480.0)) for run in side(OURS, [0.0] * 10)]
    half = [
        replace(run, scores=(0.0, 480.0, 480.0) if run.seed % 2 else (0.0, 480.0, 0.0))
        for run in side(THEIRS, [0.0] * 10)
    ]
    found = one(suite("steps_to_threshold"), tmp_path, arrive, half)

    assert (found.better, found.than) == (10_000, 15_000)
    assert found.advantage.value == 5_000  # less is better
    assert found.verdict is ClaimVerdict.HOLDS


@pytest.mark.parametrize(
    ("metric", "ours", "theirs"),
    [
        ("worst_drop", (0.0, 100.0, 90.0), (0.0, 100.0, 10.0)),
        ("diagnostic_loss", (0.0, 1.0, 1.0), (0.0, 1.0)),  # the mean of 1, 1/e, 1/e² and of 1, 1/e
        ("area_under_curve", (0.0, 100.0, 100.0), (0.0, 10.0, 100.0)),
    ],
)
def test_the_better_direction_is_that_of_the_measure(tmp_path, metric, ours, theirs):
    runs = [
        [replace(run, scores=scores) for run in side(name, [0.0] * 3)]
        for name, scores in ((OURS, ours), (THEIRS, theirs))
    ]
    found = one(suite(metric, seeds=3), tmp_path, *runs)

    assert found.verdict is ClaimVerdict.HOLDS
    assert found.advantage.value == pytest.approx(abs(found.better - found.than))


def test_a_tie_is_undecided_and_no_number_of_seeds_would_settle_it(tmp_path):
    found = one(suite("online_return"), tmp_path, side(OURS, [1.0] * 10), side(THEIRS, [2.0] * 10))

    assert (found.verdict, *found.advantage[:3]) == (ClaimVerdict.UNDECIDED, 0, 0, 0)
    assert found.more_seeds is None


@pytest.mark.parametrize(
    ("metric", "runs", "more"), [("final_score", 1, 2), ("final_score", 2, 1), ("worst_quarter", 4, 1)]
)
def test_too_few_runs_decide_nothing_however_clear_they_look(tmp_path, metric, runs, more):
    found = one(suite(metric, seeds=runs), tmp_path, side(OURS, [500.0] * runs), side(THEIRS, [0.0] * runs))

    assert (found.verdict, found.advantage.method, found.more_seeds) == (ClaimVerdict.UNDECIDED, "none", more)
    assert found.advantage.value == 500
    assert np.isnan(found.advantage[1:3]).all()
    assert "too few runs" in claims_text([found])


def test_failed_runs_of_the_one_said_to_be_better_count_as_the_random_policy(tmp_path):
    ours = [110.0] * 5 + [None] * 5
    found = one(suite(), tmp_path, side(OURS, ours), side(THEIRS, around(100.0)))

    assert found.verdict is ClaimVerdict.FAILS
    assert found.better == pytest.approx((110 + CARTPOLE.random) / 2)
    assert found.reason == f"5 runs of {OURS} failed"


def test_a_failed_run_never_counts_as_more_than_the_worst_that_was_seen(tmp_path):
    found = one(suite(), tmp_path, side(OURS, [5.0] * 9 + [None]), side(THEIRS, [1.0] * 10))
    assert found.better == pytest.approx((9 * 5 + 1) / 10)  # not CARTPOLE.random, 22


def test_failed_runs_never_reach_a_threshold(tmp_path):
    theirs = [replace(run, scores=(0.0, 480.0, 480.0)) for run in side(THEIRS, [0.0] * 10)]
    found = one(suite("steps_to_threshold"), tmp_path, side(OURS, [None] * 10), theirs)
    assert (found.verdict, found.better) == (ClaimVerdict.FAILS, CARTPOLE.budget)


def test_failed_runs_of_the_other_do_not_make_a_claim_hold(tmp_path):
    found = one(suite(), tmp_path, side(OURS, [110.0] * 10), side(THEIRS, [100.0] * 9 + [None]))
    assert found.verdict is ClaimVerdict.NOT_JUDGED
    assert found.reason == f"it would hold, but 1 run of {THEIRS} failed, and that must not decide it"


@pytest.mark.parametrize("metric", ["worst_drop", "diagnostic_loss", "spread"])
def test_a_measure_without_a_floor_is_not_judged_where_a_run_failed(tmp_path, metric):
    found = one(suite(metric), tmp_path, side(OURS, [1.0] * 9 + [None]), side(THEIRS, [1.0] * 10))
    assert (found.verdict, found.reason) == (
        ClaimVerdict.NOT_JUDGED,
        f"1 run of {OURS} failed, and a failed run has no {metric}",
    )


def not_judged(tmp_path: Path, asked: Suite, *runs: list[Run]) -> str:
    """Why a claim is not judged."""
    found = one(asked, tmp_path, *runs)
    assert found.verdict is ClaimVerdict.NOT_JUDGED
    assert found.runs == 0
    return found.reason


def test_without_a_random_score_failed_runs_have_no_floor(tmp_path):
    task = Environment("cartpole", "CartPole-v1", None, None, None)
    runs = side(OURS, [1.0, None, 1.0], environment=task), side(THEIRS, [1.0] * 3, environment=task)
    assert "no random score" in not_judged(tmp_path, suite(seeds=3), *runs)


def test_a_done_run_that_has_nothing_to_measure_is_not_skipped(tmp_path):
    task = Environment("cartpole", "CartPole-v1", None, None, None)
    runs = side(OURS, [1.0] * 3, environment=task), side(THEIRS, [1.0] * 3, environment=task)
    said = not_judged(tmp_path, suite("steps_to_threshold", seeds=3), *runs)
    assert said == f"{THEIRS} has no steps_to_threshold with seeds 0, 1, 2"


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_trap_a_diagnostic_that_was_not_finite_once_is_not_averaged_away(tmp_path, value):
    ours, theirs = side(OURS, [1.0] * 3), side(THEIRS, [1.0] * 3)
    write_runs(tmp_path, [*ours, *theirs])
    results = harness.load(tmp_path)
    logged = results.diagnostics.copy()
    logged.loc[(logged["key"] == ours[0].key) & (logged["step"] == CARTPOLE.budget), "value"] = value
    (found,) = judged(suite("diagnostic_loss", seeds=3), replace(results, diagnostics=logged))
    assert (found.verdict, found.reason) == (ClaimVerdict.NOT_JUDGED, f"{OURS} has no diagnostic_loss with seed 0")


def test_of_two_runs_of_one_seed_a_claim_is_about_the_later_one(tmp_path):
    """As when an environment came to be declared as tensors, too: the same task, drawn from other numbers."""
    again = replace(side(OURS, [5.0])[0], changes={"finished_at": "2099-01-01T00:00:00+00:00"})
    write_runs(tmp_path, [*side(OURS, [2.0] * 3), again, *side(THEIRS, [1.0] * 3)])
    (found,) = judged(suite(seeds=3), harness.load(tmp_path))
    assert (found.better, found.runs) == (3, 3)


@pytest.mark.parametrize("status", ["skipped", "interrupted"])
def test_runs_that_were_never_finished_leave_a_claim_unjudged(tmp_path, status):
    theirs = side(THEIRS, [1.0] * 10)
    theirs[4] = replace(theirs[4], status=status, scores=())
    assert not_judged(tmp_path, suite(), side(OURS, [2.0] * 10), theirs) == f"{THEIRS} with seed 4 was {status}"


def test_a_seed_of_the_suite_that_is_not_there_leaves_a_claim_unjudged(tmp_path):
    runs = side(OURS, [2.0] * 10), side(THEIRS, [1.0] * 8)
    assert not_judged(tmp_path, suite(), *runs) == f"{THEIRS} was not run with seeds 8, 9"


def test_more_seeds_than_the_suite_asks_for_count_where_both_have_them(tmp_path):
    found = one(suite(seeds=5), tmp_path / "both", side(OURS, around(1.0)), side(THEIRS, around(0.0)))
    assert found.runs == 10

    runs = side(OURS, around(1.0)), side(THEIRS, around(0.0)[:5])
    assert not_judged(tmp_path / "one", suite(seeds=5), *runs) == f"{THEIRS} was not run with seeds 5, 6, 7, 8, 9"


def test_a_contestant_that_was_not_run_leaves_a_claim_unjudged(tmp_path):
    said = not_judged(tmp_path, suite(), side(OURS, [1.0] * 10))
    assert said == f"no run of {THEIRS} on cartpole is stored"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"algorithm_version": "2"}, "has more than one algorithm version: 1, 2"),
        ({"config": '{"learning_rate": 0.2}'}, "has more than one configuration"),
        ({"task_hash": "0" * 20}, "differ in task, budget or evaluation"),
    ],
)
def test_runs_that_are_not_comparable_are_not_averaged(tmp_path, changes, reason):
    ours = side(OURS, [1.0] * 10)
    ours[9] = replace(ours[9], changes=changes)
    assert reason in not_judged(tmp_path, suite(), ours, side(THEIRS, [1.0] * 10))


def test_runs_of_another_budget_than_the_suites_are_not_judged(tmp_path):
    said = not_judged(tmp_path, suite(steps=30_000), side(OURS, [1.0] * 10), side(THEIRS, [1.0] * 10))
    assert said == "the suite asks for 30,000 steps; the runs have 20,000"


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ({"points": 7, "episodes": 10}, "the suite asks for 20 evaluations; the runs have 7"),
        ({"points": 20, "episodes": 3}, "the suite asks for 10 episodes per evaluation; the runs have 3"),
        ({"points": "<b>", "episodes": None}, ""),  # a stranger's
        ("nonsense", ""),
    ],
)
def test_runs_that_were_evaluated_otherwise_than_the_suite_asks_are_not_judged(tmp_path, job, reason):
    write_runs(tmp_path, [*side(OURS, [2.0] * 3), *side(THEIRS, [1.0] * 3)])
    results = harness.load(tmp_path)
    told = replace(results, manifests={key: {"job": job} for key in results.runs["key"]})
    (found,) = judged(suite(seeds=3), told)
    assert found.reason == reason
    assert (found.verdict is ClaimVerdict.NOT_JUDGED) == bool(reason)


def test_a_claim_is_about_exactly_the_configuration_it_names(tmp_path):
    named = f"{OURS}[learning_rate=1e-2]"
    runs = [
        side("algorithms/dqn", [1.0] * 3),
        side(OURS, [2.0] * 3),
        side(f"{OURS}[learning_rate=0.01]", [3.0] * 3, changes={"algorithm_id": "algorithms/dqn"}),
        side(f"{OURS}[hidden=[8], learning_rate=0.01]", [4.0] * 3, changes={"algorithm_id": "algorithms/dqn"}),
        side("sb3/dqn:small", [5.0] * 3),
    ]
    for number, (better, than, values) in enumerate(
        [(named, OURS, (3, 2)), ("algorithms/dqn", named, (1, 3)), ("sb3/dqn:small", OURS, (5, 2))]
    ):
        asked = suite(seeds=3, better=better, than=than)
        found = one(asked, tmp_path / str(number), *runs)
        assert (found.better, found.than) == values


def test_a_short_name_finds_its_only_algorithm_and_refuses_two(tmp_path):
    asked = suite(seeds=3, better="dqn:small", than="sarsa")
    runs = side(OURS, [2.0] * 3), side(THEIRS, [1.0] * 3)
    assert one(asked, tmp_path / "one", *runs).better == 2

    said = not_judged(tmp_path / "two", asked, *runs, side("sb3/dqn:small", [3.0] * 3))
    assert said == "dqn:small has more than one algorithm: algorithms/dqn, sb3/dqn"


def test_results_of_another_suite_are_refused(tmp_path):
    write_runs(tmp_path, side(OURS, [1.0], suite="other"))
    with pytest.raises(UsageError, match="holds no run of suite 'synthetic'; suites there: 'other'"):
        judged(suite(), harness.load(tmp_path))


def test_runs_of_other_suites_in_the_folder_are_left_out(tmp_path):
    write_runs(tmp_path / "other", side(OURS, [9.0] * 3, suite="other"))
    write_runs(tmp_path / "synthetic", [*side(OURS, [2.0] * 3), *side(THEIRS, [1.0] * 3)])
    (found,) = judged(suite(seeds=3), harness.load(tmp_path))
    assert (found.better, found.runs) == (2, 3)


def test_pairs_that_do_not_fit_leave_the_others_judged(tmp_path):
    unfit = replace(
        side(OURS, [1.0])[0], environment=ENVIRONMENTS[5], status="skipped", scores=(), changes={"fits": False}
    )
    write_runs(tmp_path, [*side(OURS, [2.0] * 3), *side(THEIRS, [1.0] * 3), unfit])
    (found,) = judged(suite(seeds=3), harness.load(tmp_path))
    assert (found.better, found.runs) == (2, 3)


def test_a_suite_without_claims_is_refused(tmp_path):
    write_runs(tmp_path, side(OURS, [1.0]))
    silent = load_suite(suite_text().partition("[[claims]]")[0])
    with pytest.raises(UsageError, match="makes no claims"):
        judged(silent, harness.load(tmp_path))


def test_every_device_has_a_verdict_of_its_own(tmp_path):
    runs = [*side(OURS, around(110.0)), *side(THEIRS, [100.0] * 10)]
    runs += [
        *side(OURS, around(90.0), changes={"device": "cuda"}),
        *side(THEIRS, [100.0] * 10, changes={"device": "cuda"}),
    ]
    write_runs(tmp_path, runs)
    found = judged(suite(), harness.load(tmp_path))
    assert [(each.device, each.verdict) for each in found] == [("cpu", "holds"), ("cuda", "fails")]
    assert [column.heading for column in claims_sheet(found).columns][1] == "device"


CLAIM = Claim(statement="It is.", metric="final_score", better="a", than="b", environment="c", margin=5.0)


@pytest.mark.parametrize("runs", [4, 10])
def test_an_advantage_that_is_just_the_margin_is_seldom_taken_to_hold_or_to_fail(runs):
    rng = np.random.default_rng(runs)
    pairs = rng.normal(size=(200, 2, runs)) + rng.normal(size=(200, 1, runs))
    found = [decide(CLAIM, ours + CLAIM.margin, theirs).verdict for ours, theirs in pairs]
    for verdict in (ClaimVerdict.HOLDS, ClaimVerdict.FAILS):
        assert np.mean([each is verdict for each in found]) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_groups_of_one_population_are_seldom_taken_to_differ():
    claim = CLAIM.model_copy(update={"metric": "worst_quarter", "margin": 0.0})
    pairs = np.random.default_rng(5).normal(size=(120, 2, 5))
    found = [decide(claim, *pair).verdict for pair in pairs]
    assert np.mean([each is ClaimVerdict.HOLDS for each in found]) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def test_with_the_seeds_it_asks_for_a_true_claim_is_found_in_about_four_of_five_cases():
    claim = CLAIM.model_copy(update={"margin": 0.0})
    ours = np.tile([-1.0, 2.0], 3)  # differences of mean 1/2 and standard deviation 1.64
    more = decide(claim, ours, np.zeros(6)).more_seeds
    runs = 6 + more
    drawn = np.random.default_rng(1).normal(0.5, np.std(ours, ddof=1), (100, runs))
    held = np.mean([decide(claim, each, np.zeros(runs)).verdict is ClaimVerdict.HOLDS for each in drawn])
    assert 0.68 < held < 0.92


def test_claims_expected_to_hold_by_chance_are_counted_over_those_judged(tmp_path):
    found = one(suite(confidence=0.9), tmp_path, side(OURS, around(110.0)), side(THEIRS, [100.0] * 10))
    missing = replace(found, verdict=ClaimVerdict.NOT_JUDGED)
    assert expected_by_chance([found, found, missing]) == pytest.approx(0.2)
    assert "0.2 of the 2 judged here" in " ".join(claims_text([found, found, missing]).split())


def test_evidence_is_json_without_numbers_that_json_has_not(tmp_path):
    found = one(suite(), tmp_path, side(OURS, [1.0] * 10))
    (row,) = json.loads(json.dumps(evidence([found]), allow_nan=False))
    assert (row["verdict"], row["advantage"], row["runs"]) == ("not judged", None, 0)


def answered(tmp_path: Path, ours, *options: str, **asked) -> int:
    """The exit code of the command on ten runs of either side."""
    file = tmp_path / "suite.toml"
    file.write_text(suite_text(**asked), encoding="utf-8")
    write_runs(tmp_path / "runs", [*side(OURS, ours), *side(THEIRS, [100.0] * 10)])
    return main(["--no-plugins", "claims", str(file), str(tmp_path / "runs"), *options])


@pytest.mark.parametrize(
    ("ours", "options", "code"),
    [
        (around(110.0), [], ExitCode.YES),
        (around(90.0), [], ExitCode.NO),
        (around(100.2), [], ExitCode.YES),  # undecided is no "no"
        (around(100.2), ["--strict"], ExitCode.NO),
        (around(110.0)[:9], [], ExitCode.INCOMPLETE),
    ],
)
def test_the_exit_code_answers_the_question(tmp_path, capsys, ours, options, code):
    assert answered(tmp_path, ours, *options) == code
    printed, said = capsys.readouterr()
    assert "Ours is better." in printed
    assert ("1 of 1 claim is undecided" in said) == (len(ours) == 10 and abs(np.mean(ours) - 100) < 1)


def test_a_claim_that_fails_outweighs_one_that_is_not_judged(tmp_path):
    claim = suite_text().partition("[[claims]]")[2]
    asked = suite_text() + "[[claims]]" + claim.replace('"final_score"', '"diagnostic_absent"')
    (tmp_path / "suite.toml").write_text(asked, encoding="utf-8")
    write_runs(tmp_path / "runs", [*side(OURS, around(90.0)), *side(THEIRS, [100.0] * 10)])
    assert main(["--no-plugins", "claims", str(tmp_path / "suite.toml"), str(tmp_path / "runs")]) == ExitCode.NO


@pytest.mark.parametrize(("suite_", "runs"), [("nowhere.toml", "runs"), ("suite.toml", "nowhere")])
def test_what_does_not_exist_is_a_usage_error(tmp_path, suite_, runs):
    answered(tmp_path, around(110.0))
    assert main(["claims", str(tmp_path / suite_), str(tmp_path / runs)]) == ExitCode.USAGE


def test_the_command_prints_json(tmp_path, capsys):
    answered(tmp_path, around(110.0), "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["suite"], found["claims"][0]["verdict"]) == ("synthetic", "holds")


def test_the_report_has_a_section_of_claims_for_a_suite_that_is_named(tmp_path, capsys):
    answered(tmp_path, around(110.0))
    arguments = ["--no-plugins", "report", str(tmp_path / "runs"), "--out", str(tmp_path / "report")]
    assert main(arguments) == ExitCode.YES
    assert "Ours is better." not in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")

    assert main([*arguments, "--suite", str(tmp_path / "suite.toml")]) == ExitCode.YES
    assert "Ours is better." in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    table = pd.read_csv(tmp_path / "report" / "tables" / "claims.csv")
    assert table.loc[0, ["verdict", "runs", "margin"]].tolist() == ["holds", 10, 0.0]
    assert "holds" in capsys.readouterr().out


def test_the_report_finds_an_installed_suite_by_the_name_its_runs_have(tmp_path, capsys):
    write_runs(tmp_path, [Run(seed=seed, suite="quickstart") for seed in range(2)])
    assert main(["report", str(tmp_path), "--json"]) == ExitCode.YES
    (claim,) = json.loads(capsys.readouterr().out)["claims"]
    assert claim["verdict"] == "not judged"
    assert claim["reason"].startswith("no run of algorithms/sarsa on cliff-walking")


def test_a_run_of_a_suite_ends_with_the_verdicts_on_its_claims(tmp_path, capfd):
    asked = suite_text("online_return", seeds=1, better="algorithms/sarsa", than="algorithms/q_learning", steps=500)
    (tmp_path / "suite.toml").write_text(asked.replace("cartpole", "cliff-walking"), encoding="utf-8")
    assert main(["run", str(tmp_path / "suite.toml"), "--out", str(tmp_path)]) == ExitCode.YES
    printed = capfd.readouterr().out
    assert "undecided   Ours is better." in printed
    assert "too few runs; margin 0; about 2 more seeds" in printed


PUBLISHED = {path.parent.name: pd.read_csv(path) for path in ROOT.glob("results/reference/*/claims.csv")}
EXPLAINED = tomllib.loads((ROOT / "docs" / "claims.toml").read_text(encoding="utf-8"))["explained"]


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_verdicts_are_on_the_claims_that_the_suite_makes(name):
    asked = load_suite(ROOT / "suites" / f"{name}.toml")
    published = PUBLISHED[name]
    names = ["statement", "metric", "better", "than", "at_least", "at_most", "environment", "margin", "confidence"]
    columns = [column for column in names if column in published]  # older ones have no numbers
    made = [[getattr(claim, column) for column in columns] for claim in asked.claims]
    given = published[columns].astype(object)
    assert given.where(given.notna(), None).to_numpy().tolist() == made
    assert (published.loc[published["verdict"] != "not judged", "runs"] == len(asked.seeds)).all()


def test_every_published_verdict_but_holds_is_explained_and_nothing_else_is():
    published = pd.concat(PUBLISHED.values())
    explained = [each["statement"] for each in EXPLAINED]
    assert set(published.loc[published["verdict"] != "holds", "statement"]) <= set(explained)
    assert len(set(explained)) == len(explained)
    assert set(explained) <= set(published["statement"])
