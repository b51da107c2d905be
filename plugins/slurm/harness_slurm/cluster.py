"""The commands of SLURM, and what they say of the arrays of this user that are ours, by their names."""

import contextlib
import getpass
import re
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from submitit.slurm.slurm import read_job_id

from harness.api import UsageError

PATIENCE_SECONDS = 120  # with a command
ID = re.compile(r"[0-9]{1,18}")  # of an array, or an index in one
# What may yet run, or is running; every other state is an end.
ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD")
ALIVE += ("RESIZING", "RESV_DEL_HOLD", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED")
TAKEN = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED")  # from it, through no fault of the job

States = dict[tuple[str, int], str]  # by name of an array and index in it


class NoAnswerError(Exception):
    """A command of SLURM failed; it may not the next time."""


def submit(script: Path) -> str:
    """The id of the array that sbatch makes of a script, empty if it says none; a `UsageError` if it refuses."""
    try:
        said = _said(["sbatch", "--parsable", str(script)])
    except NoAnswerError as error:
        raise UsageError(f"sbatch refuses the jobs: {error}") from None
    id = said.strip().rpartition("\n")[2].partition(";")[0]  # after what a site has it print
    return id if ID.fullmatch(id) else ""


def states(names: Collection[str]) -> States:
    """What the queue says of the elements of arrays; those that have ended are absent some minutes later."""
    known: States = {}
    mine = ["--noheader", f"--user={getpass.getuser()}", f"--name={','.join(sorted(names))}"]
    for line in _said(["squeue", *mine, "--array", "--states=all", "--format=%j|%K|%T"]).splitlines():
        name, index, state = (*line.strip().split("|"), "", "")[:3]
        if name in names and ID.fullmatch(index):
            known[name, int(index)] = state
    return known


def accounted(names: Collection[str], since: str) -> States:
    """The same of accounting, from a day on; nothing where there is none."""
    known: States = {}
    line = ["sacct", "--noheader", "--parsable2", "--allocations", f"--starttime={since}"]
    try:
        told = _said([*line, f"--name={','.join(sorted(names))}", "--format=JobName,JobID,State"])
    except NoAnswerError:
        return known
    for row in told.splitlines():
        name, id, state = (*row.split("|"), "", "")[:3]
        for _, *span in _parsed(id) if name in names else ():
            for index in range(int(span[0]), int(span[-1]) + 1) if span else ():
                known[name, index] = state.partition(" ")[0]  # as in "CANCELLED by 1000"
    return known


def _parsed(id: str) -> Sequence[tuple[str, ...]]:
    try:
        return read_job_id(id)
    except ValueError:
        return ()


def cancel(names: Collection[str]) -> None:
    """End arrays, as far as SLURM can be reached."""
    for name in names:  # of which scancel takes one at a time
        with contextlib.suppress(NoAnswerError):
            _said(["scancel", f"--user={getpass.getuser()}", f"--name={name}"])


def has_gpus(partition: str) -> bool:
    """Whether some node of a partition, or of the cluster, has one; nobody knows where SLURM does not answer."""
    only = [f"--partition={partition}"] if partition else []
    try:
        return any(word in _said(["sinfo", "--noheader", "--format=%G", *only]) for word in ("gpu", "shard"))
    except (NoAnswerError, UsageError):
        return True


def _said(line: Sequence[str]) -> str:
    """What a command says on stdout."""
    try:
        ended = subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=PATIENCE_SECONDS)
    except FileNotFoundError:
        raise UsageError(
            f"there is no {line[0]} here; run this where SLURM's commands are, or look at its script with --dry-run"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAnswerError(f"{line[0]}: {error}") from None
    if ended.returncode != 0:
        lines = [text.removeprefix("sbatch: ").removeprefix("error: ") for text in ended.stderr.split("\n") if text]
        raise NoAnswerError(" ".join("; ".join(lines[:3]).split()) or f"{line[0]} ended with {ended.returncode}")
    return ended.stdout
