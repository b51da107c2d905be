"""The gate on real commits of this repository, made in a clone of it: is each judged as it must be?

python tests/gate/commits.py docs/gate-commits.md

What the gate said is written to that file. The exit code is 1 if any change was judged otherwise. Takes some minutes.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.commits.checkout import local_projects, repository
from harness.contract.errors import ExitCode
from harness.running.provenance import machine

SUITE = Path(__file__).with_name("gate.toml")
FILE = "plugins/algorithms/harness_algorithms/dqn.py"
LOOP = "    while trial.within_budget:\n"
IDENTITY = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")


class Change(NamedTuple):
    """A commit, and what the gate must say of it.

    Attributes:
        message: of the commit.
        old: text of the file that it changes.
        new: text in its place.
        options: of the gate.
        code: with which the gate must end.
        answer: that it must give.
    """

    message: str
    old: str
    new: str
    options: Sequence[str]
    code: ExitCode
    answer: str


COMMENT = (LOOP, f"    # An unrelated comment.\n{LOOP}")
TIMED = ("--speed", "--tolerance", "0.2", "-a", "algorithms/dqn", "-e", "cartpole")  # on machines that are shared
CHANGES = (
    Change("An unrelated comment", *COMMENT, (), ExitCode.YES, "gate: passed (identical)"),
    Change(
        "A learning rate thirty times as large",
        "learning_rate: Fraction = 2.5e-4",
        "learning_rate: Fraction = 75e-4",
        (),
        ExitCode.NO,
        "gate: regressed",
    ),
    Change("An unrelated comment", *COMMENT, TIMED, ExitCode.YES, "speed: "),
    Change(
        "Work that nobody needs, at every step",
        LOOP,
        f"{LOOP}        sum(range(50_000))\n",
        TIMED,
        ExitCode.NO,
        "speed: slower",
    ),
)


def main(report: Path) -> int:
    """Judge every change, and write what was said."""
    root = repository(Path(__file__).parent)
    commit = run(["git", "rev-parse", "HEAD"], root).stdout.strip()
    told, wrong = [*heading(commit)], 0
    with tempfile.TemporaryDirectory(prefix="harness-gate-commits-") as name:
        clone, python = installed_clone(root, Path(name))
        gate = [str(python), "-P", "-m", "harness", "gate", str(SUITE), "--base-ref", "base"]
        for number, change in enumerate(CHANGES):
            make_commit(clone, f"change-{number}", change)
            began = time.monotonic()
            said = run([*gate, *change.options], clone, check=False)
            right = said.returncode == change.code and change.answer in said.stdout
            wrong += not right
            told += described(change, said, time.monotonic() - began, right)
            report.write_text("\n".join(told), encoding="utf-8")
            print(f"{change.message}: exit {said.returncode}{'' if right else ', which is WRONG'}", flush=True)
            if not right:
                print(said.stdout, said.stderr, file=sys.stderr)
    return int(bool(wrong))


def heading(commit: str) -> Iterator[str]:
    """What the page is about, in Markdown."""
    yield "# The gate on real commits"
    yield ""
    yield f"What `harness gate` says of changes to `{FILE}`, each a commit on top of"
    yield f"{commit[:12]} in a clone, on `tests/gate/gate.toml`. `python tests/gate/commits.py FILE` writes"
    yield f"this page. Made on {machine()}. The base's environment and runs are kept from one gate"
    yield "to the next."
    yield ""


def installed_clone(root: Path, folder: Path) -> tuple[Path, Path]:
    """A clone of what is committed, and an interpreter in whose environment it is installed as editable."""
    clone = folder / "clone"
    run(["git", "clone", "--quiet", "--no-hardlinks", str(root), str(clone)], folder)
    run(["git", "checkout", "--quiet", "-B", "base"], clone)
    venv.create(folder / "environment", with_pip=False)
    python = folder / "environment" / "bin" / "python"
    editable = [word for project in local_projects(root) for word in ("-e", str(clone / project.folder))]
    run([sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", *editable], folder)
    packages = next((folder / "environment").glob("lib/*/site-packages"))
    outer = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "outer.pth").write_text("\n".join(outer) + "\n", encoding="utf-8")
    return clone, python


def make_commit(clone: Path, branch: str, change: Change) -> None:
    """Put a change on a branch of its own, which is checked out."""
    run(["git", "checkout", "--quiet", "-b", branch, "base"], clone)
    file = clone / FILE
    text = file.read_text(encoding="utf-8")
    if text.count(change.old) != 1:
        raise SystemExit(f"{change.message}: {FILE} does not have {change.old!r} once")
    file.write_text(text.replace(change.old, change.new), encoding="utf-8")
    run(["git", *IDENTITY, "commit", "--quiet", "--all", "--message", change.message], clone)


def described(change: Change, said: "subprocess.CompletedProcess[str]", seconds: float, right: bool) -> Iterator[str]:
    """What the gate said of a change, in Markdown."""
    command = " ".join(["harness gate gate.toml --base-ref base", *change.options])
    verdict = "" if right else f" This is wrong: exit code {int(change.code)} was due."
    yield f"## {change.message}"
    yield ""
    yield f"`{command}` ended with exit code {said.returncode} after {seconds / 60:.1f} minutes.{verdict}"
    yield from ("", "```text", *said.stdout.rstrip().splitlines(), "```", "")


def run(command: Sequence[str], folder: Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run a command with pinned threads; its output as text."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, check=check, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
