"""Write a new plugin: a distribution that installs and keeps the contract as it stands."""

import importlib.metadata
import importlib.resources
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Literal

from harness.contract.errors import UsageError

Writable = Literal["algorithm", "environment"]
NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?")  # also the name of a distribution, hence its end

FILES: Mapping[str, str] = {  # path in the distribution: template of it, after "new_<kind>_"
    ".gitignore": "gitignore",
    "pyproject.toml": "pyproject.toml",
    "README.md": "readme.md",
    "$module/__init__.py": "init.py",
    "$module/$kind.py": "$kind.py",
    "tests/test_$module.py": "test.py",
}
FILES_OF_ALGORITHMS: Mapping[str, str] = {
    **FILES,
    "tests/test_speed.py": "speed.py",
    ".github/workflows/ci.yml": "ci.yml",
}


def render_plugin(kind: Writable, name: str) -> dict[str, str]:
    """The files of a new plugin: content by path, relative to the distribution's folder."""
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name!r} cannot name a plugin: 1 to 40 of a-z, 0-9, '_' and '-', a letter or digit at both ends"
        )
    module = f"harness_{name.replace('-', '_')}"
    words = {"kind": kind, "name": name, "distribution": f"harness-{name}", "module": module}
    templates = importlib.resources.files("harness.templates")
    files = {}
    for path, template in (FILES_OF_ALGORITHMS if kind == "algorithm" else FILES).items():
        source = templates / f"new_{kind}_{Template(template).substitute(words)}.template"
        content = Template(source.read_text(encoding="utf-8")).substitute(words)
        files[Template(path).substitute(words)] = content
    return files


def write_plugin(kind: Writable, name: str, parent: Path) -> Path:
    """Write a new plugin into a new folder of ``parent``, and return that folder."""
    files = render_plugin(kind, name)
    module = f"harness_{name.replace('-', '_')}"
    if name in {point.name for point in importlib.metadata.entry_points(group="harness")} | {"harness"}:
        raise UsageError(f"a plugin named {name!r} is installed already; choose another name")
    if importlib.util.find_spec(module) is not None:
        raise UsageError(f"a module named {module!r} is installed already; choose another name")
    folder = parent / f"harness-{name}"
    try:
        folder.mkdir()
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{folder} exists already; choose another name or folder") from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
    return folder
