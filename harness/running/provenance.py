"""Where and with what a result was made: versions, hardware, commit. Collected once per session."""

import contextlib
import hashlib
import importlib.util
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

MEMBERSHIP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
LIBRARIES = ("rl-harness", "torch", "numpy", "gymnasium", "pandas", "pyarrow")


@cache
def versions(distributions: tuple[str, ...] = ()) -> dict[str, str]:
    """Versions of Python, of the libraries that compute, and of the plugins' distributions."""
    found = {"python": platform.python_version()}
    for name in dict.fromkeys((*LIBRARIES, *distributions)):
        try:
            found[name] = metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError):  # or no name at all
            continue
    return found


@cache
def source(distribution: str) -> str:
    """A digest of a distribution's Python files, since a checkout changes more often than its version; "" if absent."""
    try:
        found = metadata.distribution(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    modules = (found.read_text("top_level.txt") or "").split() or [e.value.split(".")[0] for e in found.entry_points]
    digest = hashlib.sha256()
    for module in sorted(set(modules)):
        spec = importlib.util.find_spec(module)
        for place in () if spec is None else map(Path, spec.submodule_search_locations or [spec.origin or ""]):
            for path in sorted(place.rglob("*.py")) or [place]:
                digest.update(f"{path.relative_to(place.parent)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def code(plugins: tuple[str, ...], libraries: tuple[str, ...] = ()) -> dict[str, dict[str, str]]:
    """Versions and sources of the core, of plugins' distributions and of what they need, to be told elsewhere."""
    plugins = (LIBRARIES[0], *plugins)
    return {"versions": versions((*plugins, *libraries)), "sources": {name: source(name) for name in plugins}}


def differences(told: Mapping[str, Mapping[str, str]]) -> str:
    """How what is installed here is not the `code` that was told; empty if it is.

    Builds of one version, as of torch for some GPU, are the same; so are all Pythons on which it runs.
    """
    here = code(tuple(told.get("sources", ())), tuple(told.get("versions", ())))
    return "; ".join(
        f"{of}{name} is {here[kind].get(name) or 'missing'} here and {wanted} there"
        for of, kind in (("", "versions"), ("the source of ", "sources"))
        for name, wanted in told.get(kind, {}).items()
        if name != "python" and here[kind].get(name, "").partition("+")[0] != wanted.partition("+")[0]
    )


def cores() -> int:
    """How many this process may use: a container may have a share of the machine's time, told by its control group."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(found, _quota())))


def _quota() -> float:
    """The cores that control groups, of either version, leave this process; infinite where they do not say."""
    quota = float("inf")
    with contextlib.suppress(OSError):
        for line in MEMBERSHIP.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            place = GROUPS / ("cpu" if controllers else "") / path.lstrip("/")
            for folder in (place, *place.parents):
                with contextlib.suppress(OSError, ValueError):  # "max" is no number
                    files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
                    most, period = map(int, " ".join((folder / file).read_text() for file in files).split())
                    quota = min(quota, most / period) if most > 0 else quota
    return quota


@cache
def hardware() -> dict[str, Any]:
    """The machine: processor, cores this process may use, memory, system."""
    import psutil

    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def machine() -> str:
    """The hardware in one line; timings of different machines are not comparable."""
    facts = hardware()
    return f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    model = names.get("model name") or platform.processor() or "unknown processor"  # which starts a process
    family = f" family {names['cpu family']} model {names['model']}" if "cpu family" in names else ""
    return model + family


def git() -> dict[str, Any]:
    """Commit of the working folder's repository, and a hash of what differs from it; empty outside one.

    Where git distrusts the owner of the folder, as in containers, ``complaint`` is what it says.
    """

    def ask(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", *arguments]
        english = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, env=english).stdout

    try:
        commit = ask("rev-parse", "HEAD").strip()
        difference = ask("diff", "HEAD", "--no-ext-diff", "--binary")
    except subprocess.CalledProcessError as error:
        said = next((line for line in error.stderr.splitlines() if "dubious ownership" in line), "")
        return {"complaint": said.removeprefix("fatal: ")} if said else {}
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return {}
    changed = hashlib.sha256(difference.encode()).hexdigest()[:20] if difference else ""
    return {"commit": commit, "dirty_diff": changed}
