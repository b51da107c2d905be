"""The answer says what the numbers allow and no more, whatever was stored."""

from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.reporting.answer import LONGEST, MOST, answer
from harness.statistics.intervals import Estimate
from harness.suite.schema import Claim
from harness.verdicts.claims import ClaimVerdict, JudgedClaim
from support.results import CARTPOLE, ENVIRONMENTS, Environment, Run, write_runs

SPREAD = (-3.0, 1.0, 0.0, 2.0, -1.0, 1.5, -2.0, 0.5, 3.0, -2.0)  # of ten seeds; the mean is 0
CLAIM = Claim(statement="A beats B.", metric="final_score", better="a/x", than="a/y", environment="cartpole", margin=5)


def side(name: str, mean: float, seeds: int = 10, environment: Environment = CARTPOLE, **changes) -> list[Run]:
    """Runs that end at scores around a mean; those of two sides differ in another way for every seed."""
    spread = SPREAD if name < "a/y" else SPREAD[3:] + SPREAD[:3]
    return [Run(name, environment, seed, scores=(0.0, mean + spread[seed]), changes=changes) for seed in range(seeds)]


def told(folder: Path, runs: list[Run], *claims: JudgedClaim) -> list[str]:
    return answer(harness.load(write_runs(folder / "runs", runs)), claims)


def judged(verdict: ClaimVerdict, low: float = 6.0, **other) -> JudgedClaim:
    return JudgedClaim(
        CLAIM, **{"device": "cpu", "runs": 10} | other, advantage=Estimate(8.0, low, 9.5, "student"), verdict=verdict
    )


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (judged(ClaimVerdict.HOLDS), "Yes: A beats B (advantage 8.00, at least 6.00 with 95 % confidence; n = 10)."),
        (judged(ClaimVerdict.FAILS), "No: A beats B (advantage 8.00, at most 9.50 with 95 % confidence; n = 10)."),
        (
            judged(ClaimVerdict.UNDECIDED),
            "Undecided: A beats B (advantage 8.00, bounds 6.00 and 9.50 with 95 % confidence; n = 10).",
        ),
        (judged(ClaimVerdict.UNDECIDED, low=float("nan"), runs=2), "Undecided: A beats B (too few runs; n = 2)."),
        (
            judged(ClaimVerdict.HOLDS, device="cuda"),
            "Yes: A beats B on cuda (advantage 8.00, at least 6.00 with 95 % confidence; n = 10).",
        ),
    ],
)
def test_a_claim_that_was_judged_is_the_answer_on_its_environment(tmp_path, claim, text):
    assert told(tmp_path, side("a/x", 50.0), claim) == [text]


def test_a_claim_that_was_not_judged_leaves_its_environment_open(tmp_path):
    (line,) = told(tmp_path, side("a/x", 50.0), judged(ClaimVerdict.NOT_JUDGED))
    assert line == "cartpole: x ends at 50.0, 10 runs. A run trains in 8.00 s."


def test_many_claims_are_counted(tmp_path):
    claims = [judged(ClaimVerdict.HOLDS)] * 3 + [judged(ClaimVerdict.FAILS), judged(ClaimVerdict.NOT_JUDGED)]
    assert told(tmp_path, side("a/x", 50.0), *claims) == ["Of 4 claims: holds 3, fails 1."]


@pytest.mark.parametrize(("high", "low"), [("x", "y"), ("y", "x")])
def test_who_differs_is_said_to_whichever_name_comes_first(tmp_path, high, low):
    (line,) = told(tmp_path, side(f"a/{high}", 60.0) + side(f"a/{low}", 50.0))
    assert line.startswith(f"cartpole: {high} ends at 60.0 and {low} at 50.0; they differ, by 10.0 [")
    assert line.endswith("(n = 10). A run trains in 8.00 s and 8.00 s.")


def test_what_an_interval_leaves_open_may_be_chance(tmp_path):
    (line,) = told(tmp_path, side("a/x", 50.4) + side("a/y", 50.0))
    assert "x ends at 50.4 and y at 50.0; a difference of 0.400 [-" in line
    assert "], which may be chance (n = 10)." in line


def test_an_interval_without_0_is_not_enough_where_the_test_does_not_reject(tmp_path):
    runs = [
        Run(name, seed=seed, scores=(0.0, end + seed)) for name, end in (("a/x", 9), ("a/y", 8)) for seed in range(3)
    ]
    (line,) = told(tmp_path, runs)
    assert "a difference of 1.00 [1.00, 1.00], which may be chance (n = 3)." in line


def test_the_test_allows_for_all_pairs_of_the_environment(tmp_path):
    runs = side("a/x", 51.5, seeds=7) + side("a/y", 48.2, seeds=7)
    assert "they differ" in told(tmp_path / "two", runs)[0]
    others = [run for k in range(7) for run in side(f"b/{k}", 10.0 * k - 60, seeds=7)]
    (line,) = told(tmp_path / "nine", runs + others)
    assert "x ends at 51.3, the highest of 9, and y at 48.5;" in line
    assert "may be chance" in line


def test_those_that_end_alike_in_every_run_are_said_to(tmp_path):
    runs = [Run(name, seed=seed, scores=(0.0, 500.0)) for name in ("a/x", "a/y") for seed in range(3)]
    assert told(tmp_path, runs)[0].startswith("cartpole: x ends at 500 and y at 500; they end alike (n = 3).")


def test_below_three_runs_nothing_is_decided(tmp_path):
    (line,) = told(tmp_path, side("a/x", 90.0, seeds=2) + side("a/y", 50.0))
    assert "; fewer than 3 runs decide nothing (n = 2)." in line


def test_failed_runs_count_and_are_told(tmp_path):
    failed = [replace(run, status="failed", error="no", scores=()) for run in side("a/x", 90.0)[:5]]
    stopped = [replace(run, status="interrupted", scores=()) for run in side("a/y", 50.0)[:1]]
    (line,) = told(tmp_path, failed + side("a/x", 90.0)[5:] + stopped + side("a/y", 50.0)[1:])
    assert line.startswith("cartpole: x ends at 56.")  # between 90 and 22, the random policy's
    assert "may be chance (n = 9)" in line
    assert line.endswith("6 of 20 runs did not finish; those that failed count as random play, or as the worst run.")


def test_without_a_random_score_an_algorithm_with_failed_runs_has_no_rank(tmp_path):
    bare = replace(CARTPOLE, random=None)
    failed = [Run("a/x", bare, 9, status="failed", error="no", scores=())]
    runs = side("a/x", 90.0, 9, bare) + failed
    why = "1 of 11 runs did not finish; those that failed have no score, and their algorithms no rank."
    assert told(tmp_path / "two", runs + side("a/y", 50.0, 1, bare)) == [
        f"cartpole: y ends at 52.0, 1 run. A run trains in 8.00 s. {why}"
    ]
    assert told(tmp_path / "one", runs)[0].startswith("cartpole: no algorithm has a rank. 1 of 10 runs")


def test_runs_of_which_none_is_done_have_no_answer(tmp_path):
    failed = Run(status="failed", error="no", scores=())
    skipped = Run(status="skipped", error="does not fit", scores=())
    assert told(tmp_path / "failed", [failed]) == ["cartpole: no run is done."]
    assert told(tmp_path / "skipped", [skipped]) == ["No run was made, so there is no answer."]


def test_a_seed_that_has_several_runs_leaves_a_difference_open(tmp_path):
    runs = [*side("a/x", 100.0, 3), *side("a/y", 50.0, 3), *side("a/x", 100.0, 1, machine="another")]
    (line,) = told(tmp_path, runs)
    assert line.startswith(
        "cartpole: x ends at 98.8 and y at 50.8; a seed that has several runs leaves their difference open."
    )


def test_of_many_environments_the_first_are_told_and_the_others_counted(tmp_path):
    places = [replace(CARTPOLE, name=f"place-{k}") for k in range(9)]
    runs = [Run(environment=place) for place in places]
    lines = told(tmp_path / "nine", runs)
    assert [line.partition(":")[0] for line in lines] == [
        *(f"place-{k}" for k in range(5)),
        "4 environments more in the tables.",
    ]
    assert len(told(tmp_path / "six", runs[:MOST])) == MOST


def test_every_device_is_a_contestant(tmp_path):
    runs = side("a/x", 60.0) + side("a/x", 50.0, device="cuda")
    assert "x on cpu ends at 60.0 and x on cuda at 50.0;" in told(tmp_path, runs)[0]


def test_seconds_are_shares_of_a_trial_and_those_of_several_machines_are_not_told(tmp_path):
    together = side("a/x", 60.0, runs_in_trial=10)
    assert told(tmp_path / "one", together + side("a/y", 50.0))[0].endswith(
        "A run trains in 0.800 s (10 at once) and 8.00 s."
    )
    assert "trains" not in told(tmp_path / "two", together + side("a/y", 50.0, machine="another"))[0]


def test_long_names_are_cut_in_the_middle_unless_that_makes_them_one(tmp_path):
    long = "a/x[" + "setting=1, " * 30 + "last={}]"
    runs = [Run(long.format(k), seed=seed) for k in (1, 2) for seed in range(3)]
    (line,) = told(tmp_path / "ends", runs)
    assert len(line) < 2 * LONGEST + 120
    assert "last=1]" in line
    assert "last=2]" in line
    middle = "a/x[" + "setting=1, " * 15 + "k={}, " + "setting=1, " * 15 + "]"
    (line,) = told(tmp_path / "middle", [Run(middle.format(k), seed=seed) for k in (1, 2) for seed in range(3)])
    assert ", k=1, " in line
    assert ", k=2, " in line


def test_whatever_a_plugin_wrote_stays_on_its_line(tmp_path):
    hostile = Run('a/x[note="\x1b[31m\n<b>"]', changes={"algorithm_id": "a/x"})
    assert told(tmp_path, [hostile])[0].startswith('cartpole: x[note="?[31m <b>"] ends at 40.0, 1 run.')


def test_environments_of_a_real_suite_are_all_answered(tmp_path):
    runs = [Run(environment=environment, seed=seed) for environment in ENVIRONMENTS for seed in range(3)]
    assert [line.partition(":")[0] for line in told(tmp_path, runs)] == [e.name for e in ENVIRONMENTS]
