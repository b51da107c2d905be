"""The batch script of a job array, whose text is submitit's."""

import math
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submitit.slurm.slurm import _make_sbatch_string

from harness.api import Job
from harness_slurm.settings import Settings

WALLTIME = 1.5  # times the limit of a trial, which is kept on its node; the rest is for starting it
SPARE_MIB = 1024  # beside the limit of a trial, for the process that watches it
ON_GPU = ("gpus_per_node", "gpus_per_task", "num_gpus", "gpus", "gres")  # who writes one of them has chosen


def script(name: str, place: Path, jobs: Sequence[Job], at_once: int, after: str, settings: Settings) -> str:
    """The script of an array of jobs that need the same, of which at most ``at_once`` run, once those ``after`` ended.

    What an element prints before its trial has a log goes to ``place``.
    """
    first = jobs[0]
    more: dict[str, Any] = {"requeue": True, "output": str(place / "%x_%a.log"), **settings.more}
    told: dict[str, Any] = {"time": None, "wckey": None, "use_srun": False, "cpus_per_task": first.cpus}
    if first.seconds is not None:
        told["time"] = math.ceil(first.seconds * WALLTIME / 60)
    told["mem"] = f"{math.ceil(first.memory_gib * 1024) + SPARE_MIB}M"
    if any(name in settings.slurm for name in ("mem_per_cpu", "mem_per_gpu")):
        del told["mem"]
    if first.device != "cpu" and not any(name in {**settings.slurm, **settings.more} for name in ON_GPU):
        told["gpus_per_node"] = 1
    told |= settings.slurm
    if after:
        told["dependency"] = ",".join(filter(None, (told.get("dependency"), f"afterany:{after}")))
    folders = ["folders=(", *(shlex.quote(str(job.folder)) for job in jobs), ")"]
    told["setup"] = [*folders, 'folder="${folders[$SLURM_ARRAY_TASK_ID]}"', *told.get("setup", ())]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on the options of others' jobs
        return _make_sbatch_string(
            f'{settings.python} -m harness_slurm.work "$folder" {name}',
            place,
            job_name=name,
            map_count=len(jobs),
            array_parallelism=at_once or len(jobs),
            stderr_to_stdout=True,
            additional_parameters=more,
            **told,
        )
