"""The plugin that is always there: the standard suites.

It describes itself through the same hooks as any plugin, and has no privilege but its name.
"""

from harness.api import ExecutorSpec, SuiteSpec, hookimpl

API = 1


@hookimpl
def harness_suites() -> list[SuiteSpec]:
    """The suites that ship with the harness."""
    return [
        SuiteSpec(
            "quickstart",
            "harness.suites:quickstart.toml",
            summary="Tabular and deep, ours and Stable-Baselines3's, in two minutes",
        ),
        SuiteSpec(
            "tabular",
            "harness.suites:tabular.toml",
            summary="Worlds small enough for a table, with known optimal values",
        ),
        SuiteSpec(
            "classic-control",
            "harness.suites:classic-control.toml",
            summary="Gymnasium's classic control tasks",
        ),
    ]


@hookimpl
def harness_executors() -> list[ExecutorSpec]:
    """This machine."""
    return [ExecutorSpec("local", "harness.executor_local:create", summary="Processes on this machine")]
