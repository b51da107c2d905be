"""A finding that a plugin has given a reason for is shown with it and fails nothing; nothing else is waved through."""

from types import SimpleNamespace

import pytest

from harness.api import AlgorithmSpec, EnvironmentSpec
from harness.conformance.check import Check, CheckFailed, CheckSkipped, require
from harness.conformance.checks import waived
from harness.contract.specs import as_json
from harness.running.keys import task_hash


def leaves_nothing_running() -> None:
    """Is everything gone?"""
    require(False, "training leaves thread tqdm_monitor")


def spends_the_budget_exactly() -> None:
    """Does it end?"""
    require(False, "no")


def outcomes(**reasons: str) -> dict[str, tuple[str, str]]:
    entry = SimpleNamespace(id="x/y", spec=SimpleNamespace(waived=reasons))
    checks = [Check.of("x/y", function) for function in (leaves_nothing_running, spends_the_budget_exactly)]
    return {check.name: (check.outcome().status, check.outcome().reason) for check in waived(entry, checks)}


def test_a_finding_with_a_reason_is_told_and_is_no_failure():
    found = outcomes(leaves_nothing_running="tqdm keeps a monitor for ever")
    assert found == {
        "leaves_nothing_running": (
            "waived",
            "tqdm keeps a monitor for ever (waived: training leaves thread tqdm_monitor)",
        ),
        "spends_the_budget_exactly": ("fail", "no"),
        "waives_what_is_asked": ("pass", ""),
    }


def test_a_reason_for_no_check_is_a_failure_that_names_the_nearest():
    status, reason = outcomes(leaves_nothing_runing="typo")["waives_what_is_asked"]
    assert (status, reason) == (
        "fail",
        "waived: there is no check 'leaves_nothing_runing'; did you mean leaves_nothing_running?",
    )


def test_under_pytest_a_waived_finding_skips():
    (check, *_) = waived(
        SimpleNamespace(id="x", spec=SimpleNamespace(waived={"leaves_nothing_running": "known"})),
        [Check.of("x", leaves_nothing_running)],
    )
    with pytest.raises(CheckSkipped, match="known"):
        check()
    with pytest.raises(CheckFailed):
        Check.of("x", leaves_nothing_running)()


def test_a_waiver_needs_a_reason_and_changes_no_task():
    with pytest.raises(ValueError, match=r"waived\.leaves_nothing_running must say why"):
        AlgorithmSpec("x", "m", "1", waived={"leaves_nothing_running": " "})
    plain, waiving = (EnvironmentSpec("x", "X-v0", waived=reasons) for reasons in ({}, {"passes_check_env": "known"}))
    assert task_hash(as_json(plain), 100, 2, 3) == task_hash(as_json(waiving), 100, 2, 3)
