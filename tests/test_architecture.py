"""The layout is the architecture: folders of the core stand in layers, and no import points back up."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT

LAYERS = (  # from the ground up; a module imports from its own place and from those before it
    "text",
    "contract",
    "statistics",
    "discovery",
    "suite",
    "storage",
    "measuring",
    "running",
    "analysis",
    "verdicts",
    "commits",
    "reporting",
    "api",  # the face of the contract; its `run_job` is the worker's
    "conformance",
    "testing",
    "builtin",
    "scaffold",
    "templates",
    "commands",
    "__init__",
    "__main__",
)
PLUGINS = ("algorithms", "environments", "games", "stable_baselines3", "ray", "slurm", "mujoco", "example")


def place(module: str) -> str:
    """The folder or file of the core that a module lies in."""
    return module.split(".")[1] if "." in module else "__init__"


def sources(folder: Path) -> Iterator[tuple[str, Path]]:
    """Modules by their full names."""
    for path in folder.rglob("*.py"):
        if "build" not in path.parts:
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[str]:
    """Everything of the core that a file imports, at the top, inside functions and for types alike."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = node.module == "harness"
            names = [f"harness.{each.name}" for each in node.names] if whole else [node.module]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "harness")


CORE = dict(sources(ROOT / "harness"))


def test_every_place_of_the_core_has_a_layer():
    assert {place(name) for name in CORE} | {"templates"} == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_no_import_points_back_up(layer):
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    upward = {
        (name, imported)
        for name, path in CORE.items()
        if place(name) == layer
        for imported in imports(path)
        if place(imported) not in allowed
    }
    assert not upward


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_import_nothing_of_the_core_but_its_face(plugin):
    """`harness` itself is what readers of results import: figures take a `harness.Results`."""
    (metadata,) = (ROOT / "plugins" / plugin).glob("pyproject.toml")
    shipped = tomllib.loads(metadata.read_text(encoding="utf-8"))["tool"]["setuptools"]
    names = [*shipped.get("packages", ()), *shipped.get("py-modules", ())]
    assert names
    paths = [metadata.parent / name.replace(".", "/") for name in names]
    files = [file for path in paths for file in (path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")])]
    found = {(file.name, imported) for file in files for imported in imports(file)}
    assert {imported for _, imported in found} <= {"harness.api", "harness"}, found
