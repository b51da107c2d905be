"""What ``--executor-option key=value`` says: options of sbatch, and four of our own."""

import inspect
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from submitit.slurm.slurm import _make_sbatch_string

from harness.api import ExecutorOptions, UsageError

SLURM = "slurm_"
OURS = {  # by the executor, and why
    "job_name": "jobs are found by it",
    "array": "it is made of the trials",
    "array_parallelism": "write --jobs",
    "map_count": "it is made of the trials",
    "output": "logs lie beside the jobs",
    "error": "logs lie beside the jobs",
    "stderr_to_stdout": "logs lie beside the jobs",
    "folder": "logs lie beside the jobs",
    "command": "it is that of the harness",
}
LISTS = {"setup": lambda text: [text], "teardown": lambda text: [text], "srun_args": shlex.split}
NUMBERS = ("signal_delay_s",)
KNOWN = frozenset(inspect.signature(_make_sbatch_string).parameters)  # to submitit; sbatch knows the others


@dataclass(frozen=True)
class Settings:
    """The settings of the executor.

    Attributes:
        slurm: parameters of submitit's script.
        more: options of sbatch that submitit does not know.
        python: how a shell on a node starts Python.
        poll: seconds between two questions to SLURM.
        array_size: most jobs in one array, which a cluster limits by MaxArraySize.
    """

    slurm: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    python: str = shlex.quote(sys.executable)
    poll: float = 15.0
    array_size: int = 1000

    @classmethod
    def of(cls, options: ExecutorOptions) -> "Settings":
        """Those of a command line; a `UsageError` names what is unknown or wrong."""
        if options.gpu_share != 1.0:
            raise UsageError("--gpu-share: SLURM gives whole GPUs; for parts of them see slurm_gres=shard:1")
        told: dict[str, Any] = {}
        slurm: dict[str, Any] = {}
        more: dict[str, Any] = {}
        for key, text in options.settings.items():
            name = key.removeprefix(SLURM)
            if "\n" in text:
                raise UsageError(f"--executor-option {key}: more than one line; put it into a file, and source that")
            if key.startswith(SLURM) and name.isidentifier():
                if name in OURS:
                    raise UsageError(f"--executor-option {key}: not for you to set: {OURS[name]}")
                (slurm if name in KNOWN else more)[name] = _value(key, name, text)
            elif key == "python":
                told[key] = text
            elif key in ("poll", "array_size"):
                told[key] = _number(key, text, float if key == "poll" else int)
            else:
                raise UsageError(f"--executor-option {key}: unknown; there are slurm_*, python, poll, array_size")
        return cls(slurm, more, **told)


def _value(key: str, name: str, text: str) -> Any:
    if name in LISTS:
        return LISTS[name](text)
    if name in NUMBERS:
        return _number(key, text, int)
    return {"true": True, "false": None if name != "use_srun" else False}.get(text, text)


def _number(key: str, text: str, kind: type[int] | type[float]) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = 0
    if not 0 < number < 1_000_000:
        raise UsageError(f"--executor-option {key}={text}: write a number above 0")
    return number
