"""Drawings of a game on their way from a job's outcome to the manifest of its run."""

import json

import pytest

from harness.contract.specs import as_json
from harness.measuring.description import RunOutcome, TrialOutcome
from harness.measuring.drawing import MOST_CHARACTERS, MOST_DRAWINGS
from harness.running.job_files import OUTCOME, leave, outcome_in
from harness.running.manifest import drawings

KEY = "0123456789abcdef0123"


def left(folder, *drawn):
    leave(folder / OUTCOME, as_json(TrialOutcome("done", runs=(RunOutcome(KEY, drawings=drawn),))))
    return outcome_in(folder)


def test_what_a_job_drew_is_part_of_the_manifest_and_of_that_run_alone(tmp_path):
    outcome = left(tmp_path, "X.\n.O", "XX\n.O")
    assert drawings(outcome, KEY) == {"drawings": ["X.\n.O", "XX\n.O"]}
    assert drawings(outcome, "another key") == {}


def test_without_drawings_a_manifest_says_nothing_of_them(tmp_path):
    assert drawings(left(tmp_path), KEY) == {}


def test_an_outcome_of_an_older_harness_has_none(tmp_path):
    leave(tmp_path / OUTCOME, {"status": "done", "runs": [{"key": KEY}]})
    assert drawings(outcome_in(tmp_path), KEY) == {}


@pytest.mark.parametrize("drawn", [["x"] * (MOST_DRAWINGS + 1), ["x" * (MOST_CHARACTERS + 1)], [3], "text"])
def test_more_than_the_harness_draws_is_no_outcome(tmp_path, drawn):
    leave(tmp_path / OUTCOME, {"status": "done", "runs": [{"key": KEY, "drawings": drawn}]})
    outcome = outcome_in(tmp_path)
    assert (outcome.status, outcome.runs) == ("", ())
    assert "drawings" in outcome.error


def test_as_much_as_the_harness_draws_is(tmp_path):
    drawn = ["x" * MOST_CHARACTERS] * MOST_DRAWINGS
    assert json.loads(json.dumps(drawings(left(tmp_path, *drawn), KEY)))["drawings"] == drawn
