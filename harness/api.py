"""The only import a plugin needs, and the only one supported. `API` grows when an old plugin breaks."""

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.contract import API
from harness.contract.errors import UsageError
from harness.contract.executor import DetachableExecutor, Ended, Ending, Executor, ExecutorOptions, Job
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
    Lease,
    Leases,
    LockstepEnv,
    Made,
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


def code(*plugins: str) -> Mapping[str, Mapping[str, str]]:
    """What is installed here of the core and of these distributions of plugins, to be told to another machine."""
    from harness.running import provenance

    return provenance.code(plugins)


def code_differences(told: Mapping[str, Mapping[str, str]]) -> str:
    """How the code that is installed here is not what another machine told of itself; empty if it is."""
    from harness.running import provenance

    return provenance.differences(told)


def supervise(job: Job, wanted: Callable[[int], bool] = lambda steps: True) -> Ended | None:
    """Run a job on this machine as the local executor does, and wait for its end: what an executor may do on a node.

    A job that was made where other code is installed fails. Its process is started with the job's variables, watched
    for time and memory, and killed with all that it started: at a limit, when ``wanted``, asked every second with the
    steps that it has taken, says no (then there is no end to tell: None), when this raises, or when the process that
    called it dies.
    """
    from harness.running.executor_local import supervise

    return supervise(job, wanted)


__all__ = ["API", "UsageError", "code", "code_differences", "hookimpl", "run_job", "supervise"]
__all__ += ["AlgorithmSpec", "EnvironmentSpec", "ExecutorSpec", "FigureSpec", "SuiteSpec"]
__all__ += ["Needs", "Score", "SpecError"]
__all__ += ["BudgetExhausted", "Count", "Dataset", "Fraction", "GameRules", "Lease", "Leases"]
__all__ += ["LockstepEnv", "Made", "Ply", "Policy"]
__all__ += ["RecurrentPolicy", "SelfPlay", "Step", "Trial"]
__all__ += ["DetachableExecutor", "Ended", "Ending", "Executor", "ExecutorOptions", "Job"]
