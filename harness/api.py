"""The only import a plugin needs, and the only one supported. `API` is raised when it breaks."""

from harness.contract import (
    BudgetExhausted,
    Count,
    Fraction,
    LockstepEnv,
    Policy,
    RecurrentPolicy,
    Step,
    Trial,
)
from harness.executor import Ended, Executor, ExecutorOptions, Job
from harness.hookspecs import hookimpl
from harness.specs import (
    AlgorithmSpec,
    EnvironmentSpec,
    ExecutorSpec,
    FigureSpec,
    Score,
    SpecError,
    SuiteSpec,
)

API = 1

__all__ = [
    "API",
    "AlgorithmSpec",
    "BudgetExhausted",
    "Count",
    "Ended",
    "EnvironmentSpec",
    "Executor",
    "ExecutorOptions",
    "ExecutorSpec",
    "FigureSpec",
    "Fraction",
    "Job",
    "LockstepEnv",
    "Policy",
    "RecurrentPolicy",
    "Score",
    "SpecError",
    "Step",
    "SuiteSpec",
    "Trial",
    "hookimpl",
]
