"""The hooks a plugin may implement. Every hook is called for one plugin at a time, in name order.

The first five are declarative: no arguments, cheap, and nothing heavy imported. The last one observes,
in the parent process only; an exception in it is reported and never changes a result.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pluggy

from harness.contract.specs import AlgorithmSpec, EnvironmentSpec, ExecutorSpec, FigureSpec, SuiteSpec

hookspec = pluggy.HookspecMarker("harness")
hookimpl = pluggy.HookimplMarker("harness")


@hookspec
def harness_algorithms() -> Iterable[AlgorithmSpec]:  # type: ignore[empty-body]
    """Describe the algorithms of this plugin."""


@hookspec
def harness_environments() -> Iterable[EnvironmentSpec]:  # type: ignore[empty-body]
    """Describe the environments of this plugin."""


@hookspec
def harness_suites() -> Iterable[SuiteSpec]:  # type: ignore[empty-body]
    """Name the suite files that travel inside this plugin."""


@hookspec
def harness_figures() -> Iterable[FigureSpec]:  # type: ignore[empty-body]
    """Describe figures that this plugin adds to every report."""


@hookspec
def harness_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Describe places where this plugin can run trials."""


@hookspec
def harness_run_finished(run: Mapping[str, Any]) -> None:
    """Observe one finished run, after it was committed.

    Args:
        run: its row of the table of runs, as ``run.json`` holds it under "run".
    """
