"""Trials on a Ray cluster: ``harness run SUITE --executor ray --executor-option address=...``."""

from harness.api import ExecutorSpec, hookimpl

API = 1


@hookimpl
def harness_executors() -> list[ExecutorSpec]:
    """A cluster that is there, or one of this machine alone."""
    return [ExecutorSpec("ray", "harness_ray.executor:create", summary="Tasks on a Ray cluster")]
