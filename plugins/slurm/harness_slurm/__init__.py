"""Trials as jobs of a SLURM cluster: job arrays whose scripts submitit writes."""

from collections.abc import Iterable

from harness.api import ExecutorSpec, hookimpl

API = 1


@hookimpl
def harness_executors() -> Iterable[ExecutorSpec]:
    """The one executor."""
    yield ExecutorSpec("slurm", "harness_slurm.executor:create", summary="Job arrays of a SLURM cluster")
