import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.contract.trial import BudgetExhausted
from harness.measuring.clock import Clock
from harness.measuring.meter import LocalMeter, check_return, evaluation_marks
from harness.measuring.records import Diverged, RunRecord
from support.measuring import (
    MODES,
    known_copy,
    native,
    recorded_copy,
    train_lockstep,
    train_single,
    train_vector,
    trained,
)


def make_meter(budget=10, marks=(0,), on_mark=lambda: None, runs=1):
    return LocalMeter(budget, marks, on_mark, [RunRecord(seed) for seed in range(runs)], Clock())


@pytest.mark.parametrize(
    ("budget", "points", "marks"),
    [(100, 1, (0,)), (100, 4, (0, 25, 50, 75)), (10, 3, (0, 3, 7)), (2, 5, (0, 1)), (1, 5, (0,))],
)
def test_marks_are_spread_evenly_from_0_and_leave_the_budget_to_the_end(budget, points, marks):
    assert evaluation_marks(budget, points) == marks


def test_marks_jumped_over_together_call_once():
    calls = []
    meter = make_meter(marks=(0, 2, 4, 8), on_mark=lambda: calls.append(meter.steps))
    meter.start()
    meter.take(5)
    meter.settle()
    meter.settle()
    assert calls == [0, 5]
    meter.take(3)
    meter.settle()
    assert calls == [0, 5, 8]
    meter.take(2)
    meter.settle()
    assert calls == [0, 5, 8]


def test_a_step_beyond_the_budget_is_refused_and_marks_the_meter_as_exhausted():
    meter = make_meter()
    meter.take(8)
    assert not meter.exhausted
    with pytest.raises(BudgetExhausted):
        meter.take(3)
    assert meter.exhausted
    assert meter.steps == 8


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_return_that_is_not_finite_diverges_and_the_first_reason_stays(value):
    runs = [RunRecord(0), RunRecord(1)]
    meter = LocalMeter(10, (0,), lambda: None, runs, Clock())
    meter.ended(0, 0, 1.0, 1, True, False)
    assert not runs[0].diverged
    meter.ended(0, 0, value, 1, True, False)
    check_return(runs, runs[0], math.nan, "evaluation", 7)
    assert runs[0].diverged == f"the return of an episode in training is {value} at step 0"
    assert not runs[1].diverged


def test_training_ends_when_no_run_is_left():
    meter = make_meter(runs=2)
    meter.ended(1, 0, math.nan, 1, True, False)
    with pytest.raises(Diverged, match="in training is nan"):
        meter.ended(0, 0, math.nan, 1, True, False)


def evaluation_steps(trial, run=0):
    return sorted({evaluation.step for evaluation in trial.runs[run].evaluations})


@settings(max_examples=30, deadline=None)
@given(budget=st.integers(1, 80), copies=st.integers(1, 5), points=st.integers(1, 9), mode=st.sampled_from(MODES))
def test_sync_vectors_take_the_budget_and_are_evaluated_at_every_mark(budget, copies, points, mode):
    trial = trained(train_vector(copies, "sync", mode), budget=budget, points=points)
    assert trial.steps == budget
    assert evaluation_steps(trial) == [*evaluation_marks(budget, points), budget]


@settings(max_examples=30, deadline=None)
@given(budget=st.integers(1, 80), points=st.integers(1, 9), seed=st.integers(0, 2**31))
def test_a_single_copy_takes_the_budget_and_is_evaluated_at_every_mark(budget, points, seed):
    trial = trained(train_single, seeds=(seed,), budget=budget, points=points)
    assert trial.steps == budget
    assert evaluation_steps(trial) == [*evaluation_marks(budget, points), budget]
    recorded = recorded_copy(trial, 0)
    assert recorded == known_copy(seed, 0, len(recorded))


@settings(max_examples=30, deadline=None)
@given(budget=st.integers(6, 80), copies=st.integers(1, 5), points=st.integers(1, 9), mode=st.sampled_from(MODES))
def test_native_vectors_stop_before_the_first_call_that_the_budget_does_not_hold(budget, copies, points, mode):
    trial = trained(train_vector(copies, "native", mode), native(mode), budget=budget, points=points)
    assert budget - copies < trial.steps <= budget
    steps = evaluation_steps(trial)
    assert steps[0] == 0
    assert steps[-1] == trial.steps
    marks = [mark for mark in evaluation_marks(budget, points) if mark <= trial.steps]
    assert all(any(mark <= step < mark + copies for step in steps) for mark in marks)


@settings(max_examples=30, deadline=None)
@given(budget=st.integers(1, 80), copies=st.integers(1, 5), points=st.integers(1, 9), num_seeds=st.integers(1, 3))
def test_lockstep_takes_the_budget_and_is_evaluated_after_the_step_that_reaches_a_mark(
    budget, copies, points, num_seeds
):
    trial = trained(train_lockstep(copies), seeds=tuple(range(num_seeds)), budget=budget, points=points, lockstep=True)
    reached = {min(math.ceil(mark / copies) * copies, budget) for mark in evaluation_marks(budget, points)}
    for run in range(num_seeds):
        assert trial.steps == budget
        assert evaluation_steps(trial, run) == sorted(reached | {budget})
