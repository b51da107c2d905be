"""The commit that a branch came from, installed beside the code that is being judged.

Whatever is installed here from this repository is installed once more, as it was at that commit, into an
environment of its own. That environment sees every other package of this one, so nothing else is installed twice,
and both sides compute with the same libraries. The person's checkout is read and never written.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from harness.contract.errors import ExitCode, UsageError
from harness.discovery.requirements import is_met

SITE_FOLDERS = ("site-packages", "dist-packages")
OUTER_PATHS = "outer-environment.pth"
SHOWN_LINES = 15  # of what a failed command said

# Prints, as JSON, where the modules of each distribution named on its command line would be imported from.
PROBE = """
import importlib.metadata, importlib.util, json, sys
places = {}
for name in sys.argv[1:]:
    distribution = importlib.metadata.distribution(name)
    places[name + ".dist-info"] = str(distribution.locate_file(""))
    firsts = {f.parts[0] for f in distribution.files or () if f.suffix in (".py", ".so", ".pyd")}
    for module in sorted({first.split(".")[0] for first in firsts if first != ".."}):
        spec = importlib.util.find_spec(module)
        places[module] = "" if spec is None else spec.origin or list(spec.submodule_search_locations or [""])[0]
print(json.dumps([sys.prefix, places]))
"""


class CheckoutError(UsageError):
    """A commit that cannot be found, checked out or installed; the message says what to do."""


class NoBaseError(CheckoutError):
    """A base at which nothing of what is judged was there yet, as before the first pull request."""

    exit_code = ExitCode.NOTHING_RAN


class Project(NamedTuple):
    """A distribution that is installed here from a folder of the repository."""

    name: str  # of the distribution
    folder: Path  # its source, relative to the repository's root
    editable: bool  # whether the folder itself is imported, rather than a copy of it
    own_paths: frozenset[Path]  # .pth files by which the installation puts itself on the path


@dataclass(frozen=True)
class Code:
    """One state of the project, ready to run."""

    commit: str  # of the repository
    name: str  # of this state and of the libraries beside it; two states with one name give the same results
    python: Path  # the interpreter whose environment holds it
    folder: Path  # a checkout of it; the working folder of what it runs
    uncommitted: bool = False  # whether it differs from its commit

    def command(self, *arguments: str) -> list[str]:
        """A command line for this interpreter that imports nothing from the working folder."""
        return [str(self.python), "-P", *arguments]

    def variables(self) -> dict[str, str]:
        """The environment variables for that command: threads pinned, no paths but the interpreter's own."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        return {**kept, "PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}


def repository(folder: Path | None = None) -> Path:
    """The root of the git repository that a folder is in; of the working folder unless given.

    Raises:
        CheckoutError: it is in none.
    """
    try:
        return Path(_git(folder or Path.cwd(), "rev-parse", "--show-toplevel"))
    except FileNotFoundError:
        raise CheckoutError("--base-ref needs git, which is not installed") from None
    except CheckoutError as error:
        raise CheckoutError(f"--base-ref needs a git repository: {error}") from None


def merge_base(root: Path, ref: str) -> str:
    """The commit at which HEAD and ``ref`` parted.

    Raises:
        CheckoutError: there is no such ref, or they have no commit in common, as in a shallow clone.
    """
    shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
    advice = (
        " This clone is shallow: fetch its history (`git fetch --unshallow`; "
        "in GitHub Actions, `fetch-depth: 0` of actions/checkout)."
        if shallow
        else ""
    )
    try:
        commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except CheckoutError:
        raise CheckoutError(f"--base-ref {ref}: no such branch, tag or commit.{_remote(root, ref)}{advice}") from None
    try:
        return _git(root, "merge-base", "HEAD", commit).splitlines()[0]
    except CheckoutError:
        raise CheckoutError(f"--base-ref {ref}: HEAD and it have no commit in common.{advice}") from None


def _remote(root: Path, ref: str) -> str:
    """A suggestion where only a remote has the branch, as in a CI's checkout."""
    known = _git(root, "for-each-ref", "--format=%(refname:short)", f"refs/remotes/*/{ref}").splitlines()
    return f" Did you mean {known[0]!r}?" if known else ""


def working_tree(root: Path, outside: Path) -> Code:
    """The code of this process: the working tree as it is, with what is not committed.

    The folder ``outside``, such as that of results, is no part of the code.
    """
    commit = _git(root, "rev-parse", "HEAD")
    changes = uncommitted(root, outside)
    name = f"{commit[:12]}{changes and f'-with-{changes}'}-{libraries(local_projects(root))}"
    return Code(commit, name, Path(sys.executable), root, bool(changes))


def uncommitted(root: Path, outside: Path) -> str:
    """Eight hexadecimal digits that stand for what differs from HEAD, new files included; empty if nothing does.

    A file that this process writes its output into is none of them.
    """
    outputs = [os.fstat(number) for number in (1, 2)]
    sha, start = hashlib.sha256(), hashlib.sha256().digest()
    sha.update(_git_bytes(root, "diff", "HEAD", "--no-ext-diff", "--binary"))
    for name in _git_bytes(root, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0"):
        path = root / os.fsdecode(name)
        if not name or "__pycache__" in path.parts or path.is_relative_to(outside.resolve()):
            continue
        if path.is_file() and not any(os.path.samestat(path.stat(), output) for output in outputs):
            sha.update(name + b"\0" + path.read_bytes())
    return "" if sha.digest() == start else sha.hexdigest()[:8]


@contextmanager
def checked_out(root: Path, commit: str, cache: Path) -> Iterator[Code]:
    """The code of a commit: a worktree, which is removed at the end, and an environment, which is kept in the cache.

    Raises:
        CheckoutError: it cannot be checked out or installed, or this environment shines through.
    """
    here = local_projects(root)
    if not here:
        raise CheckoutError(
            f"nothing in this environment is installed from {root}, so there is nothing to judge; "
            f"install it: `pip install -e {root}`"
        )
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n", encoding="utf-8")  # it may lie in the checkout, which it shall not change
    with _worktree(root, commit) as folder:
        there = [project for project in here if _is_project(folder / project.folder)]
        if not there:
            names = ", ".join(project.name for project in here)
            raise NoBaseError(f"at {commit[:12]} there was none of {names} yet: there is nothing to compare")
        name = f"{commit[:12]}-{libraries(here)}"
        environment = cache / name / "environment"
        if not environment.exists():
            _install(environment, folder, there, here)
        code = Code(commit, name, environment / _BIN / Path(sys.executable).name, folder)
        _refuse_shadowed(code, there)
        yield code


@contextmanager
def _worktree(root: Path, commit: str) -> Iterator[Path]:
    """A checkout of a commit in a temporary folder, with the repository's hooks left alone."""
    parent = Path(tempfile.mkdtemp(prefix="harness-gate-")).resolve()
    folder = parent / f"harness-gate-{commit[:12]}"
    try:
        _git(root, "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", str(folder), commit)
        yield folder
    finally:
        _answer(["git", "worktree", "remove", "--force", "--force", str(folder)], root, _variables())
        shutil.rmtree(parent, ignore_errors=True)


def local_projects(root: Path) -> list[Project]:
    """What is installed in this environment from folders of the repository, in the order of their names."""
    found: dict[str, Project] = {}
    for distribution in metadata.distributions():
        source = _source(distribution)
        if source is None or not source[0].is_relative_to(root.resolve()):
            continue
        paths = frozenset(
            Path(str(distribution.locate_file(file))).resolve()
            for file in distribution.files or ()
            if file.suffix == ".pth"
        )
        name = distribution.name
        found.setdefault(name, Project(name, source[0].relative_to(root.resolve()), source[1], paths))
    return [found[name] for name in sorted(found)]


def _source(distribution: metadata.Distribution) -> tuple[Path, bool] | None:
    """The local folder that a distribution was installed from (PEP 610), and whether it is editable."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    url = urlsplit(origin.get("url", ""))
    if url.scheme != "file" or "dir_info" not in origin:
        return None
    return Path(unquote(url.path)).resolve(), bool(origin["dir_info"].get("editable"))


def libraries(local: list[Project]) -> str:
    """Eight hexadecimal digits that stand for Python and every installed distribution but the local ones.

    A version does not say what is in an editable one: the sizes and times of its modules do.
    """
    own = {project.name for project in local}
    others = {
        (d.name, d.version, d.read_text("direct_url.json") or "", *_modules(_source(d)))
        for d in metadata.distributions()
        if d.name not in own
    }
    return hashlib.sha256(repr((sys.version, sorted(others))).encode()).hexdigest()[:8]


def _modules(source: tuple[Path, bool] | None) -> Iterator[tuple[str, int, int]]:
    """Every module of an editable distribution, with its size and the time of its last change."""
    if source is not None and source[1]:
        for file in sorted(filter(Path.is_file, source[0].rglob("*.py"))):
            facts = file.stat()
            yield str(file), facts.st_size, facts.st_mtime_ns


_BIN = "Scripts" if sys.platform == "win32" else "bin"


def _is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()


def _install(environment: Path, source: Path, projects: list[Project], replaced: list[Project]) -> None:
    """Make an environment with these projects from ``source``; it is there as a whole or not at all."""
    if importlib.util.find_spec("pip") is None:
        raise CheckoutError("pip is not installed in this environment: `python -m ensurepip`")
    environment.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="environment-", dir=environment.parent))
    try:
        venv.create(made, symlinks=sys.platform != "win32", with_pip=False)
        python = made / _BIN / Path(sys.executable).name
        if not python.exists():
            python.symlink_to("python")
        folders = [source / project.folder for project in projects]
        try:
            _install_wheels(python, folders, made / "wheels")
        except CheckoutError as error:
            names = ", ".join(project.name for project in projects)
            raise CheckoutError(f"the base commit cannot be installed ({names}):\n{error}") from None
        packages = next(made.glob("**/site-packages"))
        (packages / OUTER_PATHS).write_text("\n".join(_outer_paths(replaced)) + "\n", encoding="utf-8")
        try:
            made.rename(environment)
        except OSError:
            if not environment.exists():  # or else another gate was faster
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _install_wheels(python: Path, folders: list[Path], wheels: Path) -> None:
    """Build the projects in these folders, and install them for another interpreter.

    What builds them is taken from an index, which many a machine cannot reach, only where it is not installed here.
    """
    here = all(is_met(requirement) for folder in folders for requirement in _built_with(folder))
    apart = ["--no-build-isolation"] if here else []
    pip, quiet = [sys.executable, "-m", "pip"], ["--no-deps", "--quiet", "--no-input", "--disable-pip-version-check"]
    _run([*pip, "wheel", *quiet, *apart, "--wheel-dir", str(wheels), *map(str, folders)], folders[0])
    built = [str(wheel) for wheel in sorted(wheels.glob("*.whl"))]
    _run([*pip, "--python", str(python), "install", "--no-index", *quiet, *built], folders[0])
    shutil.rmtree(wheels)


def _built_with(folder: Path) -> list[str]:
    """The requirements of a project's build (PEP 518)."""
    file = folder / "pyproject.toml"
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError:
        return []  # pip says what is wrong with it
    return list(told.get("build-system", {}).get("requires", ["setuptools"]))


def _run(command: list[str], folder: Path) -> None:
    answer = _answer(command, folder, _variables())
    if answer.returncode:
        raise CheckoutError(_tail(answer.stderr or answer.stdout))


def _outer_paths(replaced: list[Project]) -> Iterator[str]:
    """The lines of a .pth file by which an environment sees this one, but not the projects it replaces.

    Python reads the .pth files of its own folders of packages, and of no folder that another .pth file names; so
    every line of theirs is repeated here, except those of editable installations that are replaced.
    """
    own = {path for project in replaced for path in project.own_paths}
    read = {Path(folder) for folder in (*site.getsitepackages(), site.getusersitepackages())}
    for folder in dict.fromkeys(Path(path) for path in sys.path):
        if folder.name not in SITE_FOLDERS or not folder.is_dir():
            continue
        yield str(folder)
        for file in sorted(folder.glob("*.pth")) if folder in read else ():
            if file.resolve() not in own:
                yield from (_absolute(line, folder) for line in file.read_text("utf-8").splitlines())


def _absolute(line: str, folder: Path) -> str:
    """A line of a .pth file in ``folder`` as one of a .pth file elsewhere."""
    line = line.strip()
    if not line or line.startswith(("#", "import ", "import\t")):
        return line
    return str(folder / line)


def _refuse_shadowed(code: Code, projects: list[Project]) -> None:
    """Make sure that what runs as the base is the base."""
    probe = code.command("-c", PROBE, *(project.name for project in projects))
    answer = _answer(probe, code.folder, code.variables())
    again = f"remove {code.python.parent.parent} to have it installed again"
    if answer.returncode:
        raise CheckoutError(f"the environment of the base commit does not work; {again}\n{_tail(answer.stderr)}")
    prefix, places = json.loads(answer.stdout)
    wrong = shadowed(Path(prefix), places)
    if wrong:
        lines = [f"  {module}: {place or 'not found'}" for module, place in wrong.items()]
        problem = f"the base commit would not be what runs: these are not from {prefix}; {again}"
        raise CheckoutError("\n".join([problem, *lines]))


def shadowed(prefix: Path, places: Mapping[str, str]) -> dict[str, str]:
    """Those modules that would not be imported from the environment at ``prefix``, and where from instead."""
    return {
        module: place
        for module, place in places.items()
        if not place or not Path(place).resolve().is_relative_to(prefix.resolve())
    }


def _git(folder: Path, *arguments: str) -> str:
    return os.fsdecode(_git_bytes(folder, *arguments)).strip()


def _git_bytes(folder: Path, *arguments: str) -> bytes:
    answer = _answer(["git", "--no-optional-locks", *arguments], folder, _variables())
    if answer.returncode:
        raise CheckoutError(f"git {arguments[0]}: {_tail(answer.stderr) or 'failed'}")
    return answer.stdout


def _variables() -> dict[str, str]:
    """Environment variables without those by which a git hook points every git at its own repository."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
    }


def _answer(command: list[str], folder: Path, variables: Mapping[str, str]) -> "subprocess.CompletedProcess[bytes]":
    """What a command ended with and said."""
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False)


def _tail(said: bytes) -> str:
    return "\n".join(os.fsdecode(said).strip().splitlines()[-SHOWN_LINES:])
