"""The gate on stored results: every verdict by a pair of result sets made for it."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import harness
from harness.analysis.pairing import Run as SideRun
from harness.analysis.pairing import Task, blocks
from harness.commands import gate_commits
from harness.commands.cli import main
from harness.contract.errors import ExitCode
from harness.reporting import gate_output
from harness.statistics.decision import runs_needed
from harness.verdicts.events import concerns
from harness.verdicts.gate import judge, judge_scope
from harness.verdicts.judgement import GateAnswer
from harness.verdicts.scope import OTHER_STREAMS, Scope
from support.results import CARTPOLE, ENVIRONMENTS, Environment, Run, write_runs
from support.verdicts import DQN, FOUR, ended, runs, some, stored, suite, suite_text

ONE = (CARTPOLE,)


@pytest.fixture
def judged(tmp_path):
    """The judgement of a suite on two sides that are written and read."""

    def of(base, head, asked=None, **options):
        folder = tmp_path / str(len([*tmp_path.iterdir()]))
        sides = [stored(folder / name, made) for name, made in (("base", base), ("head", head))]
        return judge(asked or suite(), *sides, **options)

    return of


def verdicts(judgement):
    return [str(each.verdict) for each in judgement.tasks]


# Every verdict


def test_the_same_returns_pass_as_identical_without_statistics(judged):
    found = judged(runs(seeds=[0]), runs(seeds=[0]))
    assert found.outcome is GateAnswer.IDENTICAL
    assert found.look is None
    assert verdicts(found) == ["identical"] * 4
    assert found.exit_code() == ExitCode.YES


def test_identity_is_of_every_shared_run_with_one_done_at_least(judged):
    same, other = runs(), runs(noise=0.001)
    assert judged(same, [*same[:-1], other[-1]]).outcome is not GateAnswer.IDENTICAL
    failing = some(same, "crashed", seed=4)
    assert judged(failing, failing).outcome is GateAnswer.IDENTICAL
    all_failing = some(same, "crashed")
    assert judged(all_failing, all_failing).outcome is GateAnswer.INCONCLUSIVE
    nameless = [replace(run, changes={**run.changes, "fingerprint": ""}) for run in same]
    assert judged(nameless, nameless).outcome is not GateAnswer.IDENTICAL


def test_trap_a_head_that_was_cut_off_after_one_seed_does_not_pass_as_identical(judged):
    assert judged(runs(), runs(seeds=[0])).outcome is GateAnswer.INCOMPLETE
    found = judged(runs(), runs(seeds=[0]), suite(seeds=1))
    assert (found.outcome, found.more) == (GateAnswer.INCONCLUSIVE, 2)


def test_identity_holds_across_machines_which_are_named(judged):
    found = judged(runs(machine="one"), runs(machine="two"))
    assert found.outcome is GateAnswer.IDENTICAL
    assert found.notes == ("the runs come from several machines: one; two",)
    assert gate_output.as_json(found)["machines"] == {"base": ["one"], "head": ["two"]}


def test_a_drop_everywhere_regresses_at_the_first_look(judged):
    found = judged(runs(), runs(drop=0.3, noise=0.01))
    assert found.outcome is GateAnswer.REGRESSED
    assert found.look.seeds == found.used == 3
    assert found.overall.relative.value == pytest.approx(-0.3, abs=0.02)
    assert found.exit_code() == ExitCode.NO


def test_no_change_passes_once_every_task_is_known_not_to_be_worse(judged):
    found = judged(runs(seeds=range(12)), runs(seeds=range(12), noise=0.02), suite(seeds=12))
    assert found.outcome is GateAnswer.PASSED
    assert found.look.seeds == 12  # in 8, a quarter that fails does not show with a chance of .1
    assert verdicts(found) == ["not worse"] * 4
    assert found.exit_code() == ExitCode.YES


def test_a_small_drop_seen_clearly_is_within_tolerance(judged):
    found = judged(runs(seeds=range(12)), runs(seeds=range(12), drop=0.03, noise=0.001), suite(seeds=12))
    assert found.outcome is GateAnswer.WITHIN_TOLERANCE
    assert found.exit_code() == ExitCode.YES
    assert found.exit_code(strict=True) == ExitCode.NO
    assert found.warns()


def test_a_small_drop_that_three_seeds_show_asks_for_those_that_tell_whether_it_is_tolerable(judged):
    found = judged(runs(seeds=range(3)), runs(seeds=range(3), drop=0.03, noise=0.001))
    assert found.outcome is GateAnswer.REGRESSED
    assert found.more == 9
    assert "and pass from 11 seeds on" in " ".join(gate_output.sentences(found))


def test_one_broken_task_of_five_is_found_and_named(judged):
    five = (*FOUR, ENVIRONMENTS[4])
    head = [*runs(FOUR, range(12), drop=-0.1, noise=0.01), *runs(five[4:], range(12), drop=0.4, noise=0.01)]
    found = judged(runs(five, range(12)), head, suite(five, seeds=12))
    assert found.outcome is GateAnswer.REGRESSED
    assert verdicts(found) == [*["not worse"] * 4, "worse"]


def test_too_much_scatter_is_inconclusive_and_its_exit_code_is_a_choice(judged):
    found = judged(runs(spread=0.4), runs(spread=0.4, noise=0.5))
    assert found.outcome is GateAnswer.INCONCLUSIVE
    codes = [found.exit_code(inconclusive=each) for each in ("pass", "warn", "fail")]
    assert codes == [ExitCode.YES, ExitCode.YES, ExitCode.NO]
    assert [found.warns(inconclusive=each) for each in ("pass", "warn", "fail")] == [False, True, False]


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout", "diverged", "unmetered"])
def test_a_run_that_fails_where_the_base_was_done_is_named_and_is_no_regression_by_itself(judged, status):
    """One in twenty is what luck does, whatever the code: the gate does not pass, and asks for more seeds."""
    found = judged(runs(), some(runs(), status, seed=3, environment="cartpole"))
    assert found.outcome is GateAnswer.INCONCLUSIVE
    assert found.notes == (f"algorithms/dqn on cartpole, seed 3: {status} on the head, done on the base",)
    assert verdicts(found) == ["identical", "newly failing", "identical", "identical"]
    assert found.more


@pytest.mark.parametrize("seeds", [range(5), range(20, 25)])
def test_a_task_that_breaks_altogether_regresses_before_any_look(judged, seeds):
    """Five runs of one task of four: by luck, whatever it is, at most 4 / 4^5."""
    found = judged(runs(), some(runs(seeds=seeds, noise=0.01), "crashed", environment="cartpole"))
    assert found.outcome is GateAnswer.REGRESSED
    assert found.reasons[0] == "algorithms/dqn on cartpole: all 5 runs of the head fail, none of 5 on the base"
    fewer = judged(runs(seeds=range(3)), some(runs(seeds=range(3)), "crashed", environment="cartpole"), suite(seeds=3))
    assert not any("all 3 runs" in reason for reason in fewer.reasons)


def test_more_failures_are_judged_with_the_scores_by_one_test(judged):
    """Nobody learns anything on either side, so that scores say nothing; then most of the head's runs fail."""

    def side(failing, seeds):
        made = [replace(run, scores=(20.0, 22.0, 22.0), luck=run.seed) for run in runs(ONE, seeds)]
        return [*some(made[:failing], "crashed"), *made[failing:]]

    found = judged(side(0, range(12)), side(11, range(20, 32)), suite(ONE, seeds=12))
    assert found.outcome is GateAnswer.REGRESSED
    assert re.match(r"11 of 12 runs fail, 0 of 12 on the base \(p = \S+ of no more than before\)", found.reasons[0])
    assert "of equal sides at most 0.05 are called regressed" in " ".join(gate_output.sentences(found))
    assert not judged(side(0, range(12)), side(1, range(20, 32)), suite(ONE, seeds=12)).reasons


def gate_of(asked, tasks):
    return judge_scope(asked, Scope(tasks, [], []), max(blocks(tasks)) + 1)


def task_of(place, base, head, algorithm=DQN):
    return Task(place.name, algorithm, "cpu", place.budget, base, head, random=0.0)


@pytest.mark.parametrize("pairs", [True, False])
def test_crashes_that_come_whatever_the_code_fail_a_gate_seldom(pairs):
    """Two in a hundred, on five tasks; of 60 gates 3 are 5 %, and three standard errors 5."""
    rng = np.random.default_rng(0)

    def side(seeds):
        crashed, scores = rng.random(12) < 0.02, 100 + 15 * rng.normal(size=12)
        return {
            seed: SideRun("crashed" if bad else "done", np.nan if bad else score, f"{score}", independent=True)
            for seed, bad, score in zip(seeds, crashed, scores, strict=True)
        }

    places, others = ENVIRONMENTS[:5], range(12) if pairs else range(12, 24)
    gates = [[task_of(place, side(range(12)), side(others)) for place in places] for _ in range(60)]
    found = [gate_of(suite(places, seeds=12), tasks).outcome for tasks in gates]
    assert found.count(GateAnswer.REGRESSED) <= 8


def test_a_failure_that_the_base_had_too_is_no_regression(judged):
    found = judged(some(runs(), "crashed", seed=1), some(runs(noise=0.001), "crashed", seed=1))
    assert found.outcome is not GateAnswer.REGRESSED
    assert {each.difference.sample.failed for each in found.tasks} == {(1, 1)}


def test_a_fixed_failure_passes(judged):
    broken = some(runs(), "crashed", seed=1)
    found = judged(broken, runs(noise=0.001))
    assert found.outcome is not GateAnswer.REGRESSED
    base, head = found.tasks[0].difference.sample.means
    assert head > base


@pytest.mark.parametrize("status", ["interrupted", "skipped"])
def test_a_run_that_something_else_ended_makes_the_gate_incomplete(judged, status):
    found = judged(runs(), some(runs(noise=0.3), status, seed=2, environment="acrobot"))
    assert found.outcome is GateAnswer.INCOMPLETE
    assert found.reasons == (f"algorithms/dqn on acrobot, seed 2: {status} on the head",)
    assert found.exit_code() == ExitCode.INCOMPLETE


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_trap_where_the_first_seed_of_one_task_is_missing_every_task_still_says_what_is_true_of_it(judged, noise):
    base, head = runs(), runs(noise=noise)
    gone = next(run for run in head if run.environment.name == "cartpole" and run.seed == 0)
    found = judged(base, [run for run in head if run is not gone])
    assert found.outcome is GateAnswer.INCOMPLETE
    other = "identical" if noise == 0 else "~"
    assert verdicts(found) == [other, "incomplete", other, other]
    assert [len(each.difference.sample.seeds[0]) for each in found.tasks] == [5, 0, 5, 5]
    assert [row[2] for row in gate_output.rows(found)] == ["5", "0", "5", "5", "0 x 4"]
    alone = judged(runs(FOUR[:1]), runs(FOUR[:1], noise=noise), suite(FOUR[:1])).tasks[0]
    assert found.tasks[0].difference.sample.means == alone.difference.sample.means
    assert junit(found)["algorithms/dqn on cartpole"] == ["error"]


def test_a_damaged_file_is_named_as_the_reason(tmp_path):
    sides = [write_runs(tmp_path / name, runs()) for name in ("base", "head")]
    damaged = sides[1] / runs()[0].key / "run.json"
    damaged.write_text("{")
    found = judge(suite(), *map(harness.load, sides))
    assert found.outcome is GateAnswer.INCOMPLETE
    missing, why = found.reasons
    assert missing == "algorithms/dqn on acrobot, seed 0: no run on the head"
    assert why.startswith(f"damaged on the head: {damaged}: not a readable JSON file")
    assert "and those whose files are damaged" in " ".join(gate_output.sentences(found))


def test_a_decision_before_the_missing_run_stands(judged):
    head = some(runs(drop=0.3, noise=0.01), "interrupted", seed=4)
    assert judged(runs(), head).outcome is GateAnswer.REGRESSED


def test_a_head_that_was_cut_off_before_it_decided_is_incomplete(judged):
    found = judged(runs(seeds=range(8)), runs(seeds=range(4), noise=0.3), suite(seeds=8))
    assert (found.outcome, found.look.seeds) == (GateAnswer.INCOMPLETE, 3)
    assert found.reasons[0] == "algorithms/dqn on acrobot, seed 4: no run on the head"


def test_a_missing_cell_is_incomplete_even_if_the_others_are_identical(judged):
    found = judged(runs(), runs(FOUR[:3]))
    assert found.outcome is GateAnswer.INCOMPLETE
    assert found.reasons == ("algorithms/dqn on frozen-lake: no run of the head",)


def test_a_regression_that_is_seen_is_one_whatever_is_missing(judged):
    found = judged(runs(), runs(FOUR[:3], drop=0.5, noise=0.01))
    assert found.rule.looks[0] == 3  # as for all four
    assert found.outcome is GateAnswer.REGRESSED


def test_a_raised_version_is_not_judged_and_says_so(judged):
    head = [*runs(FOUR[:3], noise=0.02), *runs(FOUR[3:], drop=0.9, algorithm_version="2")]
    found = judged(runs(), head)
    assert [each.task.environment for each in found.tasks] == ["acrobot", "cartpole", "cliff-walking"]
    assert [each.why_not for each in found.scope.not_comparable] == ["algorithm version 1 and 2"]


def test_nothing_comparable_is_nothing_to_compare(judged):
    found = judged(runs(), runs(algorithm_version="2"))
    assert (found.outcome, found.exit_code()) == (GateAnswer.NOTHING, ExitCode.NOTHING_RAN)
    assert judged([], []).outcome is GateAnswer.NOTHING


def test_a_head_without_runs_is_incomplete(judged):
    assert judged(runs(), []).outcome is GateAnswer.INCOMPLETE


def test_the_table_says_what_failing_runs_of_the_head_said(judged):
    trace = 'Traceback (most recent call last):\n  File "dqn.py", line 3, in train\nValueError: NaN in the loss'
    failing = [replace(run, error=trace + "!" * 99) for run in some(runs(ONE), "failed", seed=1)]
    found = judged(runs(ONE), failing, suite(ONE))
    (row, _) = gate_output.rows(found)
    assert row[-1].startswith("newly failing (")
    assert len(row[-1]) <= len("newly failing ()") + gate_output.LONGEST_REASON
    assert gate_output.as_json(found)["tasks"][0]["error"] == "ValueError: NaN in the loss" + "!" * 99
    short = [replace(run, error=trace) for run in some(runs(ONE), "failed", seed=1)]
    (row, _) = gate_output.rows(judged(runs(ONE), short, suite(ONE)))
    assert row[-1] == "newly failing (ValueError: NaN in the loss)"
    (row, _) = gate_output.rows(judged(short, short, suite(ONE)))
    assert row[-1] == "identical (ValueError: NaN in the loss)"


def test_one_of_something_is_not_called_several(judged):
    text = " ".join(gate_output.sentences(judged(runs(ONE, [0]), runs(ONE, [0]), suite(ONE, seeds=1))))
    assert "of 1 seed per side on 1 task, paired" in text
    assert "every return of 1 seed per task" in text


# What goes in


def test_other_seeds_are_compared_without_pairing(judged):
    found = judged(runs(spread=0.02), runs(seeds=range(10, 15), drop=0.4, spread=0.02))
    assert not found.seeds.paired
    assert found.outcome is GateAnswer.REGRESSED
    assert "seeds are not shared, so that runs do not pair" in found.notes


def test_pairing_shows_what_would_not_be_seen_without(judged):
    base, head = runs(spread=0.3), runs(spread=0.3, drop=0.15, noise=0.01)
    moved = runs(seeds=range(20, 25), spread=0.3, drop=0.15, noise=0.01)
    assert judged(base, head).outcome is GateAnswer.REGRESSED
    assert judged(base, moved).outcome is GateAnswer.INCONCLUSIVE


def test_a_single_task_needs_more_seeds_and_tolerates_more(judged):
    found = judged(runs(ONE, range(20)), runs(ONE, range(20), noise=0.03), suite(ONE, seeds=20))
    assert found.rule.drop == 0.20
    assert found.outcome is GateAnswer.PASSED
    assert found.look.seeds == 20  # in 12, a fifth that fails does not show with a chance of .07
    worse = judged(runs(ONE, range(20)), runs(ONE, range(20), drop=0.5, noise=0.03), suite(ONE, seeds=20))
    assert worse.outcome is GateAnswer.REGRESSED


def test_every_algorithm_on_every_environment_is_a_task(judged):
    two = FOUR[:2], range(12)
    both = [*runs(*two), *runs(*two, "sb3/dqn")]
    head = [*runs(*two, noise=0.01), *runs(*two, "sb3/dqn", drop=0.5, noise=0.01)]
    found = judged(both, head, suite(FOUR[:2], (DQN, "sb3/dqn"), seeds=12))
    assert found.rule.looks[0] == 5  # of two environments, whose seeds have the same luck with both algorithms
    assert found.blocks == (0, 0, 1, 1)
    assert found.outcome is GateAnswer.REGRESSED


def test_negative_returns_are_shares_of_what_was_learned(judged):
    """Pendulum: -1230 is random. What is lost is a share of the way from there, not of the return."""
    pendulum = (ENVIRONMENTS[5],)
    found = judged(runs(pendulum, range(8)), runs(pendulum, range(8), drop=0.5, noise=0.01), suite(pendulum, seeds=8))
    assert found.tasks[0].difference.sample.means[0] < 0
    assert found.overall.relative.value == pytest.approx(-0.5, abs=0.02)


def test_a_base_below_random_is_judged_and_noted(judged):
    """A tenth of it less is lower still, not higher: being the same is no regression, and being much worse is one."""
    base = runs(ONE, range(20), drop=1.5, spread=0.05)
    worse = judged(base, runs(ONE, range(20), drop=2.5, spread=0.05), suite(ONE, seeds=20))
    assert worse.outcome is GateAnswer.REGRESSED
    assert worse.overall.relative.value < 0
    same = judged(base, runs(ONE, range(20), drop=1.5, noise=0.001), suite(ONE, seeds=20))
    assert same.outcome is GateAnswer.PASSED
    assert any("no better than a random policy" in note for note in same.notes)


def test_without_a_random_score_shares_are_of_the_score_itself(judged):
    unknown = (Environment("unknown", "Unknown-v0", None, None, None),)
    found = judged(runs(unknown, range(8)), runs(unknown, range(8), drop=0.5, noise=0.01), suite(unknown, seeds=8))
    assert found.overall.relative.value == pytest.approx(-0.5, abs=0.02)
    assert found.notes[0].endswith("no random score is known, so that shares are of the score itself")


UNKNOWN = Environment("unknown", "Unknown-v0", None, None, None)


def test_a_task_whose_failed_runs_have_no_score_is_not_judged_and_says_what_helps(judged):
    two = (CARTPOLE, UNKNOWN)
    sides = (some(runs(two, noise=noise), "crashed", seed=1, environment="unknown") for noise in (0.0, 0.001))
    found = judged(*sides, suite(two))
    assert [each.task.environment for each in found.tasks] == ["cartpole"]
    (left,) = found.scope.not_judged
    assert (left.environment, left.why_not.partition(": ")[2]) == ("unknown", "declare random_score")


@pytest.mark.parametrize("seeds", [range(12), range(20, 32)])
def test_trap_a_task_that_breaks_regresses_though_its_failures_have_no_score(judged, seeds):
    head = some(runs((UNKNOWN,), seeds), "crashed")
    found = judged(runs((UNKNOWN,), range(12)), head, suite((UNKNOWN,), seeds=12))
    assert found.outcome is GateAnswer.REGRESSED
    assert found.look is None
    assert found.reasons == ("algorithms/dqn on unknown: all 12 runs of the head fail, none of 12 on the base",)


def test_trap_failures_without_a_score_count_where_other_tasks_have_scores(judged):
    two = (CARTPOLE, UNKNOWN)
    head = [run for run in runs(two, range(12), noise=0.001) if run.environment is CARTPOLE or run.seed == 0]
    head += some(runs((UNKNOWN,), range(1, 12)), "crashed")
    found = judged(runs(two, range(12)), head, suite(two, seeds=12))
    assert found.outcome is GateAnswer.REGRESSED
    assert any("11 of 24 runs fail, 0 of 24 on the base" in reason for reason in found.reasons)


def test_trap_a_crash_that_takes_a_task_out_of_the_comparison_does_not_let_the_others_pass(judged):
    """The task has lost nine tenths, but with one failed run, which has no score, it cannot be compared."""
    base, others = runs((*FOUR, UNKNOWN), range(12)), runs(FOUR, range(12), noise=0.001)
    lost = runs((UNKNOWN,), range(12), drop=0.9)
    assert judged(base, [*others, *lost], suite((*FOUR, UNKNOWN), seeds=12)).outcome is GateAnswer.REGRESSED
    found = judged(base, [*others, *some(lost, "crashed", seed=1)], suite((*FOUR, UNKNOWN), seeds=12))
    assert found.outcome is GateAnswer.INCONCLUSIVE
    assert any("algorithms/dqn on unknown is not judged: a failed run has no score" in each for each in found.reasons)
    same = some(base, "crashed", seed=1, environment="unknown")
    assert judged(same, same, suite((*FOUR, UNKNOWN), seeds=12)).outcome is GateAnswer.IDENTICAL


def in_one_trial(made):
    return [replace(run, changes={**run.changes, "runs_in_trial": len(made)}) for run in made]


def test_runs_that_fail_together_in_one_trial_are_one_failure_and_to_be_run_again(judged):
    """Five seeds are trained by one process, which crashes once: that is no proof against the code, and no pass."""
    three, one = runs(FOUR[1:]), in_one_trial(runs(FOUR[:1]))
    found = judged([*one, *three], [*some(one, "crashed"), *three])
    assert found.outcome is GateAnswer.INCOMPLETE
    assert found.reasons == (
        "algorithms/dqn on acrobot: seeds 0, 1, 2, 3, 4 of the head failed together, in one trial: why",
    )
    other = judged([*some(one, "crashed"), *three], [*one, *three])
    assert [each.why_not for each in other.scope.not_comparable] == ["seeds 0, 1, 2, 3, 4 of the base failed together"]
    assert other.outcome is GateAnswer.IDENTICAL


def test_runs_of_one_trial_that_diverge_do_so_each_by_itself(judged):
    """Their returns are their own: nobody ends the trial before all of them have diverged."""
    three, one = runs(FOUR[1:]), in_one_trial(runs(FOUR[:1]))
    alone = some(one, "diverged", seed=2)
    assert judged([*one, *three], [*alone, *three]).outcome is GateAnswer.INCONCLUSIVE
    found = judged([*one, *three], [*some(one, "diverged"), *three])
    assert found.outcome is GateAnswer.REGRESSED
    assert found.reasons[0] == "algorithms/dqn on acrobot: all 5 runs of the head fail, none of 5 on the base"


def test_runs_older_than_streams_of_their_own_are_not_compared_with_new_ones_on_several_environments(judged):
    """On one, each run has its own luck on either side; on several, only tasks of the new side are independent."""
    older = {"streams": None}
    found = judged(runs(seeds=range(12), **older), runs(seeds=range(12), drop=0.5))
    assert (found.outcome, found.exit_code()) == (GateAnswer.NOTHING, ExitCode.NOTHING_RAN)
    assert {each.why_not for each in found.scope.not_comparable} == {OTHER_STREAMS}
    alone = judged(runs(ONE, range(12), **older), runs(ONE, range(12), drop=0.5), suite(ONE, seeds=12))
    assert alone.outcome is GateAnswer.REGRESSED
    both = judged(runs(seeds=range(12), **older), runs(seeds=range(12), drop=0.5, **older), suite(seeds=12))
    assert (both.outcome, both.blocks) == (GateAnswer.REGRESSED, (0, 0, 0, 0))


def test_a_threshold_is_asked_about_where_either_side_reaches_it():
    done = {True: SideRun("done", 1.0, arrived=True), False: SideRun("done", 1.0)}
    for base, head in ((True, False), (False, True), (False, False)):
        task = Task("e", DQN, "cpu", 100, {0: done[base]}, {0: done[head]})
        assert concerns(task, "thresholds") == (base or head)
        assert concerns(task, "failures")


def test_trap_tasks_that_always_score_the_same_neither_alarm_nor_stop_the_others(judged):
    """Without spread there is no standard error to divide by."""

    def flat(luck=0):
        return [replace(run, scores=(0.0, 50.0, 50.0), luck=luck) for run in runs(FOUR[:1], range(12))]

    base = [*flat(), *runs(FOUR[1:], range(12))]
    unchanged = judged(base, [*flat(luck=1), *runs(FOUR[1:], range(12), noise=0.02)], suite(seeds=12))
    assert unchanged.outcome is GateAnswer.PASSED
    assert unchanged.tasks[0].change.regressed == 1
    assert unchanged.used == 12  # fewer runs that score the same would not have shown that a quarter fail
    worse = judged(base, [*flat(), *runs(FOUR[1:], range(12), drop=0.4, noise=0.02)], suite(seeds=12))
    assert worse.outcome is GateAnswer.REGRESSED


def test_a_base_that_learned_nothing_has_no_shares_but_a_verdict(judged):
    nothing = [replace(run, scores=(CARTPOLE.random,) * 3) for run in runs(ONE, range(20))]
    found = judged(nothing, runs(ONE, range(20)), suite(ONE, seeds=20))
    assert np.isnan(found.overall.relative.value)
    assert found.outcome is GateAnswer.PASSED


def test_the_looks_follow_the_order_of_the_suites_seeds(judged):
    """Seeds 7, 8, 9 come first, and are far worse on the head; the others would not decide."""
    head = [*runs(seeds=range(7), noise=0.3), *runs(seeds=[7, 8, 9], drop=0.6, noise=0.01)]
    found = judged(runs(seeds=range(10)), head, suite(seeds=[7, 8, 9, 0, 1, 2, 3, 4, 5, 6]))
    assert found.outcome is GateAnswer.REGRESSED
    assert found.seeds.base[: found.used] == [7, 8, 9]


def test_what_the_suite_says_about_its_gate_is_kept(judged):
    asked = suite(gate='looks = [5]\ntolerance = 0.3\ntask_tolerance = 0.4\nalpha = 0.1\nmeasure = "final_score"')
    found = judged(runs(), runs(drop=0.2, noise=0.01), asked)
    assert found.rule.looks == (5,)
    assert found.look == (5, pytest.approx(0.09), pytest.approx(0.1))
    assert (found.rule.drop, found.rule.task_drop) == (0.3, 0.4)
    assert found.outcome is GateAnswer.WITHIN_TOLERANCE
    final = np.mean([run.scores[-1] for run in runs(FOUR[:1], range(5))])
    assert found.tasks[0].difference.sample.means[0] == pytest.approx(final)


# What is told


def test_the_seeds_that_are_missing_are_those_up_to_a_look_that_can_be_expected_to_decide(judged):
    found = judged(runs(spread=0.3), runs(spread=0.3, noise=0.3))
    overall, *each = (found.overall.spread, *(task.change.spread for task in found.tasks))
    needed = max(runs_needed(overall, 0.1, 0.05), *(runs_needed(spread, 0.25, 0.05) for spread in each))
    assert found.used + found.more == next((look for look in (8, 12) if look >= needed), needed)
    seconds = 1.3 * 8.0  # of each run, as tests/results.py stores them
    assert found.minutes == pytest.approx(found.more * 2 * 4 * seconds / 60)


def test_too_few_seeds_for_a_look_ask_for_the_first(judged):
    found = judged(runs(seeds=[0]), runs(seeds=[0], noise=0.01))
    assert (found.outcome, found.more) == (GateAnswer.INCONCLUSIVE, 2)


def test_seeds_beyond_the_last_look_are_not_promised_to_decide(judged):
    found = judged(runs(spread=0.3), runs(spread=0.3, noise=1.0), suite(gate="looks = [5]"))
    assert found.outcome is GateAnswer.INCONCLUSIVE
    told = " ".join(gate_output.sentences(found))
    assert "that is beyond the last look at 5 seeds: declare a later one" in told


def test_every_number_carries_its_n_and_its_interval_or_says_why_there_is_none(judged):
    few = judged(runs(seeds=range(2)), runs(seeds=range(2), noise=0.01))
    rows = list(gate_output.rows(few))
    assert {row[2] for row in rows} == {"2", "2 x 4"}
    assert {row[6] for row in rows} == {"none below 3 runs"}
    many = judged(runs(), runs(noise=0.01))
    assert all(" to " in row[6] for row in gate_output.rows(many))


def test_json_has_null_where_a_number_is_not_known(judged):
    told = gate_output.as_json(judged(runs(seeds=[0]), runs(seeds=[0], noise=0.01)))
    text = json.dumps(told, allow_nan=False)
    assert json.loads(text)["overall"]["low"] is None
    assert told["look"] is None
    assert told["outcome"] == "inconclusive"
    assert told["more_seeds"] == 2


def junit(judgement, **options):
    suites = ElementTree.fromstring(gate_output.junit(judgement, **options))
    (found,) = suites
    cases = list(found)
    assert (suites.tag, found.tag) == ("testsuites", "testsuite")
    assert int(found.get("tests")) == len(cases)
    for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(found.get(kind)) == len(found.findall(f"testcase/{tag}"))
    return {case.get("name"): [part.tag for part in case if part.tag != "system-out"] for case in cases}


def test_junit_fails_where_the_gate_does(judged):
    twelve = runs(seeds=range(12))
    assert junit(judged(twelve, runs(seeds=range(12), noise=0.02), suite(seeds=12)))["all tasks"] == []
    failing = judged(runs(), some(runs(), "crashed", environment="cartpole"))
    assert junit(failing) == {
        "all tasks": ["failure"],
        "algorithms/dqn on acrobot": [],
        "algorithms/dqn on cartpole": ["failure"],
        "algorithms/dqn on cliff-walking": [],
        "algorithms/dqn on frozen-lake": [],
    }
    small = judged(twelve, runs(seeds=range(12), drop=0.03, noise=0.001), suite(seeds=12))
    assert junit(small)["all tasks"] == []
    assert junit(small, strict=True)["all tasks"] == ["failure"]
    unclear = judged(runs(spread=0.4), runs(spread=0.4, noise=0.5))
    ends = [junit(unclear, inconclusive=each)["all tasks"] for each in ("pass", "warn", "fail")]
    assert ends == [[], ["skipped"], ["failure"]]


def test_junit_has_errors_for_what_is_missing_and_skips_what_is_not_comparable(judged):
    head = [*runs(FOUR[:1], noise=0.1), *runs(FOUR[1:2], algorithm_version="2"), *runs(FOUR[2:3], noise=0.1)]
    found = junit(judged(runs(), head))
    assert found["all tasks"] == ["error"]
    assert found["algorithms/dqn on cartpole"] == ["skipped"]
    assert found["algorithms/dqn on frozen-lake: no run of the head"] == ["error"]


def test_overrides_of_an_algorithm_that_is_asked_for_may_be_spelled_as_in_a_suite(judged):
    same = runs(algorithm="algorithms/dqn[copies=2, noise=0.1]")
    assert judged(same, same, algorithms=["dqn[noise=1e-1,copies=2]"]).outcome is GateAnswer.IDENTICAL


def test_names_of_strangers_are_text_in_every_format(judged):
    hostile = "a/x\x1b[31m\x00\ud800|`*_</testcase><script>\n]]>&amp;"
    environment = replace(CARTPOLE, name="cartpole")
    made = runs((environment,), algorithm="a/x")
    renamed = [
        replace(run, changes={**run.changes, "algorithm": hostile.encode("utf-8", "replace").decode()}) for run in made
    ]
    failing = [ended(run, "crashed") for run in renamed]
    found = judged(renamed, failing, suite((environment,), algorithms=()))
    assert found.outcome is GateAnswer.REGRESSED
    names = junit(found)
    assert len(names) == 2
    assert not any(character in name for name in names for character in "\x1b\x00\n")
    page = gate_output.markdown(found)
    assert "<" not in page.replace("| ---", "")
    assert "`" not in page
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "\x1b" not in "".join("".join(row) for row in gate_output.rows(found))


# Invariants


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100), st.floats(-500, 500), st.sampled_from([0.0, 0.05, 0.4]))
def test_a_constant_added_to_all_scores_of_a_task_changes_nothing(judged, first, constant, drop):
    """To those of the random policy too: it is the same environment with another reward for being there."""
    seeds = range(first, first + 5)
    base, head = runs(seeds=seeds, spread=0.2), runs(seeds=seeds, spread=0.2, drop=drop, noise=0.1)

    def moved(made):
        return [
            replace(
                run,
                scores=tuple(score + constant for score in run.scores),
                changes={**run.changes, "random_score": run.environment.random + constant},
            )
            for run in made
        ]

    found, again = judged(base, head), judged(moved(base), moved(head))
    assert again.outcome is found.outcome
    assert again.overall.regressed == pytest.approx(found.overall.regressed, abs=0.002)
    assert again.overall.passed == pytest.approx(found.overall.passed, abs=0.002)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100), st.permutations(FOUR))
def test_the_order_in_which_a_suite_names_its_environments_changes_no_verdict(judged, first, order):
    seeds = range(first, first + 3)  # so few that all permutations are tried
    sides = runs(seeds=seeds, spread=0.2), runs(seeds=seeds, spread=0.2, drop=0.1, noise=0.1)
    found, again = judged(*sides, suite(FOUR)), judged(*sides, suite(order))
    assert again.outcome is found.outcome
    assert again.overall.regressed == pytest.approx(found.overall.regressed)
    by_name = {each.task.name: each.change.regressed for each in found.tasks}
    assert {each.task.name: each.change.regressed for each in again.tasks} == pytest.approx(by_name)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100), st.sampled_from([0.0, 0.1, 0.5]))
def test_at_most_one_of_two_sides_has_regressed_from_the_other(judged, first, drop):
    seeds = range(first, first + 5)
    one, other = runs(seeds=seeds), runs(seeds=seeds, drop=drop, noise=0.05)
    worse = (GateAnswer.REGRESSED, GateAnswer.WITHIN_TOLERANCE)
    assert not (judged(one, other).outcome in worse and judged(other, one).outcome in worse)


# The command


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """`harness gate` on written sides, by its exit code."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    path = tmp_path / "demo.toml"

    def of(base, head, *options, asked=None):
        path.write_text(asked or suite_text(), encoding="utf-8")
        folder = tmp_path / str(len([*tmp_path.iterdir()]))
        for name, made in (("base", base), ("head", head)):
            stored(folder / name / "demo", made)
        return main(["gate", str(path), "--base", str(folder / "base"), "--head", str(folder / "head"), *options])

    return of


def test_exit_codes_of_the_command(gate):
    same, worse = runs(seeds=range(12)), runs(seeds=range(12), drop=0.3, noise=0.01)
    small, unclear = runs(seeds=range(12), drop=0.03, noise=0.001), runs(seeds=range(12), noise=0.5)
    assert gate(same, same) == ExitCode.YES
    assert gate(same, worse) == ExitCode.NO
    assert gate(same, small) == ExitCode.YES
    assert gate(same, small, "--strict") == ExitCode.NO
    assert gate(same, unclear) == gate(same, unclear, "--inconclusive=pass") == ExitCode.YES
    assert gate(same, unclear, "--inconclusive=fail") == ExitCode.NO
    assert gate(same, runs(FOUR[:2], range(12))) == ExitCode.INCOMPLETE
    assert gate(same, runs(FOUR[:2], range(12)), "-e", "acrobot", "-e", "cartpole") == ExitCode.YES
    assert gate(same, runs(algorithm_version="2")) == ExitCode.NOTHING_RAN
    assert gate(same, worse, "--tolerance", "0.5", "--task-tolerance", "0.6") == ExitCode.YES
    assert gate(same, worse, "--looks", "16") == ExitCode.YES  # inconclusive: there are twelve seeds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--looks", "5,3"], "--looks: must increase"),
        (["--looks", "three"], "--looks three: write numbers of seeds"),
        (["--alpha", "nan"], "--alpha"),
        (["-e", "pong"], "has no environment 'pong'"),
        (["--looks", "1"], "looks [1] can decide nothing: on 4 environments, with alpha 0.05, it takes a look at 2"),
        (["--looks", "1,2", "-e", "acrobot"], "on 1 environment, with alpha 0.05, it takes a look at 5 seeds per side"),
        (["-a", "algorithms/nope"], "'algorithms/nope' has no runs; there are algorithms/dqn"),
        (["-a", "nope", "-a", "dqn"], "'nope' has no runs; there are algorithms/dqn"),
        (["--junit", "/nowhere/at/all.xml"], "cannot be written: there is no folder /nowhere/at"),
        (["--json", "/nowhere/all.json"], "cannot be written: there is no folder /nowhere"),
    ],
)
def test_wrong_options_say_what_is_wrong(gate, capsys, options, message):
    assert gate(runs(), runs(), *options) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_one_folder_as_both_sides_is_refused(tmp_path, capsys):
    (tmp_path / "demo.toml").write_text(suite_text(), encoding="utf-8")
    stored(tmp_path / "runs" / "demo", runs())
    sides = ["--base", str(tmp_path / "runs"), "--head", str(tmp_path / "runs" / "demo")]

    assert main(["gate", str(tmp_path / "demo.toml"), *sides]) == ExitCode.USAGE
    assert "the same folder" in capsys.readouterr().err


def test_runs_of_another_suite_are_refused_by_name(gate, capsys):
    other = [replace(run, suite="other") for run in runs()]

    assert gate(runs(), other) == ExitCode.USAGE
    assert "holds no run of suite 'demo'; suites there: 'other'" in capsys.readouterr().err


@pytest.mark.parametrize("empty", ["base", "head"])
def test_a_folder_without_runs_is_refused(gate, capsys, empty):
    sides = [[] if name == empty else runs() for name in ("base", "head")]
    assert gate(*sides) == ExitCode.USAGE
    assert f"{empty}/demo: holds no run of suite 'demo'; suites there: none" in capsys.readouterr().err


def test_an_algorithm_that_is_stored_with_overrides_only_is_listed_with_them(gate, capsys):
    tuned = runs(algorithm="algorithms/dqn[noise=0.1]")
    assert gate(tuned, tuned, "-a", "algorithms/dqn") == ExitCode.USAGE
    assert "'algorithms/dqn' has no runs; there are algorithms/dqn[noise=0.1]" in capsys.readouterr().err


def test_looks_of_a_suite_that_can_decide_nothing_are_refused_where_its_tasks_are_known(gate, capsys):
    asked = suite_text(gate="looks = [1]")
    assert gate(runs(), runs(), asked=asked) == ExitCode.USAGE
    assert "looks [1] can decide nothing" in capsys.readouterr().err
    unknown = suite_text(algorithms=(), gate="looks = [1]")
    assert gate(runs(), runs(), asked=unknown) == ExitCode.YES


@pytest.mark.parametrize(("most", "refused"), [(2, True), (3, False)])
def test_fewer_seeds_than_the_first_look_takes_are_refused_before_anything_is_trained(
    tmp_path, capsys, monkeypatch, most, refused
):
    (tmp_path / "demo.toml").write_text(suite_text(), encoding="utf-8")
    monkeypatch.setattr(gate_commits, "learning", lambda *_, **__: pytest.fail("trained"))
    arguments = ["gate", str(tmp_path / "demo.toml"), "--base-ref", "main", "--max-seeds", str(most)]
    if not refused:
        with pytest.raises(pytest.fail.Exception):
            main(arguments)
        return
    assert main(arguments) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "--max-seeds 2: the first look that can decide is at 3 seeds per side" in told


def test_what_cannot_be_compared_is_warned_of_though_the_rest_passes(gate, capsys):
    raised = [*runs(FOUR[:1], algorithm_version="2"), *runs(FOUR[1:])]

    assert gate(runs(), raised) == ExitCode.YES
    said = capsys.readouterr()
    assert f"on {FOUR[0].name} is not judged: algorithm version" in said.err
    assert "note: 1 of 4 tasks cannot be compared, and are not judged" in said.out


def test_a_suite_that_no_plugin_brings_and_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["gate", "nobody/nothing", "--base", str(tmp_path), "--head", str(tmp_path)]) == ExitCode.MISSING
    (tmp_path / "demo.toml").write_text(suite_text(), encoding="utf-8")
    missing = str(tmp_path / "no")
    assert main(["gate", str(tmp_path / "demo.toml"), "--base", missing, "--head", missing]) == ExitCode.USAGE
    assert "there is no such folder of results" in capsys.readouterr().err


def test_the_table_is_printed_and_every_other_format_is_written_beside(gate, tmp_path, capsys, monkeypatch):
    page = tmp_path / "summary.md"
    page.write_text("# before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    made = tmp_path / "gate.json", tmp_path / "gate.xml"
    assert gate(runs(), runs(drop=0.3, noise=0.01), "--json", str(made[0]), "--junit", str(made[1])) == ExitCode.NO
    printed = capsys.readouterr().out
    assert printed.startswith("environment    algorithm       n  ")
    assert "\ndemo: regressed\n" in printed
    assert "minimum detectable drop at this n: " in printed
    assert json.loads(made[0].read_text())["outcome"] == "regressed"
    assert ElementTree.parse(made[1]).getroot().tag == "testsuites"
    assert page.read_text().startswith("# before\n## demo: regressed\n")
    assert gate(runs(), runs(), "--json", "-") == ExitCode.YES
    assert json.loads(capsys.readouterr().out)["outcome"] == "passed (identical)"


def test_inconclusive_warns_and_says_what_would_help(gate, capsys):
    gate(runs(spread=0.3), runs(spread=0.3, noise=0.3))
    printed = capsys.readouterr()
    assert re.search(r"\d+ more seeds per side needed, about [\d.e+]+ minutes of runs", printed.out)
    assert "harness: warning: demo is inconclusive" in printed.err


CLIFF = Environment("cliff", "Cliff-v1", -2_087.0, -13.0, -20.0, 10_000)


def beside_the_cliff(folder, final, seeds=8):
    """Runs that end at a return, each a little off it."""
    return stored(
        folder,
        [
            Run(DQN, CLIFF, seed, scores=scores, suite="demo")
            for seed in range(seeds)
            for scores in [(-200.0, final - 0.1 * seed, final - 0.1 * seed)]
        ],
    )


def test_trap_a_small_share_of_a_terrible_random_score_is_not_tolerated_where_the_threshold_is_lost(tmp_path):
    """From -13 to -200 is 9 % of the way down to the random policy's -2,087, and nobody gets across any more."""
    sides = beside_the_cliff(tmp_path / "base", -13.0), beside_the_cliff(tmp_path / "head", -200.0)
    found = judge(suite([CLIFF], seeds=8), *sides)
    assert found.outcome is GateAnswer.REGRESSED
    assert found.exit_code() == ExitCode.NO
    assert "8 of 8 runs end below the threshold, 0 of 8 on the base" in " ".join(found.reasons)


def cliffs(folder, finals, seeds, salt):
    """Runs beside several cliffs, each with its mean return at the end."""
    rng = np.random.default_rng(salt)
    made = []
    for number, final in enumerate(finals):
        place = replace(CLIFF, name=f"cliff-{number}", id=f"Cliff{number}-v1")
        for seed in seeds:
            own = np.random.default_rng([seed, number]).normal()
            last = final + 0.3 * own + 0.1 * rng.normal()
            scores = (-2_087.0, last, last)
            made.append(Run(DQN, place, seed, scores=scores, suite="demo"))
    return stored(folder, made)


def lost_of(tmp_path, lost, tasks, base, head):
    """The judgement where so many of so many tasks lose their threshold."""
    places = [replace(CLIFF, name=f"cliff-{number}", id=f"Cliff{number}-v1") for number in range(tasks)]
    finals = [-200.0] * lost + [-14.0] * (tasks - lost)
    sides = (cliffs(tmp_path / "base", [-14.0] * tasks, base, 0), cliffs(tmp_path / "head", finals, head, 1))
    return judge(suite(places, seeds=list(base)), *sides)


def test_trap_a_gate_does_not_pass_where_one_task_of_five_loses_its_threshold(tmp_path):
    found = lost_of(tmp_path, lost=1, tasks=5, base=range(12), head=range(12))
    assert found.outcome is GateAnswer.REGRESSED
    assert verdicts(found)[0] == "threshold lost"
    assert "threshold lost" not in verdicts(found)[1:]
    assert found.exit_code() == ExitCode.NO
    bad = ElementTree.fromstring(gate_output.junit(found)).findall(".//testcase[failure]")
    assert found.tasks[0].task.name in [case.get("name") for case in bad]


@pytest.mark.parametrize(("tasks", "head"), [(4, range(10, 13)), (13, range(3))])
def test_trap_three_seeds_show_a_threshold_that_all_tasks_lose(tmp_path, tasks, head):
    """Of three seeds against three, no task can show it alone: 1/20 is more than its share of alpha."""
    found = lost_of(tmp_path, lost=tasks, tasks=tasks, base=range(3), head=head)
    assert found.outcome is GateAnswer.REGRESSED
    assert found.exit_code() == ExitCode.NO


def test_trap_a_policy_that_forgets_ends_below_the_threshold_though_it_was_there(tmp_path):
    def side(name, last):
        made = [
            Run(DQN, CLIFF, seed, scores=scores, suite="demo")
            for seed in range(8)
            for scores in [(-13.0 - 0.1 * seed, -13.0, last - 0.1 * seed)]
        ]
        return stored(tmp_path / name, made)

    found = judge(suite([CLIFF], seeds=8, gate='measure = "final_score"'), side("base", -13), side("head", -200))
    assert found.outcome is GateAnswer.REGRESSED
    assert verdicts(found) == ["threshold lost"]


def test_thresholds_that_are_lost_by_chance_fail_a_gate_seldom():
    """Five tasks that one run in two solves; on both sides alike, so that every loss is by chance."""
    rng = np.random.default_rng(0)

    def side():
        return {
            seed: SideRun("done", 50.0, f"{rng.random()}", arrived=rng.random() < 0.5, independent=True)
            for seed in range(12)
        }

    places = ENVIRONMENTS[:5]
    gates = [[task_of(place, side(), side()) for place in places] for _ in range(60)]
    found = [gate_of(suite(places, seeds=12), tasks).outcome for tasks in gates]
    assert found.count(GateAnswer.REGRESSED) <= 8


@pytest.mark.parametrize(("number", "apart"), [(1, True), (5, False)])
def test_trap_luck_that_a_seed_has_on_several_tasks_is_no_regression_of_them(number, apart):
    """Five settings of one algorithm on one environment; or one on five, in runs whose streams are of the seed alone.

    Task by task, a quarter of these gates said "regressed", though the sides are equal.
    """
    rng = np.random.default_rng(0)
    places = [ENVIRONMENTS[k % number] for k in range(5)]

    def sides():
        luck = 100 + 15 * rng.normal(size=(2, 12))
        return [
            task_of(
                place,
                *(
                    {
                        s: SideRun("done", x + rng.normal(), f"{rng.random()}", independent=apart)
                        for s, x in enumerate(of)
                    }
                    for of in luck
                ),
                algorithm=f"{DQN}[x={setting}]",
            )
            for setting, place in enumerate(places)
        ]

    gates = [gate_of(suite(places[:number], seeds=12), sides()) for _ in range(60)]
    assert {found.blocks for found in gates} == {(0,) * 5}
    assert {found.rule.looks for found in gates} == {(5, 8, 12, 20)}
    assert [found.outcome for found in gates].count(GateAnswer.REGRESSED) <= 8


def test_a_small_drop_that_keeps_the_threshold_is_within_tolerance(tmp_path):
    sides = beside_the_cliff(tmp_path / "base", -13.0, 20), beside_the_cliff(tmp_path / "head", -14.0, 20)
    found = judge(suite([CLIFF], seeds=20), *sides)
    assert found.outcome is GateAnswer.WITHIN_TOLERANCE
    assert not found.reasons
