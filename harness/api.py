"""The only import a plugin needs, and the only one supported. `API` grows when an old plugin breaks."""

from collections.abc import Mapping
from pathlib import Path

from harness.contract import API
from harness.contract.errors import UsageError
from harness.contract.executor import Ended, Executor, ExecutorOptions, Job
from harness.contract.hooks import hookimpl
from harness.contract.specs import (
    AlgorithmSpec,
    EnvironmentSpec,
    ExecutorSpec,
    FigureSpec,
    Needs,
    Score,
    SpecError,
    SuiteSpec,
)
from harness.contract.trial import (
    BudgetExhausted,
    Count,
    Dataset,
    Fraction,
    GameRules,
    LockstepEnv,
    Ply,
    Policy,
    RecurrentPolicy,
    SelfPlay,
    Step,
    Trial,
)


def run_job(folder: str | Path, device: str) -> None:
    """Run the job in a folder on a device: all that an executor asks of the harness, in a process of its own.

    What it leaves lies in that folder: tables, outcome, log. Its process may be killed at any time. Where the harness
    or a plugin is not what it was where the job was made, it fails and names both.

    Args:
        folder: a copy of `Job.folder`, with its ``job.json``.
        device: "cpu" or "cuda", the latter with an index or not.
    """
    from harness.running.worker import run_job

    run_job(Path(folder), device, from_afar=True)


def local_executor(options: ExecutorOptions) -> Executor:
    """The executor of this machine, for jobs of another: so one on a cluster has them run and watched, as `run_job`."""
    from harness.running.executor_local import LocalExecutor

    return LocalExecutor(options, from_afar=True)


def code(*plugins: str) -> Mapping[str, Mapping[str, str]]:
    """What is installed here of the core and of these distributions of plugins, to be told to another machine."""
    from harness.running import provenance

    return provenance.code(plugins)


def code_differences(told: Mapping[str, Mapping[str, str]]) -> str:
    """How the code that is installed here is not what another machine told of itself; empty if it is."""
    from harness.running import provenance

    return provenance.differences(told)


__all__ = ["API", "UsageError", "code", "code_differences", "hookimpl", "local_executor", "run_job"]
__all__ += ["AlgorithmSpec", "EnvironmentSpec", "ExecutorSpec", "FigureSpec", "SuiteSpec"]
__all__ += ["Needs", "Score", "SpecError"]
__all__ += ["BudgetExhausted", "Count", "Dataset", "Fraction", "GameRules", "LockstepEnv", "Ply", "Policy"]
__all__ += ["RecurrentPolicy", "SelfPlay", "Step", "Trial"]
__all__ += ["Ended", "Executor", "ExecutorOptions", "Job"]
