"""The only import a plugin needs, and the only one supported. `API` grows when an old plugin breaks."""

from collections.abc import Callable
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

    What it leaves lies in that folder: tables, outcome, log. Its process may be killed at any time.

    Args:
        folder: a copy of `Job.folder`, with its ``job.json``.
        device: "cpu" or "cuda", the latter with an index or not.
    """
    from harness.running.worker import run_job

    run_job(Path(folder), device)


def supervise(job: Job, wanted: Callable[[], bool] = lambda: True) -> Ended | None:
    """Run a job on this machine as the local executor does, and wait for its end: what an executor may do on a node.

    Its process is started with the job's variables, watched for time and memory, and killed with all that it started:
    at a limit, when ``wanted``, asked every second, says no (then there is no end to tell: None), when this raises, or
    when the process that called it dies.
    """
    from harness.running.executor_local import supervise

    return supervise(job, wanted)


__all__ = ["API", "UsageError", "hookimpl", "run_job", "supervise"]
__all__ += ["AlgorithmSpec", "EnvironmentSpec", "ExecutorSpec", "FigureSpec", "SuiteSpec"]
__all__ += ["Needs", "Score", "SpecError"]
__all__ += ["BudgetExhausted", "Count", "Dataset", "Fraction", "GameRules", "LockstepEnv", "Ply", "Policy"]
__all__ += ["RecurrentPolicy", "SelfPlay", "Step", "Trial"]
__all__ += ["DetachableExecutor", "Ended", "Ending", "Executor", "ExecutorOptions", "Job"]
