"""A tiny plugin repository that is installed, as metadata in a folder of packages; pip needs no network for it."""

import json
import signal
import subprocess
from pathlib import Path

NAME, MODULE = "fake-gated", "fake_gated"
PROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "fake-gated"
version = "1"

[project.entry-points.harness]
fake-gated = "fake_gated"
"""
ENTRY_POINTS = "[harness]\nfake-gated = fake_gated\n"
BACKEND = '''"""Builds a wheel of one module, with nothing but the standard library."""

import zipfile
from pathlib import Path


def build_wheel(folder, settings=None, metadata=None):
    info = "fake_gated-1.dist-info"
    files = {
        "fake_gated.py": Path("fake_gated.py").read_text(),
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: fake-gated\\nVersion: 1\\n",
        f"{info}/entry_points.txt": "[harness]\\nfake-gated = fake_gated\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(Path(folder) / "fake_gated-1-py3-none-any.whl", "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)
    return "fake_gated-1-py3-none-any.whl"
'''


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, code: str) -> str:
    """Write the plugin's module, commit everything, and return the commit."""
    (folder / f"{MODULE}.py").write_text(code)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", code)
    return git(folder, "rev-parse", "HEAD")


def make_repository(folder: Path, old: str = "VALUE = 1\n", new: str = "VALUE = 2\n") -> Path:
    """A repository whose branch ``main`` has the old code, and whose branch ``work``, checked out, has the new."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    commit(folder, old)
    git(folder, "checkout", "--quiet", "-b", "work")
    commit(folder, new)
    return folder


def install_editable(repository: Path, packages: Path) -> None:
    """What ``pip install -e`` leaves in a folder of packages."""
    info = packages / "fake_gated-1.dist-info"
    info.mkdir(parents=True)
    pth = f"__editable__.{MODULE}.pth"
    (packages / pth).write_text(f"{repository}\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n")
    (info / "RECORD").write_text(f"{pth},,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
    origin = {"url": repository.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(origin))


def worktrees(repository: Path) -> int:
    """How many worktrees git knows, the checkout itself included."""
    return git(repository, "worktree", "list", "--porcelain").count("worktree ")


def heed_ctrl_c() -> None:
    """For a child before it starts: a shell that runs the tests in the background leaves SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
