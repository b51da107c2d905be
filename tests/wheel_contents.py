"""Refuses wheels that lack something, or that install anything beside their own package. Called by wheels.sh."""

import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {  # what a distribution may install into site-packages, beside its metadata
    "rl_harness": {"harness"},
    "harness_algorithms": {"harness_algorithms"},
    "harness_environments": {"harness_environments"},
    "harness_games": {"harness_games"},
    "harness_stable_baselines3": {"harness_stable_baselines3"},
    "harness_ray": {"harness_ray"},
    "harness_slurm": {"harness_slurm"},
    "harness_mujoco": {"harness_mujoco"},
    "harness_example": {"harness_example.py", "harness_example_figures.py", "harness_example_hill_climbing.py"},
}


def core_files() -> set[str]:
    """Every file that the wheel of the core must hold."""
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "harness").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return package | {f"harness/suites/{path.name}" for path in (ROOT / "suites").iterdir() if path.is_file()}


def problems(wheel: Path) -> Iterable[str]:
    """What is wrong with one wheel."""
    distribution = wheel.name.partition("-")[0]
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    if top != TOP_LEVEL[distribution]:
        yield f"installs {', '.join(sorted(top))}, not {', '.join(sorted(TOP_LEVEL[distribution]))}"
    for missing in sorted((core_files() if distribution == "rl_harness" else set()) - set(names)):
        yield f"lacks {missing}"


def main(paths: Iterable[str]) -> None:
    """Check all wheels."""
    wheels = [Path(path) for path in paths]
    found = [f"{wheel.name} {problem}" for wheel in wheels for problem in problems(wheel)]
    absent = TOP_LEVEL.keys() - {wheel.name.partition("-")[0] for wheel in wheels}
    if absent or found:
        raise SystemExit("\n".join([*found, *(f"no wheel of {name}" for name in sorted(absent))]))


if __name__ == "__main__":
    main(sys.argv[1:])
