"""The conformance checks in a plugin's own tests.

::

    from harness.testing import algorithm_checks, parametrize_with_checks

    @parametrize_with_checks(
        algorithm_checks("hill-climbing"),
        expected_failures={"same_seed_same_episodes": "its library draws from /dev/urandom"},
    )
    def test_contract(check):
        check()

What the checks are called and ask, ``harness check NAME`` prints, and the modules of `harness.conformance` explain.
`harness.testing.benchmarks` measures speed.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from harness.conformance import checks
from harness.conformance.check import Check, CheckFailed, CheckResult, CheckSkipped
from harness.discovery.registry import Registry

if TYPE_CHECKING:
    import pytest

__all__ = [
    "Check",
    "CheckFailed",
    "CheckResult",
    "CheckSkipped",
    "ConformanceWarning",
    "algorithm_checks",
    "environment_checks",
    "executor_checks",
    "parametrize_with_checks",
    "plugin_checks",
    "suite_checks",
]


class ConformanceWarning(UserWarning):
    """A check passed with a remark."""


def algorithm_checks(name: str) -> list[Check]:
    """The checks of an installed algorithm.

    Args:
        name: id or short name, with a preset and overrides or not: ``"dqn:paper[learning_starts=50]"``.
    """
    return checks.checks_of_kinds(name, Registry.load(), ["algorithm"])


def environment_checks(name: str) -> list[Check]:
    """The checks of an installed environment, by id or short name."""
    return checks.checks_of_kinds(name, Registry.load(), ["environment"])


def executor_checks(name: str, **settings: str) -> list[Check]:
    """The checks of an installed executor, by id or short name, with its own settings."""
    return checks.checks_of_kinds(name, Registry.load(), ["executor"], settings)


def suite_checks(name: str) -> list[Check]:
    """The checks of an installed suite, by id or short name."""
    return checks.checks_of_kinds(name, Registry.load(), ["suite"])


def plugin_checks(name: str) -> list[Check]:
    """The checks of an installed plugin and of everything it provides, by plugin or distribution name."""
    registry = Registry.load()
    return [
        check
        for plugin in registry.plugins
        if plugin.answers_to({name})
        for check in checks.checks_of_plugin(plugin, registry)
    ]


def parametrize_with_checks(
    chosen: Sequence[Check], expected_failures: Mapping[str, str] | None = None
) -> "pytest.MarkDecorator":
    """Run a test, which calls its argument ``check``, once for every check.

    A check that does not apply is skipped; a remark is a `ConformanceWarning`.

    Args:
        chosen: checks, as the other functions here give them.
        expected_failures: reasons by name of check. Such a check must fail: when it passes, the reason is history.

    Raises:
        ValueError: there are no checks, or an expected failure names none of them.
    """
    import pytest

    expected = expected_failures or {}
    unknown = expected.keys() - {check.name for check in chosen}
    if unknown or not chosen:
        raise ValueError(f"no such checks: {', '.join(sorted(unknown)) or 'none were given'}")

    def ask(check: Check) -> None:
        try:
            remark = check()
        except CheckSkipped as skipped:
            pytest.skip(str(skipped))
        if remark:
            warnings.warn(f"{check.subject}: {check.name}: {remark}", ConformanceWarning, stacklevel=2)

    def parameter(check: Check) -> "pytest.ParameterSet":
        reason = expected.get(check.name)
        marks = [pytest.mark.xfail(reason=reason, strict=True, raises=CheckFailed)] if reason else []
        return pytest.param(partial(ask, check), id=f"{check.subject}-{check.name}", marks=marks)

    return pytest.mark.parametrize("check", [parameter(check) for check in chosen])
